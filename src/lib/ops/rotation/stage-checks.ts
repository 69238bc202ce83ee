/** What servers, the store and a connected Envoy lack in each stage of a rotation. Who is waited for, and for how long, is in waiting.ts. */
import {adsTrustSecret, identitySecret, trustSecret} from '../../envoy/secret.js'
import type {CredentialRecord, TrustBundle} from '../../model/authority.js'
import {type Fleet, recordOf} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner, objectNames} from '../../model/names.js'
import type {ProxyReport} from '../../model/report.js'
import type {Rotation} from '../../model/rotation.js'
import {identitiesDigest} from '../../pki/identities-digest.js'
import {readKey} from '../../pki/read.js'
import {CLOCK_SKEW} from '../../pki/rotation.js'
import {trustDigest} from '../../pki/trust-digest.js'
import type {Evidence} from './evidence.js'
import {isSucceeded, successorsIn} from './signers.js'
import type {Lack} from './waited.js'

/** What is stored, and what servers use. */
export interface FleetFacts {
  readonly fleet: Fleet
  readonly trust: TrustBundle
  readonly servers: Evidence['servers']
  readonly owners: readonly Owner[]
}

export interface StageChecks {
  /** What servers and the store lack. */
  fleet(facts: FleetFacts): readonly string[]
  /** What one connected Envoy lacks. */
  proxy(fleet: Fleet, trust: TrustBundle, proxy: ProxyReport): readonly Lack[]
}

const announced: StageChecks = {
  fleet: ({trust, servers}) =>
    servers
      .filter(({tls}) => tls?.trust !== trustDigest(trust))
      .map(({name}) => `server ${name} does not use the present trust bundle yet`),
  proxy: (_, trust, proxy) => {
    const lacks = proxy.trust !== trustSecret(trust).version
    const lacksAds = proxy.cluster === OBSERVABILITY && proxy.adsTrust !== adsTrustSecret(trust).version
    return lacks || lacksAds ? [{what: 'has not acknowledged the present trust bundle', ...reasonOf(proxy)}] : []
  },
}

/** And the bundle: it has changed since where an issuer was made again in the last stage (plan.ts). */
const credentials: StageChecks = {
  fleet: facts => [
    ...announced.fleet(facts),
    ...facts.owners
      .filter(owner => !isCredentialIssued(facts.fleet, owner))
      .map(owner => `the ADS credential of ${owner} is not issued yet`),
  ],
  proxy(fleet, trust, proxy) {
    const {cluster, credential} = proxy
    const lacking = announced.proxy(fleet, trust, proxy)
    const present = fleet.credentials.get(cluster)
    if (present === undefined || credential.sha256 === readKey(present).sha256) return lacking
    // Another one of the owner may do: it was issued later, or carries the same roots and is signed by the same issuer.
    const record = recordOf(fleet, cluster).credentials.find(({sha256}) => sha256 === credential.sha256)
    const wanted = recordOf(fleet, cluster).credentials.find(({sha256}) => sha256 === readKey(present).sha256)
    if (isLater(record, wanted) && record?.rootsDigest === wanted?.rootsDigest) return lacking
    return [...lacking, {what: `is connected with a credential that does not carry the present roots: ${applyCredential(cluster)}`}]
  },
}

/** Later than the clocks of two servers differ: of two that were issued minutes apart the former issuer may have signed either. */
function isLater(record: CredentialRecord | undefined, other: CredentialRecord | undefined): boolean {
  if (record?.notBefore === undefined || other?.notBefore === undefined) return false
  return Date.parse(record.notBefore) - CLOCK_SKEW * 1000 > Date.parse(other.notBefore)
}

