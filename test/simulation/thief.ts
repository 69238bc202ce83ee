/** A thief who has every key that was ever issued, and tries each where it would open something. */
import type {CertifiedKey, Credential} from '../../src/lib/model/authority.js'
import type {Change} from '../../src/lib/model/change.js'
import {deniedOf} from '../../src/lib/envoy/rbac.js'
import {type Fleet, isServed, recordOf} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {Violation} from './invariants.js'
import type {Network} from './network.js'
import type {Server} from './servers.js'
import {ALLOWED, isAnchored, isValid} from './trust.js'

/** What a thief has: an ADS credential opens streams, an identity the port for alerts. */
type Stolen =
  | {readonly kind: 'credential'; readonly owner: Owner; readonly key: Credential}
  | {readonly kind: 'identity'; readonly owner: Owner; readonly key: CertifiedKey}

/** An identity that has ended so long ago is not tried any more, milliseconds: there are dozens of each cluster. */
const TRIED_AFTER_END = 86_400_000

/** Every credential, and every identity of a downstream cluster, that was ever issued. */
export class Thief {
  /** What was revoked, or of an earlier generation, when the store was put back; and the servers that knew, by name and life. */
  readonly #revokedBefore = new Map<string, ReadonlySet<string>>()
  readonly #stolen = new Map<string, Stolen>()

  /** Certificates as they are written. */
  observe(changes: readonly Change[]): void {
    for (const change of changes) {
      if ((change.kind !== 'credential' && change.kind !== 'identity') || change.value === undefined) continue
      if (change.kind === 'credential') this.#take({kind: change.kind, owner: change.owner, key: change.value})
      else if (change.owner !== OBSERVABILITY) this.#take({kind: change.kind, owner: change.owner, key: change.value})
    }
  }

  #take(stolen: Stolen): void {
    this.#stolen.set(readKey(stolen.key).sha256, stolen)
  }

  /** What servers know of is refused by them, and written again by a leader, whatever state the store is put back to. */
  beforePutBack(network: Network, fleet: Fleet): void {
    const knowing = new Set(network.livingServers.filter(({isLagging}) => !isLagging).map(server => lifeOf(server)))
    for (const [sha256, stolen] of this.#stolen) if (isRevokedForGood(fleet, stolen)) this.#revokedBefore.set(sha256, knowing)
  }

  /** At rest, all that the leader knew of is in the store again. */
  requireWritten({store, now}: Network, leading: Server): void {
    for (const [sha256, knowing] of this.#revokedBefore) {
      const stolen = this.#stolen.get(sha256)
      if (stolen === undefined || !knowing.has(lifeOf(leading)) || hasEnded(stolen.key, now)) continue
      if (!isRevokedForGood(store.fleet, stolen))
        throw new Violation(
          `the ${stolen.kind} of ${stolen.owner} was revoked before the store was put back, and no record says so any more`,
        )
    }
  }

  /** Tries each by what every server that is up to date knows: what has ended or was revoked is refused, and all of a cluster that is cut off. */
  requireRefused(network: Network): void {
    const {fleet} = network.store
    for (const [sha256, {kind, key}] of this.#stolen)
      if (kind === 'identity' && readKey(key).notAfter.getTime() + TRIED_AFTER_END < network.now) this.#stolen.delete(sha256)
    for (const server of network.livingServers) {
      if (server.version !== network.store.version || server.doubt(network.now) !== undefined) continue
      for (const [sha256, stolen] of this.#stolen) {
        if (!isAccepted(network, server, stolen)) continue
        const knowing = this.#revokedBefore.get(sha256)
        const why =
          whyUnacceptable(fleet, stolen, network.now) ??
          (knowing?.has(lifeOf(server)) === true ? 'that was revoked before the store was put back' : undefined)
        const by =
          stolen.kind === 'credential' ? `server ${server.name} accepts` : `what ${server.name} sends lets the port for alerts accept`
        if (why !== undefined) throw new Violation(`${by} the ${stolen.kind} of ${stolen.owner} ${why}`)
      }
    }
  }
}

/** Whether it opens what it is for. @throws Violation where it opens something that it is not for */
function isAccepted(network: Network, server: Server, stolen: Stolen): boolean {
  const {owner, key} = stolen
  const {seen} = server
  const issuers = seen.trust?.issuers ?? []
  if (stolen.kind === 'credential') {
    if (isAnchored(key, issuers)) throw new Violation(`the credential of ${owner} is taken for an identity`)
    const relay = owner === OBSERVABILITY ? undefined : network.store.fleet.identities.get(OBSERVABILITY)
    return network.whyDenied(server, seen, {credential: stolen.key, relay}) === undefined
  }

  if (network.whyDenied(server, seen, {credential: {...key, roots: ''}, relay: undefined}) === undefined)
    throw new Violation(`server ${server.name} accepts the identity of ${owner} for a stream`)
  // The rules of the listener (lib/envoy/alert-listener.ts), which a server sends by what it has seen.
  const denied = new Set(seen.settings === undefined ? [] : deniedOf(seen, seen.settings, owner))
  return isAnchored(key, issuers) && isValid(key, network.now) && readKey(key).uris.every(uri => !denied.has(uri))
}

function hasEnded(key: CertifiedKey, now: number): boolean {
  return readKey(key).notAfter.getTime() + ALLOWED < now
}

/** One process of a server. */
function lifeOf({name, lives}: Server): string {
  return `${name} ${lives}`
}

/** Whether a record says that no command will have it accepted again. */
function isRevokedForGood(fleet: Fleet, {owner, key}: Stolen): boolean {
  const {sha256, uris} = readKey(key)
  const {generation, credentials} = recordOf(fleet, owner)
  const state = credentials.find(each => each.sha256 === sha256)?.state
  return state === 'revoked' || uris.every(uri => generationOf(uri) < generation)
}

function whyUnacceptable(fleet: Fleet, {kind, owner, key}: Stolen, now: number): string | undefined {
  const {sha256, uris} = readKey(key)
  const record = recordOf(fleet, owner)
  if (hasEnded(key, now)) return 'that has ended'
  // Of a cluster without a record nothing is known: the backup that was restored is older than it is.
  if (!isServed(fleet, owner)) return kind === 'credential' || fleet.records.has(owner) ? 'that is cut off' : undefined
  if (uris.every(uri => generationOf(uri) < record.generation)) return 'of an earlier generation'
  // Servers that remember a later generation than the backup that was restored go on with it; a credential of it is not on record.
  if (kind === 'identity') return undefined
  return record.credentials.some(each => each.sha256 === sha256 && each.state === 'valid') ? undefined : 'that is revoked'
}

/** The last part of a name (docs/explanation/security.md). */
function generationOf(uri: string): number {
  return Number(uri.split('/').at(-1))
}
