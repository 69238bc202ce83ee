/** A Kubernetes object as Atlas reads and writes it, marked as Atlas's own. */
import {AtlasError, invalid, quote} from '../model/errors.js'
import {type ObjectKey, labels, objectKey} from '../model/names.js'
import {withoutOwnershipMarks} from './goatlas.js'
import {isFields} from './json.js'

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly [other: string]: unknown
  }
  readonly type?: string
  readonly data?: Readonly<Record<string, string>>
  readonly stringData?: Readonly<Record<string, string>>
  readonly spec?: Readonly<Record<string, unknown>>
  readonly [other: string]: unknown
}

/** The format of what this version writes; a newer one is refused by name. */
export const FORMAT = '1'

/** `<kind>/<name>`. */
export function keyOf(manifest: Manifest): ObjectKey {
  return objectKey(manifest.kind, manifest.metadata.name)
}

/** @throws AtlasError `invalid` for anything that is no Kubernetes object of the kinds Atlas uses */
export function parseManifest(value: unknown): Manifest {
  if (!isFields(value)) throw new AtlasError('invalid', 'it must be a Kubernetes object; it is something else')
  const {apiVersion, kind, metadata} = value
  if (apiVersion !== 'v1' || typeof kind !== 'string' || !/^[A-Za-z]{1,63}$/.test(kind))
    throw new AtlasError(
      'invalid',
      `apiVersion must be "v1" and kind the name of a kind; got ${[apiVersion, kind].map(each => (typeof each === 'string' ? nameOf(each) : 'something else')).join(' and ')}`,
    )
  if (!isFields(metadata) || typeof metadata['name'] !== 'string' || !/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(metadata['name']))
    throw new AtlasError('invalid', 'metadata.name must be the name of a Kubernetes object')
  for (const [path, map] of [
    ['metadata.labels', metadata['labels']],
    ['metadata.annotations', metadata['annotations']],
    ['data', value['data']],
    ['stringData', value['stringData']],
  ] as const)
    checkStrings(path, map)
  if (!kinds.has(kind) && isMarked(metadata))
    throw invalid('the kind of an object with labels or annotations of Atlas', [...kinds].join(', '), kind)
  if (value['spec'] !== undefined && !isFields(value['spec'])) throw new AtlasError('invalid', 'spec must be an object')
  if (value['type'] !== undefined && typeof value['type'] !== 'string') throw new AtlasError('invalid', 'type must be text')
  const {namespace} = metadata
  if (namespace !== undefined && (typeof namespace !== 'string' || !isLabel(namespace)))
    throw new AtlasError('invalid', 'metadata.namespace must be the name of a Kubernetes namespace')
  return value as unknown as Manifest
}

/** Whether it is being deleted and waits for a finalizer: it will be gone even if it is written again. */
export function isLeaving({metadata}: Manifest): boolean {
  return metadata['deletionTimestamp'] !== undefined
}

/** What is wrong with an object of another format than this version knows; undefined: it is of this format, or not Atlas's. */
export function newerFormat(manifest: Manifest): string | undefined {
  const format = manifest.metadata.labels?.[labels.format]
  if (format === undefined || format === FORMAT) return undefined
  return `label ${labels.format} must be "${FORMAT}", the format that this version of Atlas knows; got ${quote(format)}: use the version that wrote it`
}

/** The object's frame: what was there, marked as Atlas's own, without the marks of other owners. */
export function frameOf(existing: Manifest | undefined, [kind, name]: readonly [kind: string, name: string], namespace: string): Manifest {
  const {annotations, ...metadata} = existing?.metadata ?? {name, namespace}
  const noted = withoutOwnershipMarks(annotations)
  return {
    ...(existing ?? {apiVersion: 'v1', kind}),
    apiVersion: 'v1',
    kind,
    metadata: {
      ...metadata,
      name,
      labels: {...withoutOwnershipMarks(metadata.labels), [labels.managedBy]: 'atlas', [labels.format]: FORMAT},
      ...(Object.keys(noted).length > 0 && {annotations: noted}),
    },
  }
}

/** One text of a Secret: `stringData`, or else `data` decoded; undefined: it has none. @throws AtlasError `invalid` for bad base64 */
export function secretText(manifest: Manifest, key: string): string | undefined {
  const plain = ownText(manifest.stringData, key)
  if (plain !== undefined) return plain
  const encoded = ownText(manifest.data, key)
  return encoded === undefined ? undefined : decodeBase64(key, encoded)
}

/** A Secret's `data` as the API server keeps it: `stringData` encoded into it. What is no base64 stays as it is. */
export function secretData(manifest: Manifest | undefined): Readonly<Record<string, string>> {
  const plain = Object.entries(manifest?.stringData ?? {}).map(([key, text]) => [key, encodeBase64(text)] as const)
  return {...manifest?.data, ...Object.fromEntries(plain)}
}

/** As `data` of a Secret holds text. */
export function encodeBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

/** The text behind base64, white space in it allowed. @param key names it in messages @throws AtlasError `invalid` */
export function decodeBase64(key: string, text: string): string {
  const bare = text.replaceAll(/\s/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(bare) || bare.length % 4 !== 0)
    throw new AtlasError('invalid', `data[${nameOf(key)}] must be base64; it is not`)
  return Buffer.from(bare, 'base64').toString('utf8')
}

/** The kinds that Atlas reads. There may be objects of other kinds, but a misspelt kind of Atlas's own must not pass for one of those. */
const kinds: ReadonlySet<string> = new Set(['ConfigMap', 'Secret', 'Service'])

function isMarked(metadata: Readonly<Record<string, unknown>>): boolean {
  const entries = [metadata['labels'], metadata['annotations']].flatMap(map => (isFields(map) ? Object.entries(map) : []))
  return entries.some(([key, value]) => /^(group\.)?goatlas\.io\//.test(key) || (key === labels.managedBy && value === 'atlas'))
}

function checkStrings(path: string, map: unknown): void {
  if (map === undefined || map === null) return
  if (!isFields(map)) throw new AtlasError('invalid', `${path} must be an object of texts`)
  for (const [key, value] of Object.entries(map))
    if (typeof value !== 'string')
      throw new AtlasError(
        'invalid',
        `${path}[${nameOf(key)}] must be text in quotes; got ${value === null ? 'null' : `a ${typeof value}`}`,
      )
}

function ownText(map: Readonly<Record<string, string>> | undefined, key: string): string | undefined {
  return Object.hasOwn(map ?? {}, key) ? map?.[key] : undefined
}

/** A name for messages. A line of a misplaced private key may have become a name, so a name of that length is not shown. */
function nameOf(key: string): string {
  return key.length <= 40 ? quote(key) : `a name of ${key.length} characters`
}

/** RFC 1123 label. */
function isLabel(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)
}
