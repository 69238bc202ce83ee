/**
 * Admission to ADS: whose stream is it, and may it be served? Pure. Streams come directly, or through the observability Envoy's
 * listener 10900, which relays them with the client's certificate in `x-forwarded-client-cert`. The certificate decides, and what a node
 * claims grants nothing (docs/explanation/security.md). The TLS layer has verified the connection; that the issuers of one plane can't
 * vouch for the other is decided here.
 */
import type {CredentialRecord} from '../../lib/model/authority.js'
import {messageOf, quote} from '../../lib/model/errors.js'
import {type Fleet, generationOf, isRegistered, isRevoked} from '../../lib/model/fleet.js'
import {OBSERVABILITY, type Owner, objectNames, parseOwner, spiffe} from '../../lib/model/names.js'
import {type Node, type NodeClaim, parseNode} from '../../lib/model/node.js'
import {type Denied, type Peer, deny} from '../mtls/denial.js'
import {type XfccElement, parseXfcc, xfccValues} from './xfcc.js'

/** A stream that may be served, as far as its certificate is concerned. */
export interface Admitted {
  readonly kind: 'admitted'
  readonly cluster: Owner
  readonly generation: number
  /** SHA-256 of the ADS credential, lower-case hex. */
  readonly fingerprint: string
  readonly path: 'direct' | 'relay'
  /** SHA-256 of the certificate of the relay's connection, lower-case hex. */
  readonly relayedBy?: string
}

/** Milliseconds. Clocks may differ by this much: so long before its begin and after its end a certificate is admitted. */
const SKEW = 5 * 60_000

/** Judges a stream by its connection's certificate and its XFCC headers, before its first message. */
export function admit(fleet: Fleet, peer: Peer | undefined, xfcc: readonly string[], now: Date): Admitted | Denied {
  const {settings, trust} = fleet
  if (settings === undefined || trust === undefined) return deny('not-initialized', 'this server has no settings or no trust bundle yet')
  if (peer === undefined) return deny('certificate-missing', 'the connection carries no client certificate that can be read')
  const [uri, ...more] = peer.uris
  if (uri === undefined || more.length > 0)
    return deny('certificate-name', `the certificate must carry exactly one URI; it carries ${peer.uris.length}`)
  const isRelay = uri === spiffe.observability(settings.trustDomain)
  const claim = isRelay ? undefined : parseClientUri(uri, settings.trustDomain)
  if (!isRelay && claim === undefined)
    return deny(
      'certificate-name',
      `the certificate's name ${quote(uri)} is not accepted here; wanted ${spiffe.adsClients(settings.trustDomain)}<cluster>/<generation>`,
    )
  const hasEnded = peer.notAfter.getTime() + SKEW < now.getTime()
  if (hasEnded || peer.notBefore.getTime() - SKEW > now.getTime())
    return (
      (hasEnded ? denyEnded(fleet, peer, now) : undefined) ??
      deny(
        'certificate-expired',
        `the certificate of ${quote(uri)} is valid from ${peer.notBefore.toISOString()} to ${peer.notAfter.toISOString()}`,
      )
    )
  if (!peer.isSignedBy(isRelay ? trust.issuers : trust.credentialIssuers))
    return deny(
      'certificate-issuer',
      `the certificate of ${quote(uri)} is not signed by ${isRelay ? 'an issuer' : 'a credential issuer'} in force`,
    )
  if (claim === undefined) return admitRelayed(fleet, settings.trustDomain, {xfcc, relayedBy: peer.sha256}, now)
  if (xfcc.length > 0) return deny('xfcc-on-direct', 'a direct connection must not carry x-forwarded-client-cert', claim.cluster)
  return admitCredential(fleet, {...claim, fingerprint: peer.sha256, path: 'direct'}, now)
}

/**
 * Why a certificate is denied that has ended, as TLS or `admit` has found: if it is on record, which alone proves whose it is, with its
 * cluster and what to do. Undefined: it is not.
 */
export function denyEnded(fleet: Fleet, peer: Peer, now: Date): Denied | undefined {
  const [uri] = peer.uris
  const claim = uri === undefined || fleet.settings === undefined ? undefined : parseClientUri(uri, fleet.settings.trustDomain)
  // TLS also refuses a certificate that has not ended if its issuer has ended.
  if (claim === undefined || peer.notAfter > now) return undefined
  const admitted = {...claim, fingerprint: peer.sha256, path: 'direct'} as const
  if (credentialOf(fleet, admitted) === undefined) return undefined
  // A person who has revoked it is not told to apply it again.
  const outcome = admitCredential(fleet, admitted, now)
  return outcome.kind === 'denied' ? outcome : denyExpired(claim.cluster, peer.sha256, peer.notAfter.toISOString())
}

/**
 * Judges the node of the first request: its cluster must be the certificate's.
 * @returns the node, or why it is denied
 */
export function admitNode(admitted: Admitted, claim: NodeClaim | undefined): Node | Denied {
  const {cluster} = admitted
  if (claim === undefined) return deny('node-missing', 'the first request of a stream must carry node', cluster)
  if (claim.cluster !== cluster)
    return deny(
      'node-cluster',
      `the certificate is ${quote(cluster)}'s, but node.cluster is ${quote(claim.cluster)} (node.id ${quote(claim.id)})`,
      cluster,
    )
  try {
    return parseNode(claim)
  } catch (error) {
    return deny('node-invalid', messageOf(error), cluster)
  }
}

