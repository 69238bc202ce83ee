/**
 * What Kubernetes keeps beside the fleet and can be made from it: the Services to which Thanos Query connects, each cluster's Helm
 * values, the DNS zone. Each is one text of the parts that Atlas owns, so that a drift shows. `ops/derive.ts` plans when they are written.
 */
import type {Address} from '../model/address.js'
import {type Cluster, isPending} from '../model/cluster.js'
import {AtlasError, quote} from '../model/errors.js'
import {type Fleet, clusterOf, dialledAddresses} from '../model/fleet.js'
import {byKey} from '../model/listing.js'
import {
  OBSERVABILITY,
  type ObjectKey,
  type Owner,
  derivedOwner,
  labels,
  objectKey,
  objectNames,
  parseObjectKey,
  parseSidecarName,
} from '../model/names.js'
import {remember, rememberLast} from '../model/remember.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import type {Settings} from '../model/settings.js'
import {hasOwnershipMark} from './goatlas.js'
import {FORMAT, type Manifest, encodeBase64, frameOf, keyOf, secretData, secretText} from './manifest.js'
import {renderValues} from './values.js'

/** The selector of those Services: the observability Envoy's pods, as chart `atlas` labels them. */
const ENVOY_SELECTOR: Readonly<Record<string, string>> = {[labels.envoy]: 'observability'}

const marks = {[labels.managedBy]: 'atlas', [labels.format]: FORMAT}
const VALUES = 'values.yaml'
const ZONE = 'atlas.zone'

/** The parts of a derived object that Atlas owns. */
interface Owned {
  readonly labels: Readonly<Record<string, string>>
  readonly spec?: Readonly<Record<string, unknown>>
  readonly text?: string
  /** It has the 2021 program's marks of ownership. */
  readonly owned2021?: true
}

/** Whether an object is one of these. The label counts by presence: the 2021 program's Services have it too. */
export function isDerived(manifest: Manifest): boolean {
  const {kind, metadata} = manifest
  if (kind === 'Service') return metadata.labels?.[labels.sidecar] !== undefined && parseSidecarName(metadata.name) !== undefined
  return derivedOwner(keyOf(manifest)) !== undefined
}

/** Atlas's parts as text: equal text, nothing to write. */
export function derivedText(manifest: Manifest): string {
  const own = manifest.metadata.labels ?? {}
  const kept = Object.fromEntries([...Object.keys(marks), labels.sidecar].filter(key => key in own).map(key => [key, own[key] ?? '']))
  const foreign = hasOwnershipMark(manifest) ? {owned2021: true as const} : {}
  if (manifest.kind === 'Service') return textOf({labels: kept, spec: ownedSpec(manifest.spec), ...foreign})
  const text = manifest.kind === 'Secret' ? readSecret(manifest) : manifest.data?.[ZONE]
  return textOf({labels: kept, ...(text !== undefined && {text}), ...foreign})
}

/** @throws AtlasError `failed` where a Service of that name belongs to another program */
export function encodeDerivedOnto(
  {existing, key, namespace}: {readonly existing: Manifest | undefined; readonly key: ObjectKey; readonly namespace: string},
  text: string,
): Manifest {
  if (existing?.kind === 'Service' && !isDerived(existing))
    throw new AtlasError('failed', `Service "${existing.metadata.name}" is there already and belongs to another program`, {
      hint: 'Thanos Query needs that name for a replica: rename that Service, or the cluster',
    })
  return existing !== undefined && derivedText(existing) === text ? existing : encodeDerived(key, text, namespace)
}

/**
 * A derived object is deleted as a whole.
 * @throws AtlasError `failed` for a ConfigMap that holds more than the zone: the Corefile of a CoreDNS, for instance
 */
export function removeDerived(existing: Manifest | undefined): undefined {
  const others = existing?.kind === 'ConfigMap' ? Object.keys(existing.data ?? {}).filter(key => key !== ZONE) : []
  if (existing === undefined || others.length === 0) return
  const name = quote(existing.metadata.name)
  throw new AtlasError('failed', `ConfigMap ${name} is not deleted: beside the zone it holds ${quote(others.join(', '))}`, {
    hint: 'move what is yours to another ConfigMap, then delete this one',
  })
}

