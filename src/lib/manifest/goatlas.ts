/**
 * What is read otherwise because the 2021 program ("goatlas") wrote it: its marks of ownership, its registrations, its names in the
 * zone. All of it is here, so that it can be dropped one day. The names of labels and annotations are Atlas's, too (model/names.ts).
 */
import {parseAddresses} from '../model/address.js'
import type {Cluster, ServiceTargets} from '../model/cluster.js'
import {AtlasError, messageOf, quote} from '../model/errors.js'
import {annotations, labels} from '../model/names.js'
import {at} from './path.js'

type Texts = Readonly<Record<string, string>>

/** A Kubernetes object, as far as it matters here. */
interface Marked {
  readonly metadata: {readonly labels?: Texts; readonly annotations?: Texts}
  readonly spec?: Readonly<Record<string, unknown>>
}

/**
 * Labels and annotations that mark the 2021 program as the object's owner: where that program finds one, it may write over what Atlas
 * wrote, or delete it. One of them repeats the whole object as it was, with a private key if there is one.
 */
const OWNERSHIP = 'objectset.rio.cattle.io/'

export function hasOwnershipMark({metadata}: Marked): boolean {
  return [metadata.labels, metadata.annotations].some(map => Object.keys(map ?? {}).some(key => key.startsWith(OWNERSHIP)))
}

/** Labels or annotations without the marks of ownership. */
export function withoutOwnershipMarks(map: Texts = {}): Texts {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !key.startsWith(OWNERSHIP)))
}

/** Whether Atlas has written a registration's labels. If not, it may be the 2021 program's, and less strict rules apply. */
export function isWrittenByAtlas(own: Texts): boolean {
  return own[labels.format] !== undefined || own[labels.managedBy] === 'atlas'
}

/**
 * A number of replicas that can't be read means 1 in a registration of the 2021 program, with a remark; in any other it is a fault, so that
 * a slip takes no replica away.
 */
export function replicasOr1({own, noted}: {readonly own: Texts; readonly noted: Texts}, parse: () => number): Lenient {
  try {
    return {replicas: parse(), remarks: []}
  } catch (error) {
    if (!mayBeOf2021(own, noted)) throw error
    return {
      replicas: 1,
      remarks: [`label ${quote(labels.replicas)} has no effect, and the cluster counts as one replica: ${messageOf(error)}`],
    }
  }
}

interface Lenient {
  readonly replicas: number
  /** What only an adopted installation passes over in silence. */
  readonly remarks: readonly string[]
}

/** The selector of the Envoys that the 2021 program looked for. Atlas reads no such selector. */
export const ENVOY_SELECTORS = 'goatlas.io/envoy-selectors'

/** A remark on each annotation that only the 2021 program read. */
export function goatlasRemarks(noted: Texts): readonly string[] {
  if (noted[ENVOY_SELECTORS] === undefined) return []
  return [`annotation ${quote(ENVOY_SELECTORS)} has no effect: only the 2021 program read it`]
}

/** Whether a registration can be the 2021 program's: it has no label or annotation that only Atlas knows. */
function mayBeOf2021(own: Texts, noted: Texts): boolean {
  const keys = [...Object.keys(own), ...Object.keys(noted)].filter(key => /^([a-z]+\.)?goatlas\.io\//.test(key))
  return !isWrittenByAtlas(own) && keys.every(key => keysOf2021.includes(key))
}

const keysOf2021: readonly string[] = [
  ...[labels.cluster, labels.replicas, ENVOY_SELECTORS],
  ...['thanos', 'prometheus', 'alertmanager'].map(service => annotations.service(service)),
]

/** The addresses of a registration without an annotation for them. @throws AtlasError `invalid` */
export function externalIps({spec}: Marked): Cluster['addresses'] {
  const external = spec?.['externalIPs'] ?? []
  if (!Array.isArray(external) || !external.every(entry => typeof entry === 'string'))
    throw new AtlasError('invalid', 'spec.externalIPs must be a list of addresses')
  return at('spec.externalIPs', () => parseAddresses(external.join(',')))
}

/** The `spec` of a Service that Atlas hasn't made: its ports stay as they are. */
export function keptSpec(existing: Marked | undefined): Marked['spec'] {
  return existing?.metadata.labels?.[labels.format] === undefined ? existing?.spec : undefined
}

/**
 * The addresses that the 2021 program assumed inside a cluster: the Services that Prometheus Operator makes for any Prometheus. They
 * don't distinguish replicas.
 */
export function operatedTargets(namespace: string): ServiceTargets {
  const domain = `${namespace}.svc.cluster.local`
  const prometheus = `prometheus-operated.${domain}`
  return {
    thanos: {host: prometheus, port: 10_901},
    prometheus: {host: prometheus, port: 9090},
    alertmanager: {host: `alertmanager-operated.${domain}`, port: 9093},
  }
}

/** Names of port 10901 in the zone: the 2021 program's documents used `grpc`, its command line and demo `thanos`. */
export const zonePortNames = ['grpc', 'thanos'] as const
