/** Kubernetes Events (events.k8s.io/v1): what people see beside an object with `kubectl describe`. */
import {parseObjectKey} from '../../model/names.js'
import {createHash} from 'node:crypto'
import {AtlasError} from '../../model/errors.js'
import type {StoredObject} from '../objects.js'
import type {Announcement} from '../store.js'
import type {Client} from './client.js'
import {microTime} from './lease.js'
import type {Asked} from './api-error.js'

/** Limits of an Event's note, bytes, and of any object's name. */
const [NOTE_MAX, NAME_MAX] = [1024, 253]
const GROUP = 'events.k8s.io'

/**
 * The same thing of the same object has one name, so that a server that starts anew does not say it again (Events last an hour). What
 * has happened again counts up the Event that there is.
 */
export async function announce(client: Client, object: StoredObject, {type, reason, message, isNew}: Announcement): Promise<void> {
  const {key, manifest} = object
  const {kind, name} = parseObjectKey(key)
  const namespace = manifest?.metadata.namespace ?? client.namespace
  const uid = manifest?.metadata['uid']
  const digest = createHash('sha256')
    .update(JSON.stringify([key, uid, reason, message]))
    .digest('hex')
    .slice(0, 16)
  const event = {name: `${name.slice(0, NAME_MAX - digest.length - 1)}.${digest}`, namespace}
  const body = {
    apiVersion: `${GROUP}/v1`,
    kind: 'Event',
    metadata: event,
    eventTime: microTime(new Date()),
    reportingController: 'goatlas.io/atlas',
    reportingInstance: 'atlas',
    action: 'Reconcile',
    reason,
    regarding: {apiVersion: 'v1', kind, name, namespace, ...(typeof uid === 'string' && {uid})},
    note: inBytes(message, NOTE_MAX),
    type,
  }
  try {
    await client.call({...at('create', event), body})
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
    if (isNew) await countUp(client, event)
  }
}

/** A patch of nothing is a look that takes no further right. Two that count at once may count one: nobody minds. */
async function countUp(client: Client, event: EventName): Promise<void> {
  const patch = async (body: object): Promise<unknown> =>
    client.call({...at('patch', event), body, contentType: 'application/merge-patch+json'})
  const {series} = (await patch({})) as {readonly series?: {readonly count?: number}}
  await patch({series: {count: (series?.count ?? 1) + 1, lastObservedTime: microTime(new Date())}})
}

interface EventName {
  readonly name: string
  readonly namespace: string
}

function at(verb: 'create' | 'patch', {name, namespace}: EventName): {readonly asked: Asked; readonly path: string} {
  const collection = `/apis/${GROUP}/v1/namespaces/${namespace}/events`
  return {asked: {verb, resource: 'events', group: GROUP, namespace}, path: verb === 'create' ? collection : `${collection}/${name}`}
}

/** As much of a text as fits, no character cut in two. */
function inBytes(text: string, most: number): string {
  const cut = Buffer.from(text).subarray(0, most)
  return cut.length < most ? text : new TextDecoder().decode(cut, {stream: true})
}
