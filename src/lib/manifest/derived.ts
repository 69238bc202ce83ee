/**
 * What Kubernetes keeps beside the fleet and follows from it: the Services that Thanos Query dials, each cluster's Helm values, the
 * DNS zone. Each is one text of the parts that Atlas owns, so that a drift shows; writing them is the store's, when is `ops/`'s.
 */
import {type Fleet, type ObjectKey, clusterOf, dialledAddresses} from '../model/fleet.js'
import {replicasOf, isPending} from '../model/cluster.js'
import {OBSERVABILITY, type Owner, objectNames, parseOwner, parseSidecarName, sidecarName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {FORMAT, type Manifest, encodeBase64, frameOf, isOwnershipOf2021, labels, secretData, secretText} from './manifest.js'
import {renderValues} from './values.js'

/** The label of the Services that Thanos Query dials; its value is the cluster's name. */
export const SIDECAR_LABEL = 'goatlas.io/thanos-sidecar'

/** The label by which those Services find the observability Envoy's pods, as chart `atlas` sets it. */
export const ENVOY_SELECTOR: Readonly<Record<string, string>> = {'goatlas.io/envoy': 'observability'}

const marks = {[labels.managedBy]: 'atlas', [labels.format]: FORMAT}
const VALUES = 'values.yaml'
const ZONE = 'atlas.zone'

/** The parts of a derived object that Atlas owns. */
interface Owned {
  readonly labels: Readonly<Record<string, string>>
  readonly spec?: Readonly<Record<string, unknown>>
  readonly text?: string
  /** The 2021 program's marks of ownership stand on it. */
  readonly owned2021?: true
}

/** Whether an object is one of these. The label counts by presence: the 2021 program's Services carry it too. */
export function isDerived(manifest: Manifest): boolean {
  const {kind, metadata} = manifest
  if (kind === 'Service') return metadata.labels?.[SIDECAR_LABEL] !== undefined && parseSidecarName(metadata.name) !== undefined
  return derivedOwner(`${kind}/${metadata.name}`) !== undefined
}

/** Whose a derived object is; `zone` for what is everybody's; undefined: it is no derived object's key. */
export function derivedOwner(key: ObjectKey): Owner | 'zone' | undefined {
  const [kind = '', name = ''] = key.split('/')
  if (kind === 'Service') return parseSidecarName(name)?.cluster
  if (key === `ConfigMap/${objectNames.zone}`) return 'zone'
  const suffix = objectNames.values(OBSERVABILITY).slice(OBSERVABILITY.length)
  if (kind !== 'Secret' || !name.endsWith(suffix)) return undefined
  try {
    return parseOwner(name.slice(0, -suffix.length))
  } catch {
    return undefined
  }
}

/** Its owned parts as text: equal text, nothing to write. */
export function derivedText(manifest: Manifest): string {
  const own = manifest.metadata.labels ?? {}
  const kept = Object.fromEntries([...Object.keys(marks), SIDECAR_LABEL].filter(key => key in own).map(key => [key, own[key] ?? '']))
  const foreign = hasOwnerOf2021(manifest) ? {owned2021: true as const} : {}
  if (manifest.kind === 'Service') return textOf({labels: kept, spec: ownedSpec(manifest.spec), ...foreign})
  const text = manifest.kind === 'Secret' ? readSecret(manifest) : manifest.data?.[ZONE]
  return textOf({labels: kept, ...(text !== undefined && {text}), ...foreign})
}

/** The object to be applied. @param key as the text was made for */
export function encodeDerived(key: ObjectKey, text: string, namespace: string): Manifest {
  const {labels: own, spec, text: content} = JSON.parse(text) as Owned
  const [kind = '', name = ''] = key.split('/')
  const frame: Manifest = {apiVersion: 'v1', kind, metadata: {name, namespace, labels: own}}
  if (spec !== undefined) return {...frame, spec}
  if (content === undefined) return frame
  return kind === 'Secret' ? {...frame, type: 'Opaque', data: {[VALUES]: encodeBase64(content)}} : {...frame, data: {[ZONE]: content}}
}

/**
 * `present` as a whole with Atlas's parts in place: the 2021 program's marks of ownership are gone, what is others' stays. An apply
 * leaves what others have written into a selector or a list of ports, and both together would select nobody.
 */
export function derivedOnto(present: Manifest, derived: Manifest): Manifest {
  const {kind, metadata, spec, data} = derived
  const {stringData: _, ...frame} = frameOf(present, [kind, metadata.name], metadata.namespace ?? '')
  return {
    ...frame,
    metadata: {...frame.metadata, labels: {...frame.metadata.labels, ...metadata.labels}},
    ...(spec !== undefined && {spec: {...present.spec, ...spec}}),
    ...(data !== undefined && {data: {...secretData(present), ...data}}),
  }
}

/** Whether the 2021 program, or somebody by hand, has made the object, or claims it. */
export function isForeign(text: string): boolean {
  return !isMarked(text) || (JSON.parse(text) as Owned).owned2021 === true
}

/** Whether the object is written by this program, and not by the one of 2021 or by hand. */
export function isMarked(text: string): boolean {
  return text.startsWith(MARKED)
}

/** Labels come first in these texts, and this one is the first of them: thousands are asked for it at a time. */
const MARKED = `{"labels":{${JSON.stringify(labels.managedBy)}:"atlas"`

/** The zone's own text; undefined: there is none. */
export function zoneIn(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Owned).text
}

