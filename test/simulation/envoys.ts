/** One Envoy of the simulation: its files, its stream, and what it has taken of what was sent. How it connects is in network.ts. */
import {adsTrustSecret, identitySecret, trustSecret} from '../../src/lib/envoy/secret.js'
import type {CertifiedKey, Credential, TrustBundle} from '../../src/lib/model/authority.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import type {ProxyReport} from '../../src/lib/model/report.js'
import {readKey} from '../../src/lib/pki/read.js'

/** An open ADS stream. */
export interface Stream {
  readonly server: string
  /** The credential that it was opened with. */
  readonly credential: Credential
  /** The identity that the observability Envoy's connection began with; undefined for its own stream. */
  readonly relay: CertifiedKey | undefined
  /** ISO 8601, by the server's clock. */
  readonly since: string
  readonly sequence: number
  /** Of the store, when it was reported. */
  version: number
}

export interface Envoy {
  readonly owner: Owner
  readonly id: string
  isUp: boolean
  /** Whether it refuses every secret that it is sent. */
  refuses: boolean
  /** By how much its clock is ahead, milliseconds. */
  readonly ahead: number
  files: Credential | undefined
  /** What was in its files before. */
  formerFiles: Credential | undefined
  stream: Stream | undefined
  /** Its last stream, and when that ended, while it has none. */
  former: {readonly stream: Stream; readonly endedAt: number} | undefined
  /** Why it was last refused. */
  refusal: string | undefined
  trust: TrustBundle | undefined
  identity: CertifiedKey | undefined
}

/** Which secrets an Envoy takes at one moment. */
export type Taken = 'both' | 'identity' | 'trust'

/** As its server reports it. */
export function reportOf({owner, id, stream, trust, identity, refuses}: Envoy): ProxyReport | undefined {
  if (stream === undefined) return undefined
  return {
    ...{cluster: owner, id, sequence: stream.sequence, variant: 'delta', connectedSince: stream.since, equalIds: 1},
    path: stream.relay === undefined ? 'direct' : 'relay',
    ...(stream.relay !== undefined && {relayedBy: readKey(stream.relay).sha256}),
    types: refuses ? [{type: 'Secret', state: 'nack', sent: 2, acknowledged: 1, nack: 'the chain is invalid'}] : [],
    credential: {sha256: readKey(stream.credential).sha256},
    ...(identity !== undefined && {identity: {version: identitySecret(identity).version}}),
    ...(trust !== undefined && {trust: trustSecret(trust).version}),
    ...(trust !== undefined && owner === OBSERVABILITY && {adsTrust: adsTrustSecret(trust).version}),
  }
}