/** The record of the credential that a stream came with. */
export function credentialOf(fleet: Fleet, admitted: Pick<Admitted, 'cluster' | 'fingerprint'>): CredentialRecord | undefined {
  return fleet.records.get(admitted.cluster)?.credentials.find(credential => credential.sha256 === admitted.fingerprint)
}

/** Exactly one element, made by the observability Envoy from the certificate that it verified. */
function admitRelayed(
  fleet: Fleet,
  domain: string,
  {xfcc: headers, relayedBy}: {readonly xfcc: readonly string[]; readonly relayedBy: string},
  now: Date,
): Admitted | Denied {
  if (headers.length === 0) return deny('xfcc-missing', 'a relayed stream must carry x-forwarded-client-cert')
  let elements: readonly XfccElement[]
  try {
    elements = headers.flatMap(header => parseXfcc(header))
  } catch (error) {
    return deny('xfcc-malformed', messageOf(error))
  }

  const [element, ...others] = elements
  if (element === undefined || others.length > 0)
    return deny('xfcc-elements', `x-forwarded-client-cert must have exactly one element; it has ${elements.length}`)
  const by = xfccValues(element, 'by')
  if (by.length !== 1 || by[0] !== spiffe.observability(domain))
    return deny('xfcc-by', `x-forwarded-client-cert must be made by ${spiffe.observability(domain)}; its By is ${quote(by.join(', '))}`)
  const uris = xfccValues(element, 'uri')
  const claim = uris.length === 1 ? parseClientUri(uris[0] ?? '', domain) : undefined
  if (claim === undefined)
    return deny(
      'xfcc-uri',
      `x-forwarded-client-cert must name one ${spiffe.adsClients(domain)}<cluster>/<generation>; it names ${quote(uris.join(', '))}`,
    )
  if (claim.cluster === OBSERVABILITY)
    return deny('relay-observability', "the observability cluster's credential is not accepted through a relay", OBSERVABILITY)
  const hashes = xfccValues(element, 'hash')
  const fingerprint = hashes[0]
  if (hashes.length !== 1 || fingerprint === undefined || !/^[0-9a-f]{64}$/.test(fingerprint))
    return deny('xfcc-hash', `x-forwarded-client-cert must carry one SHA-256 hash; it carries ${quote(hashes.join(', '))}`, claim.cluster)
  return admitCredential(fleet, {...claim, fingerprint, path: 'relay', relayedBy}, now)
}

/** Registered and not revoked, of the current generation, and on record as valid. */
function admitCredential(fleet: Fleet, claim: Omit<Admitted, 'kind'>, now: Date): Admitted | Denied {
  const {cluster} = claim
  if (isRevoked(fleet, cluster))
    return deny('cluster-revoked', `cluster ${quote(cluster)} is revoked, until "atlas cluster restore ${cluster}"`, cluster)
  if (!isRegistered(fleet, cluster)) return deny('not-registered', `cluster ${quote(cluster)} is not registered`, cluster)
  const generation = generationOf(fleet, cluster)
  if (claim.generation !== generation)
    return deny(
      'generation',
      `the credential of ${quote(cluster)} is of generation ${claim.generation}; the present one is ${generation}`,
      cluster,
    )
  const credential = credentialOf(fleet, claim)
  if (credential === undefined)
    return deny(
      'credential-unknown',
      `no credential ${claim.fingerprint} of ${quote(cluster)} is on record: it ended more than 30 days ago, or is of another installation or of a backup`,
      cluster,
    )
  if (credential.retiredAt !== undefined)
    return deny(
      'credential-superseded',
      `the credential ${claim.fingerprint} of ${quote(cluster)} is refused since ${credential.retiredAt}, because its Envoys had come with a later one for days; ${applyNewest(cluster)}`,
      cluster,
    )
  if (credential.state !== 'valid')
    return deny('credential-revoked', `the credential ${claim.fingerprint} of ${quote(cluster)} is revoked`, cluster)
  if (Date.parse(credential.notAfter) + SKEW < now.getTime()) return denyExpired(cluster, claim.fingerprint, credential.notAfter)
  return {kind: 'admitted', ...claim}
}

function denyExpired(cluster: Owner, fingerprint: string, notAfter: string): Denied {
  return deny(
    'credential-expired',
    `the credential ${fingerprint} of ${quote(cluster)} ended at ${notAfter}; ${applyNewest(cluster)}`,
    cluster,
  )
}

/** What to do about a credential that is refused because of its age. */
function applyNewest(cluster: Owner): string {
  return `apply the newest one, of Secret ${objectNames.credential(cluster)} (atlas cluster values ${cluster} --format secret)`
}

/** `spiffe://<domain>/ads-client/<owner>/<generation>`, in its one spelling. */
function parseClientUri(uri: string, domain: string): {readonly cluster: Owner; readonly generation: number} | undefined {
  const prefix = spiffe.adsClients(domain)
  if (!uri.startsWith(prefix)) return undefined
  const [name = '', number = '', ...rest] = uri.slice(prefix.length).split('/')
  if (rest.length > 0 || !/^[1-9][0-9]{0,8}$/.test(number)) return undefined
  try {
    return {cluster: parseOwner(name), generation: Number(number)}
  } catch {
    return undefined
  }
}