/** By the stage. */
export const stageChecks: Readonly<Record<Rotation['stage'], StageChecks>> = {
  announce: announced,
  credentials,
  leaves: {
    fleet(facts) {
      const {fleet, servers} = facts
      const {issuer} = successorsIn(fleet)
      const {server} = fleet
      const isServerReady = server !== undefined && !isSucceeded(server, {signer: issuer})
      const fingerprint = server === undefined ? undefined : readKey(server).sha256
      return [
        ...lackingCredentials(facts),
        ...unissuedIdentities(facts),
        ...(isServerReady ? [] : ["the ADS server's certificate is not issued yet"]),
        ...servers
          .filter(({tls}) => isServerReady && tls?.certificate !== fingerprint)
          .map(({name}) => `server ${name} does not use its new certificate yet`),
        ...withoutIdentities(facts),
      ]
    },
    proxy(fleet, trust, proxy) {
      return [
        // An Envoy may have come since, or come again, with a credential that its former issuer signed: that one retires next.
        ...(fleet.rotation?.part === 'root' ? credentials.proxy(fleet, trust, proxy) : []),
        ...lackingIdentity(fleet, proxy),
      ]
    },
  },
  retire: {
    // A cluster that was suspended, and is back, has one that the former issuer signed.
    fleet: facts => [...retired(facts.fleet).fleet(facts), ...unissuedIdentities(facts)],
    // An Envoy that was away, and is back, may still show what the former issuer signed.
    proxy: (fleet, trust, proxy) => [...retired(fleet).proxy(fleet, trust, proxy), ...lackingIdentity(fleet, proxy)],
  },
}

function unissuedIdentities({fleet, owners}: FleetFacts): readonly string[] {
  const {issuer} = successorsIn(fleet)
  const lacking = owners.filter(owner => {
    const identity = fleet.identities.get(owner)
    return identity === undefined || isSucceeded(identity, {signer: issuer})
  })
  return lacking.map(owner => `the identity of ${owner} is not issued yet`)
}

/**
 * Servers that do not have all identities yet, once these are issued: an Envoy that has acknowledged its new one would be sent its former one again
 * where it moves to such a server, whose watch of that Secret may lag behind those of all others.
 */
function withoutIdentities(facts: FleetFacts): readonly string[] {
  if (unissuedIdentities(facts).length > 0) return []
  const wanted = identitiesDigest(facts.fleet.identities)
  return facts.servers
    .filter(({tls}) => tls?.identities !== undefined && tls.identities !== wanted)
    .map(({name}) => `server ${name} does not have every new identity yet`)
}

function lackingIdentity({identities}: Fleet, proxy: ProxyReport): readonly Lack[] {
  const identity = identities.get(proxy.cluster)
  if (identity === undefined || proxy.identity?.version === identitySecret(identity).version) return []
  return [{what: 'has not acknowledged its new identity', ...reasonOf(proxy)}]
}

function retired({rotation}: Fleet): StageChecks {
  return rotation?.part === 'root' ? credentials : announced
}

/** A rotation of the issuer replaces no credential. */
function lackingCredentials(facts: FleetFacts): readonly string[] {
  return facts.fleet.rotation?.part === 'root' ? credentials.fleet(facts) : []
}

function isCredentialIssued(fleet: Fleet, owner: Owner): boolean {
  const present = fleet.credentials.get(owner)
  const {credentialIssuer, roots} = successorsIn(fleet)
  return present !== undefined && !isSucceeded(present, {signer: credentialIssuer, roots})
}

/** Why an Envoy may not have acknowledged: it refused its secrets, or nothing is sent to it. */
function reasonOf({types, frozen}: ProxyReport): Pick<Lack, 'frozen' | 'refused'> {
  return frozen === undefined ? {refused: types.find(({type}) => type === 'Secret')?.nack} : {frozen}
}

/** What a person does with a new ADS credential. In Kubernetes that of the observability Envoy is in its own cluster, where kubelet refreshes its files. */
export function applyCredential(owner: Owner): string {
  const reconnects = 'its Envoy connects with it within the hour, or when it is restarted'
  if (owner === OBSERVABILITY)
    return `it takes up Secret ${objectNames.credential(owner)} within the hour, or when it is restarted; outside Kubernetes "atlas cluster values ${owner} --format bootstrap --output DIR" writes its files again`
  return `apply Secret ${objectNames.credential(owner)} there, as "atlas cluster values ${owner} --format secret" (or "--format bootstrap --output DIR") writes it; ${reconnects}`
}
