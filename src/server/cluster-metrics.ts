/**
 * Metrics of single clusters and certificates, rendered whenever they are read, so that the series of a cluster that is removed are gone.
 * Names come from registrations and settings alone: nothing that an Envoy says of itself becomes a label.
 */
import type {CertifiedKey, CredentialRecord} from '../lib/model/authority.js'
import {AtlasError} from '../lib/model/errors.js'
import {type Fleet, isBroken, servedNames} from '../lib/model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner} from '../lib/model/names.js'
import {clusterEntry, clusterNames} from '../lib/ops/cluster/list.js'
import {lifeOf} from '../lib/ops/credential-findings.js'
import {rotationWaits} from '../lib/ops/rotation/late.js'
import {type CertificateFacts, readCertificates, readKey} from '../lib/pki/read.js'
import {BACKDATED} from '../lib/pki/rotation.js'

export type CertificateKind = 'client' | 'credential' | 'credential-issuer' | 'identity' | 'issuer' | 'root' | 'server'

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
  /** The series of these metrics, in Prometheus' text format; those of clusters that are removed are gone. */
  text(facts: ClusterFacts): string
}

/** Names and helps; times are in seconds since 1970. */
const helps = {
  atlas_cluster_connected: '1 while an Envoy of the registered cluster is connected to this server.',
  atlas_cluster_state: '1 for the state of the cluster, as in atlas cluster list.',
  atlas_cluster_credential_used_ratio:
    'Part of its life that the oldest ADS credential in use by an Envoy of the cluster has lived: 0.5 at half of its life.',
  atlas_certificate_expiry_timestamp_seconds: 'When the newest certificate of its owner and kind ends, seconds since 1970.',
  atlas_certificate_used_ratio: 'Part of its life that the newest certificate of its owner and kind has lived: 1 at its end.',
  atlas_rotation_waiting_seconds: 'For how long the present stage of a rotation has waited; 0 where none waits.',
} as const

/** What the lines of one owner are made from, and the lines. */
interface OwnerLines {
  readonly madeOf: readonly unknown[]
  readonly newest: readonly Newest[]
  readonly expiry: string
  /** Undefined: it is no cluster. */
  readonly state: string | undefined
}

/** The lines of an owner are kept until what they are made from is another: a thousand clusters would take 20 ms at each reading otherwise. */
export function openClusterMetrics(): ClusterMetrics {
  let known: ReadonlyMap<Owner, OwnerLines> = new Map()

  /** @param cluster undefined: it is the observability cluster */
  function linesOf(fleet: Fleet, owner: Owner, cluster: ClusterName | undefined): OwnerLines {
    const {records, identities, registrations, settings} = fleet
    const madeOf = [
      isBroken(fleet, 'registration', owner),
      records.get(owner),
      identities.get(owner),
      cluster && registrations.get(cluster),
      settings,
    ]
    const before = known.get(owner)
    if (before?.madeOf.every((value, index) => value === madeOf[index]) === true) return before
    const newest = newestOfOwner(fleet, owner)
    return {
      ...{madeOf, newest},
      expiry: expiryLines(newest),
      state: cluster && line('atlas_cluster_state', {cluster, state: clusterEntry(fleet, cluster).state}, 1),
    }
  }

  return {
    text({fleet, connected, now}) {
      const served: readonly Owner[] = [OBSERVABILITY, ...servedNames(fleet)]
      const clusters = clusterNames(fleet)
      const lines = new Map<Owner, OwnerLines>([[OBSERVABILITY, linesOf(fleet, OBSERVABILITY, undefined)]])
      for (const name of clusters) lines.set(name, linesOf(fleet, name, name))
      known = lines
      const others = newestOfOthers(fleet)
      const present = new Set(connected?.map(({cluster}) => cluster))
      const ratios = connected === undefined ? [] : [...usedRatios(fleet, connected, now)]
      return [
        metricText(
          'atlas_cluster_connected',
          connected === undefined ? [] : served.map(cluster => line('atlas_cluster_connected', {cluster}, Number(present.has(cluster)))),
        ),
        metricText(
          'atlas_cluster_state',
          [...lines.values()].flatMap(({state}) => state ?? []),
        ),
        metricText(
          'atlas_cluster_credential_used_ratio',
          ratios.map(([cluster, ratio]) => line('atlas_cluster_credential_used_ratio', {cluster}, ratio)),
        ),
        metricText('atlas_certificate_expiry_timestamp_seconds', [
          expiryLines(others),
          ...served.map(owner => lines.get(owner)?.expiry ?? ''),
        ]),
        metricText(
          'atlas_certificate_used_ratio',
          [...others, ...served.flatMap(owner => lines.get(owner)?.newest ?? [])].map(([owner, kind, life]) =>
            line('atlas_certificate_used_ratio', {owner, kind}, usedPart(life, now)),
          ),
        ),
        metricText('atlas_rotation_waiting_seconds', [line('atlas_rotation_waiting_seconds', {}, rotationWaits(fleet, now) / 1000)]),
      ].join('')
    },
  }
}