/** The object to be applied: Atlas's parts alone. @param key as the text was made for */
export function encodeDerived(key: ObjectKey, text: string, namespace: string): Manifest {
  const {labels: own, spec, text: content} = JSON.parse(text) as Owned
  const {kind, name} = parseObjectKey(key)
  const frame: Manifest = {apiVersion: 'v1', kind, metadata: {name, namespace, labels: own}}
  if (spec !== undefined) return {...frame, spec}
  if (content === undefined) return frame
  return kind === 'Secret' ? {...frame, type: 'Opaque', data: {[VALUES]: encodeBase64(content)}} : {...frame, data: {[ZONE]: content}}
}

/**
 * `present` as a whole with Atlas's parts in place: the 2021 program's marks of ownership are gone, other parts stay. A server-side
 * apply would leave what other writers put into a selector or a list of ports, and both selectors together would select no pod.
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

/** Whether the 2021 program, or a person, has made the object, or that program marks it as its own. */
export function isForeign(text: string): boolean {
  return !isMarked(text) || (JSON.parse(text) as Owned).owned2021 === true
}

/** Whether this program has written the object, not the 2021 program or a person. */
export function isMarked(text: string): boolean {
  return text.startsWith(MARKED)
}

/** Texts begin with the labels, and this is the first label: thousands of texts are looked at each time. */
const MARKED = `{"labels":{${JSON.stringify(labels.managedBy)}:"atlas"`

/** The zone in a derived text; undefined: there is none. */
export const zoneIn: (text: string | undefined) => string | undefined = rememberLast(text =>
  text === undefined ? undefined : (JSON.parse(text) as Owned).text,
)

/** The derived object of the zone `zone`. */
export function derivedZone(zone: string): readonly [ObjectKey, string] {
  return [objectKey('ConfigMap', objectNames.zone), textOfZone(zone)]
}

const textOfZone = rememberLast((zone: string) => textOf({labels: marks, text: zone}))

/** The derived objects of one owner: none for a cluster that is not served. Values only where the Envoys' ADS address is known. */
export function derivedOf(fleet: Fleet, settings: Settings, owner: Owner): ReadonlyMap<ObjectKey, string> {
  const cluster = owner === OBSERVABILITY ? undefined : clusterOf(fleet, owner)
  if (cluster === undefined && owner !== OBSERVABILITY) return new Map()
  const wanted = new Map<ObjectKey, string>(cluster === undefined ? [] : sidecarsOf(cluster))
  const addresses = dialledAddresses(fleet)
  if (owner === OBSERVABILITY || addresses.length > 0)
    wanted.set(
      objectKey('Secret', objectNames.values(owner)),
      textOf({labels: marks, text: renderValues(connectingTo(settings, addresses), owner)}),
    )
  return wanted
}

const connectingTo = remember((settings: Settings, addresses: readonly Address[]): Settings => ({...settings, addresses}))

function sidecarsOf(cluster: Cluster): readonly (readonly [ObjectKey, string])[] {
  const text = sidecarText(cluster.name)
  return isPending(cluster) ? [] : thanosEndpointsOf(cluster).map(({name}) => [objectKey('Service', name), text])
}

function sidecarText(owner: Owner): string {
  return textOf({
    labels: {...marks, [labels.sidecar]: owner},
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

function readSecret(manifest: Manifest): string | undefined {
  try {
    return secretText(manifest, VALUES)
  } catch {
    // No base64: it is written over.
    return undefined
  }
}

/** Labels in one order, so that equal parts are equal texts. */
function textOf({labels: own, ...rest}: Owned): string {
  const sorted = Object.fromEntries(Object.entries(own).sort(byKey))
  return JSON.stringify({labels: sorted, ...rest})
}
