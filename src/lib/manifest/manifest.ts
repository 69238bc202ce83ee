/** A Kubernetes object as Atlas reads and writes it, and the labels that mark Atlas's own. */
import {AtlasError, invalid, quote} from '../model/errors.js'
import type {ObjectKey} from '../model/fleet.js'

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

export const labels = {
  managedBy: 'app.kubernetes.io/managed-by',
  format: 'goatlas.io/format',
  cluster: 'goatlas.io/cluster',
  replicas: 'goatlas.io/replicas',
  group: 'group.goatlas.io/',
} as const

/** `<kind>/<name>`. */
export function keyOf(manifest: Manifest): ObjectKey {
  return `${manifest.kind}/${manifest.metadata.name}`
}

/** @throws AtlasError `invalid` for anything that is no Kubernetes object of the kinds Atlas uses */
export function parseManifest(value: unknown): Manifest {
  if (!isRecord(value)) throw new AtlasError('invalid', 'wanted a Kubernetes object; got something else')
  const {apiVersion, kind, metadata} = value
  if (apiVersion !== 'v1' || typeof kind !== 'string' || !/^[A-Za-z]{1,63}$/.test(kind))
    throw invalid('apiVersion and kind', '"v1" and a kind', `${String(apiVersion)} ${String(kind)}`)
  if (!isRecord(metadata) || typeof metadata['name'] !== 'string' || !/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(metadata['name']))
    throw new AtlasError('invalid', 'metadata.name must be the name of a Kubernetes object')
  for (const [path, map] of [
    ['metadata.labels', metadata['labels']],
    ['metadata.annotations', metadata['annotations']],
    ['data', value['data']],
    ['stringData', value['stringData']],
  ] as const)
    checkStrings(path, map)
  if (value['spec'] !== undefined && !isRecord(value['spec'])) throw new AtlasError('invalid', 'spec must be an object')
  return value as unknown as Manifest
}

/** @throws AtlasError `invalid` where the object is of a newer format than this version knows */
export function checkFormat(manifest: Manifest): void {
  const format = manifest.metadata.labels?.[labels.format]
  if (format !== undefined && format !== FORMAT)
    throw new AtlasError(
      'invalid',
      `label ${labels.format} must be "${FORMAT}", the format that this version of Atlas knows; got ${quote(format)}`,
      {hint: 'use the newer version of Atlas that wrote it'},
    )
}

/** The object's frame: what was there, marked as Atlas's own. */
export function frameOf(existing: Manifest | undefined, [kind, name]: readonly [kind: string, name: string], namespace: string): Manifest {
  const metadata = existing?.metadata ?? {name, namespace}
  return {
    ...(existing ?? {apiVersion: 'v1', kind}),
    apiVersion: 'v1',
    kind,
    metadata: {...metadata, name, labels: {...metadata.labels, [labels.managedBy]: 'atlas', [labels.format]: FORMAT}},
  }
}

/** A ConfigMap's or Secret's texts, `data` of a Secret decoded, `stringData` on top. @throws AtlasError `invalid` for bad base64 */
export function textsOf(manifest: Manifest): Readonly<Record<string, string>> {
  if (manifest.kind !== 'Secret') return manifest.data ?? {}
  return Object.fromEntries([
    ...Object.entries(manifest.data ?? {}).map(([key, value]) => [key, decodeBase64(key, value)] as const),
    ...Object.entries(manifest.stringData ?? {}),
  ])
}

export function encodeBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

/** Text of a value under `data`, white space in it allowed. @throws AtlasError `invalid`, which names the key */
export function decodeBase64(key: string, text: string): string {
  const bare = text.replaceAll(/\s/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(bare) || bare.length % 4 !== 0)
    throw new AtlasError('invalid', `data.${key} must be base64; it is not`)
  return Buffer.from(bare, 'base64').toString('utf8')
}

function checkStrings(path: string, map: unknown): void {
  if (map === undefined || map === null) return
  if (!isRecord(map)) throw new AtlasError('invalid', `${path} must be an object of texts`)
  for (const [key, value] of Object.entries(map))
    if (typeof value !== 'string')
      throw new AtlasError('invalid', `${path}[${quote(key)}] must be text in quotes; got ${value === null ? 'null' : `a ${typeof value}`}`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