function metricText(name: keyof typeof helps, lines: readonly string[]): string {
  return `# HELP ${name} ${helps[name]}\n# TYPE ${name} gauge\n${lines.join('')}`
}

/** Names of clusters, clients, kinds and states have no character that needs to be escaped. */
function line(name: keyof typeof helps, labels: Readonly<Record<string, string>>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
}

/** An owner, a kind, and the life of its newest certificate. */
type Newest = readonly [string, CertificateKind, Life]

function expiryLines(all: readonly Newest[]): string {
  return all.map(([owner, kind, {end}]) => line('atlas_certificate_expiry_timestamp_seconds', {owner, kind}, end / 1000)).join('')
}

function usedRatios(fleet: Fleet, proxies: readonly ConnectedProxy[], now: Date): ReadonlyMap<Owner, number> {
  const ratios = new Map<Owner, number>()
  for (const {cluster, credential} of proxies) {
    if (credential === undefined) continue
    const {begin, end} = lifeOf(credential, fleet.settings)
    ratios.set(cluster, Math.max(ratios.get(cluster) ?? 0, usedPart({begin, end}, now)))
  }

  return ratios
}

/** A certificate's begin, without the time by which it is dated back, and its end; milliseconds since 1970. */
interface Life {
  readonly begin: number
  readonly end: number
}

function usedPart({begin, end}: Life, now: Date): number {
  return (now.getTime() - begin) / (end - begin)
}

/** Of an owner's certificates, as far as they decode. */
function newestOfOwner({identities, records, settings}: Fleet, owner: Owner): readonly Newest[] {
  const valid = (records.get(owner)?.credentials ?? []).filter(({state}) => state === 'valid')
  return [
    ...newestIn(owner, 'identity', ofKey(identities.get(owner))),
    ...newestIn(
      owner,
      'credential',
      valid.map(credential => lifeOf(credential, settings)),
    ),
  ]
}

/** Of the certificates of the installation and of internal clients, as far as they decode. */
function newestOfOthers({trust, clients, server}: Fleet): readonly Newest[] {
  const bundles = [
    ['root', trust?.roots],
    ['issuer', trust?.issuers],
    ['credential-issuer', trust?.credentialIssuers],
  ] as const
  return [
    ...bundles.flatMap(([kind, certificates = []]) => {
      const lives = certificates.flatMap(pem => decoded(() => readCertificates(pem).map(facts => lifeIn(facts))))
      return newestIn(OBSERVABILITY, kind, lives)
    }),
    ...newestIn(OBSERVABILITY, 'server', ofKey(server)),
    ...[...clients].flatMap(([name, key]) => newestIn(name, 'client', ofKey(key))),
  ]
}

function newestIn(owner: string, kind: CertificateKind, [first, ...others]: readonly Life[]): readonly Newest[] {
  return first === undefined ? [] : [[owner, kind, others.reduce((newest, other) => (other.end > newest.end ? other : newest), first)]]
}

function ofKey(key: CertifiedKey | undefined): readonly Life[] {
  return key === undefined ? [] : decoded(() => [lifeIn(readKey(key))])
}

function lifeIn({notBefore, notAfter}: CertificateFacts): Life {
  return {begin: notBefore.getTime() + BACKDATED * 1000, end: notAfter.getTime()}
}

/** Empty for what does not decode: that is a fault of its own, and stops no other metric. */
function decoded(read: () => readonly Life[]): readonly Life[] {
  try {
    return read()
  } catch (error) {
    if (error instanceof AtlasError) return []
    throw error
  }
}
