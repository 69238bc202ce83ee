/**
 * Connections of the observability Envoy that began with a former identity. They are renewed while both identities are trusted: one
 * connection carries the streams of a whole fleet for an hour, and when a rotation retires what signed its certificate, every one of them
 * would be refused at once (docs/explanation/security.md#rotation).
 */
import type {Fleet} from '../../lib/model/fleet.js'
import {OBSERVABILITY, spiffe} from '../../lib/model/names.js'
import {readKey} from '../../lib/pki/read.js'
import type {Peer} from './denial.js'

export interface RenewedConnections {
  /** Whether a connection is one of the observability Envoy. */
  concerns(peer: Peer | undefined): peer is Peer
  /**
   * Follows a connection until the returned function is called.
   * @param renew has the client make another connection, and lets what is under way on this one end
   */
  add(peer: Peer, renew: () => void): () => void
  close(): void
}

/** How often connections are looked at, milliseconds: the Envoy takes up its new identity meanwhile, and may have connected with the former. */
const LOOK = 3000

/** An Envoy that does not take up its new identity connects with the former one again: then each look is twice as late, up to this time. */
const LOOK_MAX = 600_000

/** Follows nothing yet. */
export function openRenewedConnections(fleet: () => Fleet): RenewedConnections {
  const open = new Map<() => void, Peer>()
  let last: {readonly wanted: string; readonly wait: number; readonly nextAt: number} | undefined
  const timer = setInterval(() => {
    const [wanted, now] = [identityOf(fleet()), performance.now()]
    if (wanted === undefined || (last?.wanted === wanted && now < last.nextAt)) return
    const former = [...open].filter(([, {sha256}]) => sha256 !== wanted)
    if (former.length === 0) return
    const wait = last?.wanted === wanted ? Math.min(2 * last.wait, LOOK_MAX) : LOOK
    last = {wanted, wait, nextAt: now + wait}
    for (const [renew] of former) {
      open.delete(renew)
      renew()
    }
  }, LOOK).unref()

  return {
    concerns(peer): peer is Peer {
      const {settings} = fleet()
      return settings !== undefined && peer?.uris[0] === spiffe.observability(settings.trustDomain)
    },
    add(peer, renew) {
      open.set(renew, peer)
      return () => open.delete(renew)
    },
    close() {
      clearInterval(timer)
    },
  }
}

/** Fingerprint of the identity that the observability Envoy should show. */
function identityOf({identities}: Fleet): string | undefined {
  const identity = identities.get(OBSERVABILITY)
  return identity && readKey(identity).sha256
}