/** What is to stand there for the zone `zone`. */
export function derivedZone(zone: string): readonly [ObjectKey, string] {
  return [`ConfigMap/${objectNames.zone}`, textOf({labels: marks, text: zone})]
}

/** What is to stand there for one owner: nothing for a cluster that is not served. Values only where it is known what to dial. */
export function derivedOf(fleet: Fleet, settings: Settings, owner: Owner): ReadonlyMap<ObjectKey, string> {
  const cluster = owner === OBSERVABILITY ? undefined : clusterOf(fleet, owner)
  if (cluster === undefined && owner !== OBSERVABILITY) return new Map()
  const services = cluster === undefined || isPending(cluster) ? [] : replicasOf(cluster)
  const wanted = new Map<ObjectKey, string>(
    services.map(replica => [`Service/${sidecarName((cluster as NonNullable<typeof cluster>).name, replica)}`, sidecarText(owner)]),
  )
  const addresses = dialledAddresses(fleet)
  if (owner === OBSERVABILITY || addresses.length > 0)
    wanted.set(`Secret/${objectNames.values(owner)}`, textOf({labels: marks, text: renderValues({...settings, addresses}, owner)}))
  return wanted
}

function sidecarText(owner: Owner): string {
  return textOf({
    labels: {...marks, [SIDECAR_LABEL]: owner},
    spec: ownedSpec({
      clusterIP: 'None',
      selector: ENVOY_SELECTOR,
      ports: [{name: 'thanos', port: 10_901, targetPort: 10_901, protocol: 'TCP'}],
    }),
  })
}

function ownedSpec(spec: Manifest['spec']): Readonly<Record<string, unknown>> {
  const ports = Array.isArray(spec?.['ports']) ? (spec['ports'] as readonly Readonly<Record<string, unknown>>[]) : []
  return {
    clusterIP: spec?.['clusterIP'],
    selector: spec?.['selector'],
    ports: ports.map(({name, port, targetPort, protocol}) => ({name, port, targetPort, protocol})),
  }
}

function hasOwnerOf2021({metadata}: Manifest): boolean {
  return [metadata.labels, metadata.annotations].some(map => Object.keys(map ?? {}).some(key => isOwnershipOf2021(key)))
}

function readSecret(manifest: Manifest): string | undefined {
  try {
    return secretText(manifest, VALUES)
  } catch {
    // No base64: whatever stands there is written over.
    return undefined
  }
}

/** Labels in one order, so that equal parts are equal texts. */
function textOf({labels: own, ...rest}: Owned): string {
  const sorted = Object.fromEntries(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1)))
  return JSON.stringify({labels: sorted, ...rest})
}
