/**
 * Metrics of single clusters and certificates, set again whenever they are read, so that the series of a cluster that is removed are gone.
 * Names come from registrations and settings alone: nothing that an Envoy says of itself becomes a label.
 */
import {Gauge, type Registry} from 'prom-client'
import type {CertifiedKey, CredentialRecord} from '../lib/model/authority.js'
import {AtlasError} from '../lib/model/errors.js'
import {type Fleet, registeredNames} from '../lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../lib/model/names.js'
import {clusterEntry, clusterNames} from '../lib/ops/cluster/list.js'
import {lifeOf} from '../lib/ops/findings.js'
import {readCertificates, readKey} from '../lib/pki/read.js'

export type CertificateKind = 'client' | 'credential' | 'credential-issuer' | 'identity' | 'issuer' | 'root'

/** An open stream, as far as these metrics show it. */
export interface ConnectedProxy {
  readonly cluster: Owner
  /** The record of the credential that it came with. */
  readonly credential: CredentialRecord | undefined
}

export interface ClusterFacts {
  readonly fleet: Fleet
  /** Undefined: this server serves no Envoys, and knows of none. */
  readonly connected: readonly ConnectedProxy[] | undefined
  readonly now: Date
}

export interface ClusterMetrics {
  /** Replaces what was shown before. */
  set(facts: ClusterFacts): void
}

/** Shows nothing before `set`; times are in seconds since 1970. */
export function openClusterMetrics(registry: Registry): ClusterMetrics {
  const gauge = <Label extends string>(name: string, labelNames: readonly Label[], help: string): Gauge<Label> =>
    new Gauge({name, help, labelNames, registers: [registry]})
  const connected = gauge('atlas_cluster_connected', ['cluster'], '1 while an Envoy of the registered cluster is connected to this server.')
  const state = gauge('atlas_cluster_state', ['cluster', 'state'], '1 for the state of the cluster, as in atlas cluster list.')
  const used = gauge(
    'atlas_cluster_credential_used_ratio',
    ['cluster'],
    'Part of its life that the oldest ADS credential in use by an Envoy of the cluster has lived: 0.5 at half of its life.',
  )
  const expiry = gauge(
    'atlas_certificate_expiry_timestamp_seconds',
    ['owner', 'kind'],
    'When the newest certificate of its owner and kind ends, seconds since 1970.',
  )

  return {
    set({fleet, connected: proxies, now}) {
      for (const gauge of [connected, state, used, expiry]) gauge.reset()
      for (const cluster of clusterNames(fleet)) state.set({cluster, state: clusterEntry(fleet, cluster).state}, 1)
      const owners: readonly Owner[] = [OBSERVABILITY, ...registeredNames(fleet)]
      if (proxies !== undefined) {
        const present = new Set(proxies.map(({cluster}) => cluster))
        for (const cluster of owners) connected.set({cluster}, Number(present.has(cluster)))
        for (const [cluster, ratio] of usedRatios(fleet, proxies, now)) used.set({cluster}, ratio)
      }

      for (const [owner, kind, end] of endsOf(fleet, owners)) expiry.set({owner, kind}, end / 1000)
    },
  }
}

function usedRatios(fleet: Fleet, proxies: readonly ConnectedProxy[], now: Date): ReadonlyMap<Owner, number> {
  const ratios = new Map<Owner, number>()
  for (const {cluster, credential} of proxies) {
    if (credential === undefined) continue
    const {begin, end} = lifeOf(credential, fleet.settings)
    ratios.set(cluster, Math.max(ratios.get(cluster) ?? 0, (now.getTime() - begin) / (end - begin)))
  }

  return ratios
}

/** Owner, kind and end in milliseconds since 1970, of every certificate that decodes. */
function endsOf(
  {trust, identities, records, clients}: Fleet,
  owners: readonly Owner[],
): readonly (readonly [string, CertificateKind, number])[] {
  const bundles = [
    ['root', trust?.roots],
    ['issuer', trust?.issuers],
    ['credential-issuer', trust?.credentialIssuers],
  ] as const
  return [
    ...bundles.flatMap(([kind, certificates = []]) => {
      const ends = certificates.flatMap(pem => decoded(() => readCertificates(pem).map(({notAfter}) => notAfter.getTime())))
      return ends.length === 0 ? [] : [[OBSERVABILITY, kind, Math.max(...ends)] as const]
    }),
    ...owners.flatMap(owner => {
      const valid = (records.get(owner)?.credentials ?? []).filter(({state}) => state === 'valid').map(({notAfter}) => Date.parse(notAfter))
      return [
        ...endOf(identities.get(owner)).map(end => [owner, 'identity', end] as const),
        ...(valid.length === 0 ? [] : [[owner, 'credential', Math.max(...valid)] as const]),
      ]
    }),
    ...[...clients].flatMap(([name, key]) => endOf(key).map(end => [name, 'client', end] as const)),
  ]
}

function endOf(key: CertifiedKey | undefined): readonly number[] {
  return key === undefined ? [] : decoded(() => [readKey(key).notAfter.getTime()])
}

/** Empty for what does not decode: that is a fault of its own, and stops no other metric. */
function decoded(read: () => readonly number[]): readonly number[] {
  try {
    return read()
  } catch (error) {
    if (error instanceof AtlasError) return []
    throw error
  }
}
