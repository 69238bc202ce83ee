/** Writes one object to the API server: stored objects on condition of their resource version, derived ones by a forced apply. */
import {derivedOnto, derivedText, isDerived, isForeign} from '../../manifest/derived.js'
import type {Manifest} from '../../manifest/manifest.js'
import {AtlasError} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import {parseObjectKey} from '../../model/names.js'
import type {StoredObject, Writing} from '../objects.js'
import type {RequestInfo} from './api-error.js'
import {storedObject} from './cache.js'
import type {Client} from './client.js'
import {type RawObject, kinds} from './list.js'

/** Atlas's field manager for server-side apply (Kubernetes docs, "Server-Side Apply"). */
const MANAGER = 'atlas-controller'

const resources: Readonly<Record<string, string>> = Object.fromEntries(Object.entries(kinds).map(([resource, kind]) => [kind, resource]))

/** The request for an object. @throws AtlasError `failed` for a kind that Atlas does not keep */
function requestFor(
  key: ObjectKey,
  namespace: string,
  verb: RequestInfo['verb'],
): {readonly info: RequestInfo; readonly path: string; readonly kind: string} {
  const {kind, name} = parseObjectKey(key)
  const resource = resources[kind]
  if (resource === undefined) throw new AtlasError('failed', `Atlas does not keep objects of kind ${kind}`)
  const collection = `/api/v1/namespaces/${namespace}/${resource}`
  return {info: {verb, resource, group: '', namespace, name}, path: verb === 'create' ? collection : `${collection}/${name}`, kind}
}

/** @returns undefined where it does not exist @throws AtlasError as the client's */
export async function readObject(client: Client, key: ObjectKey, namespace: string): Promise<StoredObject | undefined> {
  const {kind, ...request} = requestFor(key, namespace, 'get')
  try {
    return storedObject(kind, (await client.call(request)) as RawObject)
  } catch (error) {
    if (error instanceof AtlasError && error.code === 'not-found') return undefined
    throw error
  }
}

/** How and where an object is written. */
interface WritingTo extends Writing {
  readonly namespace: string
  /** Of a derived object: the last known version, and the registration that owns it. */
  readonly present: StoredObject | undefined
  readonly owner: StoredObject | undefined
  /** Called just before the request is sent. @throws AtlasError to prevent it */
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

/** On condition of its version: an object that another writer has changed stays. */
async function deleteObject(client: Client, key: ObjectKey, base: string, {namespace, permit}: WritingTo): Promise<void> {
  const {kind: _, ...request} = requestFor(key, namespace, 'delete')
  try {
    await client.call({...request, body: {apiVersion: 'v1', kind: 'DeleteOptions', preconditions: {resourceVersion: base}}, permit})
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'not-found') throw error
  }
}

/**
 * Whether the object must be replaced, since an apply would keep fields that other programs have written: a label in a selector, a port,
 * the ownership annotations of goatlas.
 */
function isReplaced(present: StoredObject | undefined): boolean {
  if (present?.manifest === undefined || !isDerived(present.manifest)) return false
  return present.manifest.kind === 'Service' || isForeign(derivedText(present.manifest))
}

/** Replaces the object in one write, so that no Service ever has the labels of both selectors, which match no pod. */
async function replace(client: Client, key: ObjectKey, manifest: Manifest, writing: WritingTo): Promise<StoredObject> {
  const {base, owner, present} = writing
  const wanted = owned(present?.manifest === undefined ? manifest : derivedOnto(present.manifest, manifest), owner)
  // On condition of its version, so that a server that has lost its Lease meanwhile changes nothing.
  return send(client, key, 'update', {...wanted, metadata: {...wanted.metadata, resourceVersion: base}}, writing)
}

async function apply(client: Client, key: ObjectKey, manifest: Manifest, writing: WritingTo): Promise<StoredObject> {
  const {base, namespace, owner, permit} = writing
  const {kind, ...request} = requestFor(key, namespace, 'patch')
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

/**
 * Adds the owner, so that Kubernetes deletes the object with its registration, even where Atlas no longer runs. It does not block the
 * deletion of the owner, which would need a further right.
 */
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
  const {kind, ...request} = requestFor(key, namespace, verb)
  const body = {...manifest, metadata: {...manifest.metadata, namespace}}
  const query = {fieldManager: MANAGER}
  try {
    return storedObject(kind, (await client.call({...request, body, query, permit})) as RawObject)
  } catch (error) {
    // It existed when it was read: another writer has deleted it.
    if (verb === 'update' && error instanceof AtlasError && error.code === 'not-found')
      throw new AtlasError('conflict', `${key} in namespace ${namespace} was deleted by another writer`, {hint: 'run the command again'})
    throw error
  }
}

function withoutVersion(manifest: Manifest): Manifest {
  const {resourceVersion: _r, uid: _u, creationTimestamp: _c, generation: _g, selfLink: _s, ...metadata} = manifest.metadata
  return {...manifest, metadata}
}
