/** One Envoy of the simulation: its files, its stream, and what it has taken of what was sent. How it connects is in network.ts. */
import {adsTrustSecret, identitySecret, trustSecret} from '../../src/lib/envoy/secret.js'
import type {CertifiedKey, Credential, TrustBundle} from '../../src/lib/model/authority.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import type {ProxyReport} from '../../src/lib/model/report.js'
import {readKey} from '../../src/lib/pki/read.js'

/** A secret that an Envoy is sent by ADS. */
export type SecretName = 'adsTrust' | 'identity' | 'trust'

/** What the secrets of an Envoy are made of. */
export interface Offered {
  readonly identity: CertifiedKey
  readonly trust: TrustBundle
}

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
  /** What its server has sent last; undefined: nothing. */
  offered: Offered | undefined
  /** Secrets that were sent, and that the Envoy has not taken. */
  readonly unread: Set<SecretName>
  /** Those of which the server cannot know the version that the Envoy has: the stream before has left them unanswered or refused. */
  readonly doubted: Set<SecretName>
  /** Whether the Envoy has refused one on this stream. */
  hasRefused: boolean
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
  /** Secrets that its last stream has left unanswered or refused. */
  doubted: ReadonlySet<SecretName>
  trust: TrustBundle | undefined
  identity: CertifiedKey | undefined
}

/** Which secrets an Envoy takes at one moment. */
export type Taken = 'both' | 'identity' | 'trust'

/** The secrets of an owner's Envoys. */
export function secretsOf(owner: Owner): readonly SecretName[] {
  return owner === OBSERVABILITY ? ['identity', 'trust', 'adsTrust'] : ['identity', 'trust']
}

/** The version in which a server sends a secret; undefined: there is none. */
export function versionOf(name: SecretName, {identity, trust}: Pick<Envoy, 'identity' | 'trust'>): string | undefined {
  if (name === 'identity') return identity && identitySecret(identity).version
  return trust && (name === 'trust' ? trustSecret(trust) : adsTrustSecret(trust)).version
}

/** Its server sends what it has seen; undefined: nothing, where something is missing. */
export function give(envoy: Envoy, offered: Offered | undefined): void {
  const {stream} = envoy
  if (stream === undefined || offered === undefined) return
  const before = stream.offered ?? {identity: envoy.identity, trust: envoy.trust}
  if (stream.offered === undefined) for (const name of envoy.doubted) stream.doubted.add(name)
  for (const name of secretsOf(envoy.owner))
    if (stream.doubted.has(name) || versionOf(name, offered) !== versionOf(name, before)) stream.unread.add(name)
  stream.offered = offered
}

/** It reads what was sent, and acknowledges or refuses it. */
export function take(envoy: Envoy, taken: Taken): void {
  const {stream} = envoy
  if (stream?.offered === undefined) return
  const names = secretsOf(envoy.owner).filter(name => taken === 'both' || (taken === 'identity') === (name === 'identity'))
  if (envoy.refuses) {
    stream.hasRefused ||= names.some(name => stream.unread.has(name))
    return
  }

  const {identity, trust} = stream.offered
  if (taken !== 'identity') envoy.trust = trust
  if (taken !== 'trust') envoy.identity = identity
  for (const name of names) {
    stream.unread.delete(name)
    stream.doubted.delete(name)
  }
}

/** As its server reports it: the same object for as long as it says the same. */
export function reportOf(envoy: Envoy): ProxyReport | undefined {
  const {stream, trust, identity} = envoy
  if (stream === undefined) return undefined
  const {hasRefused, doubted} = stream
  const facts = [stream, trust, identity, hasRefused, ...secretsOf(envoy.owner).map(name => doubted.has(name))]
  const last = reports.get(envoy)
  if (last?.facts.every((fact, index) => fact === facts[index]) === true) return last.report
  const report = makeReport(envoy, stream)
  reports.set(envoy, {facts, report})
  return report
}

const reports = new WeakMap<Envoy, {readonly facts: readonly unknown[]; readonly report: ProxyReport}>()

function makeReport({owner, id, trust, identity}: Envoy, stream: Stream): ProxyReport {
  const known = (name: SecretName): string | undefined => (stream.doubted.has(name) ? undefined : versionOf(name, {identity, trust}))
  const [identityVersion, trustVersion, adsTrust] = [known('identity'), known('trust'), known('adsTrust')]
  return {
    ...{cluster: owner, id, sequence: stream.sequence, variant: 'delta', connectedSince: stream.since, equalIds: 1},
    path: stream.relay === undefined ? 'direct' : 'relay',
    ...(stream.relay !== undefined && {relayedBy: readKey(stream.relay).sha256}),
    types: stream.hasRefused ? [{type: 'Secret', state: 'nack', sent: 2, acknowledged: 1, nack: 'the chain is invalid'}] : [],
    credential: {sha256: readKey(stream.credential).sha256},
    ...(identityVersion !== undefined && {identity: {version: identityVersion}}),
    ...(trustVersion !== undefined && {trust: trustVersion}),
    ...(adsTrust !== undefined && owner === OBSERVABILITY && {adsTrust}),
  }
}
