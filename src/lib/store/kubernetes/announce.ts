/** Kubernetes Events (events.k8s.io/v1): what people see beside an object with `kubectl describe`. */
import {createHash} from 'node:crypto'
import {AtlasError} from '../../model/errors.js'
import type {StoredObject} from '../objects.js'
import type {Announcement} from '../store.js'
import type {Client} from './client.js'
import {microTime} from './lease.js'

/** Events' own limit on a note. */
const NOTE_MAX = 1024

/** The same thing of the same object has one name, so that a server that starts anew does not say it again (Events last an hour). */
export async function announce(client: Client, object: StoredObject, {type, reason, message}: Announcement): Promise<void> {
  const {key, manifest} = object
  const [kind = '', name = ''] = key.split('/')
  const namespace = manifest?.metadata.namespace ?? client.namespace
  const uid = manifest?.metadata['uid']
  const digest = createHash('sha256')
    .update(JSON.stringify([key, uid, reason, message]))
    .digest('hex')
    .slice(0, 16)
  const body = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: {name: `${name}.${digest}`, namespace},
    eventTime: microTime(new Date()),
    reportingController: 'goatlas.io/atlas',
    reportingInstance: 'atlas',
    action: 'Reconcile',
    reason,
    regarding: {apiVersion: 'v1', kind, name, namespace, ...(typeof uid === 'string' && {uid})},
    note: message.slice(0, NOTE_MAX),
    type,
  }
  try {
    await client.call({
      asked: {verb: 'create', resource: 'events', group: 'events.k8s.io', namespace},
      path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
      body,
    })
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
  }
}
