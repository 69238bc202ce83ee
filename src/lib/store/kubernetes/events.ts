/** Kubernetes Events (events.k8s.io/v1), which `kubectl describe` shows beside an object. When one is written is the leader's decision. */
import {createHash} from 'node:crypto'
import {AtlasError} from '../../model/errors.js'
import {parseObjectKey} from '../../model/names.js'
import type {StoredObject} from '../objects.js'
import type {ObjectEvent} from '../store.js'
import type {RequestInfo} from './api-error.js'
import type {Client} from './client.js'
import {microTime} from './lease.js'

/** The API server's limits: bytes of an Event's note, characters of an object's name. Longer ones are cut. */
const [NOTE_MAX, NAME_MAX] = [1024, 253]
const GROUP = 'events.k8s.io'

/**
 * Writes an Event. The same event of the same object has the same name, so a restarted server does not repeat one that exists (they last
 * an hour); an event that happened again raises the count of the existing one.
 */
export async function writeEvent(client: Client, object: StoredObject, {type, reason, message, isNew}: ObjectEvent): Promise<void> {
  const {key, manifest} = object
  const {kind, name} = parseObjectKey(key)
  const namespace = manifest?.metadata.namespace ?? client.namespace
  const uid = manifest?.metadata['uid']
  const digest = createHash('sha256')
    .update(JSON.stringify([key, uid, reason, message]))
    .digest('hex')
    .slice(0, 16)
  const metadata = {name: `${name.slice(0, NAME_MAX - digest.length - 1)}.${digest}`, namespace}
  const body = {
    apiVersion: `${GROUP}/v1`,
    kind: 'Event',
    metadata,
    eventTime: microTime(new Date()),
    reportingController: 'goatlas.io/atlas',
    reportingInstance: 'atlas',
    action: 'Reconcile',
    reason,
    regarding: {apiVersion: 'v1', kind, name, namespace, ...(typeof uid === 'string' && {uid})},
    note: cutBytes(message, NOTE_MAX),
    type,
  }
  try {
    await client.call({...requestFor('create', metadata), body})
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
    if (isNew) await countUp(client, metadata)
  }
}

/** An empty patch reads the Event without a further right. Two servers that count at the same moment may count one: that is accepted. */
async function countUp(client: Client, event: EventName): Promise<void> {
  const patch = async (body: object): Promise<unknown> =>
    client.call({...requestFor('patch', event), body, contentType: 'application/merge-patch+json'})
  const {series} = (await patch({})) as {readonly series?: {readonly count?: number}}
  await patch({series: {count: (series?.count ?? 1) + 1, lastObservedTime: microTime(new Date())}})
}

interface EventName {
  readonly name: string
  readonly namespace: string
}

function requestFor(verb: 'create' | 'patch', {name, namespace}: EventName): {readonly info: RequestInfo; readonly path: string} {
  const collection = `/apis/${GROUP}/v1/namespaces/${namespace}/events`
  return {info: {verb, resource: 'events', group: GROUP, namespace}, path: verb === 'create' ? collection : `${collection}/${name}`}
}

/** Cuts a text to `most` bytes, between two characters. */
function cutBytes(text: string, most: number): string {
  const cut = Buffer.from(text).subarray(0, most)
  return cut.length < most ? text : new TextDecoder().decode(cut, {stream: true})
}
