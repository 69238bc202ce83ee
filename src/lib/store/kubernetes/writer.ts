/** Writes one object to the API server: created, replaced and deleted only as it was last known, derived ones applied by force. */
import {parseObjectKey} from '../../model/names.js'
import {derivedOnto, derivedText, isDerived, isForeign} from '../../manifest/derived.js'
import type {Manifest} from '../../manifest/manifest.js'
import {AtlasError} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import type {StoredObject, Writing} from '../objects.js'
import {storedObject} from './cache.js'
import type {Client} from './client.js'
import {type RawObject, kinds} from './list-watch.js'
import type {Asked} from './api-error.js'

/** Who Atlas is to server-side apply (Kubernetes docs, "Server-Side Apply"). */
const MANAGER = 'atlas-controller'

const resources: Readonly<Record<string, string>> = Object.fromEntries(Object.entries(kinds).map(([resource, kind]) => [kind, resource]))

/** Where an object is asked for. @throws AtlasError `failed` for a kind that is none of Atlas's */
export function addressOf(
  key: ObjectKey,
  namespace: string,
  verb: Asked['verb'],
): {readonly asked: Asked; readonly path: string; readonly kind: string} {
  const {kind, name} = parseObjectKey(key)
  const resource = resources[kind]
  if (resource === undefined) throw new AtlasError('failed', `Atlas keeps no ${kind}`)
  const collection = `/api/v1/namespaces/${namespace}/${resource}`
  return {asked: {verb, resource, group: '', namespace, name}, path: verb === 'create' ? collection : `${collection}/${name}`, kind}
}

/** @returns undefined where it is not there @throws AtlasError as the client's */
export async function readObject(client: Client, key: ObjectKey, namespace: string): Promise<StoredObject | undefined> {
  const {kind, ...request} = addressOf(key, namespace, 'get')
  try {
    return storedObject(kind, (await client.call(request)) as RawObject)
  } catch (error) {
    if (error instanceof AtlasError && error.code === 'not-found') return undefined
    throw error
  }
}

/** How, where and by whose leave an object is written. */
interface WritingTo extends Writing {
  readonly namespace: string
  /** Of a derived object, as it is known to be, and the registration that it goes with. */
  readonly present: StoredObject | undefined
  readonly owner: StoredObject | undefined
  /** Asked just before anything is sent. @throws AtlasError what keeps it from being sent */
  readonly permit: () => void
}

/**
 * @param manifest undefined deletes
 * @returns the object as the server keeps it
 * @throws AtlasError `conflict` where it is not at `writing.base`
 */
export async function writeObject(
  client: Client,
  key: ObjectKey,
  manifest: Manifest | undefined,
  writing: WritingTo,
): Promise<StoredObject | undefined> {
  const {base} = writing
  if (manifest === undefined) {
    if (base !== undefined) await deleteObject(client, key, base, writing)
    return undefined
  }

  if (writing.isDerived)
    return isReplaced(writing.present) ? replace(client, key, manifest, writing) : apply(client, key, manifest, writing)
  if (base === undefined) return send(client, key, 'create', withoutVersion(manifest), writing)
  return send(client, key, 'update', {...manifest, metadata: {...manifest.metadata, resourceVersion: base}}, writing)
}

/** Whoever was faster has it still. */
async function deleteObject(client: Client, key: ObjectKey, base: string, {namespace, permit}: WritingTo): Promise<void> {
  const {kind: _, ...request} = addressOf(key, namespace, 'delete')
  try {
    await client.call({...request, body: {apiVersion: 'v1', kind: 'DeleteOptions', preconditions: {resourceVersion: base}}, permit})
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'not-found') throw error
  }
}

/**
 * Whether an apply is not enough: what others have written outlives it, by other means or under other names, such as a label in a
 * selector, a port, the 2021 program's marks of ownership.
 */
function isReplaced(present: StoredObject | undefined): boolean {
  if (present?.manifest === undefined || !isDerived(present.manifest)) return false
  return present.manifest.kind === 'Service' || isForeign(derivedText(present.manifest))
}

/** In one write, so that no Service is ever seen with both selectors, and nobody behind it. */
async function replace(client: Client, key: ObjectKey, manifest: Manifest, writing: WritingTo): Promise<StoredObject> {
  const {base, owner, present} = writing
  const wanted = owned(present?.manifest === undefined ? manifest : derivedOnto(present.manifest, manifest), owner)
  // On condition of its version: a server that lost its Lease meanwhile writes nothing.
  return send(client, key, 'update', {...wanted, metadata: {...wanted.metadata, resourceVersion: base}}, writing)
}

async function apply(client: Client, key: ObjectKey, manifest: Manifest, writing: WritingTo): Promise<StoredObject> {
  const {base, namespace, owner, permit} = writing
  const {kind, ...request} = addressOf(key, namespace, 'patch')
  const wanted = owned(withoutVersion(manifest), owner)
  const metadata = {...wanted.metadata, namespace, ...(base !== undefined && {resourceVersion: base})}
  const applied = await client.call({
    ...request,
    query: {fieldManager: MANAGER, force: 'true'},
    contentType: 'application/apply-patch+yaml',
    body: {...wanted, metadata},
    permit,
  })
  return storedObject(kind, applied as RawObject)
}

/** Goes when the registration goes, even where no Atlas runs any more. Never blocks its deletion: that takes a right of its own. */
function owned(manifest: Manifest, owner: StoredObject | undefined): Manifest {
  const uid = owner?.manifest?.metadata['uid']
  if (owner?.manifest === undefined || typeof uid !== 'string') return manifest
  const reference = {
    apiVersion: 'v1',
    kind: owner.manifest.kind,
    name: owner.manifest.metadata.name,
    uid,
    controller: true,
    blockOwnerDeletion: false,
  }
  const others = (manifest.metadata['ownerReferences'] ?? []) as readonly {readonly uid?: unknown}[]
  const ownerReferences = [...others.filter(other => other.uid !== uid), reference]
  return {...manifest, metadata: {...manifest.metadata, ownerReferences}}
}

async function send(
  client: Client,
  key: ObjectKey,
  verb: 'create' | 'update',
  manifest: Manifest,
  {namespace, permit}: WritingTo,
): Promise<StoredObject> {
  const {kind, ...request} = addressOf(key, namespace, verb)
  const body = {...manifest, metadata: {...manifest.metadata, namespace}}
  const query = {fieldManager: MANAGER}
  try {
    return storedObject(kind, (await client.call({...request, body, query, permit})) as RawObject)
  } catch (error) {
    // It was there when it was looked at: another writer was faster.
    if (verb === 'update' && error instanceof AtlasError && error.code === 'not-found')
      throw new AtlasError('conflict', `${key} in namespace ${namespace} was removed by another writer`, {hint: 'run the command again'})
    throw error
  }
}

function withoutVersion(manifest: Manifest): Manifest {
  const {resourceVersion: _r, uid: _u, creationTimestamp: _c, generation: _g, selfLink: _s, ...metadata} = manifest.metadata
  return {...manifest, metadata}
}
