/**
 * A Kubernetes namespace as an ObjectStore. While it is observed, reads come from the informer's cache; without an observer, as in a
 * command, each read is a request.
 */
import {decodeEndpoints} from '../../manifest/endpoints-object.js'
import {objectKeyOf} from '../../manifest/kinds.js'
import type {Manifest} from '../../manifest/manifest.js'
import {isRegistration} from '../../manifest/registration.js'
import {AtlasError} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import {OBSERVABILITY, derivedOwner, isEndpoints, objectKey, parseObjectKey} from '../../model/names.js'
import type {ObjectStore, StoredObject} from '../objects.js'
import {stateStoreOver} from '../state-store.js'
import type {StateStore} from '../store.js'
import {ApiError} from './api-error.js'
import type {Client} from './client.js'
import {ENDPOINTS, FLEET, endpointsIn, thanosNamespaceIn} from './endpoints-informer.js'
import {writeEvent} from './events.js'
import {heartbeatOf} from './heartbeat.js'
import {openInformer, relevantObjects, selectionsOf} from './informer.js'
import {listLeases} from './lease.js'
import {type StoredSelection, listAll} from './list.js'
import {type LeaseMembership, joinServers} from './membership.js'
import {isAllowed, withKeepersRule} from './rights.js'
import type {KubernetesTimes} from './times.js'
import {watchAlertmanagers} from './watch-alertmanagers.js'
import {readObject, writeObject} from './writer.js'

export interface KubernetesOptions {
  /** Which Secrets are read: all of Atlas's, or only these; none for a command that needs no key. */
  readonly secrets: 'all' | readonly string[]
  /** Whether what can be made from the fleet is read, too; default true. It is always watched. */
  readonly withDerived?: boolean
  readonly times: KubernetesTimes
}

const WRITES_AT_ONCE = 16

/** The namespace of `client` as a state store. */
export function kubernetesStore(client: Client, options: KubernetesOptions): StateStore {
  return stateStoreOver(kubernetesObjects(client, options))
}

function kubernetesObjects(client: Client, {secrets, withDerived = true, times}: KubernetesOptions): ObjectStore {
  const {namespace, description} = client
  const informer = openInformer(client, secrets, times)
  let membership: LeaseMembership | undefined
  let lastEvent: Promise<unknown> = Promise.resolve()
  /** Thanos's namespace, by the settings that `list` last read. */
  let thanosNamespace: string | undefined

  function namespaceOf(key: ObjectKey, manifest?: Manifest): string {
    if (!isEndpoints(key)) return namespace
    return manifest?.metadata.namespace ?? thanosNamespaceIn(informer.cache()?.get(FLEET)) ?? thanosNamespace ?? namespace
  }

  async function read(key: ObjectKey): Promise<StoredObject | undefined> {
    const cached = informer.cache()?.get(key)
    // The endpoints are written by force: what another installation has put there since the last event must not be lost.
    if (cached !== undefined || (informer.cache() !== undefined && !isEndpoints(key))) return cached
    // A Secret that may not be read is created without a read; the API server refuses it if it exists.
    return isReadable(key, secrets) ? ofKeeper(key, readObject(client, key, namespaceOf(key))) : undefined
  }

  async function ofKeeper<T>(key: ObjectKey, work: Promise<T>): Promise<T> {
    return isEndpoints(key)
      ? work.catch((error: unknown) => {
          throw withKeepersRule(error)
        })
      : work
  }

  /** The registration that owns a derived object. A Service of that name without a registration is another program's. */
  async function registrationOf(key: ObjectKey): Promise<StoredObject | undefined> {
    const owner = derivedOwner(key)
    if (owner === undefined || owner === 'zone' || owner === OBSERVABILITY) return undefined
    const found = await read(objectKeyOf('registration', owner))
    return found?.manifest !== undefined && isRegistration(found.manifest) ? found : undefined
  }

  async function list(): Promise<readonly StoredObject[]> {
    const found = (
      await Promise.all(selectionsOf(namespace, secrets, {withDerived}).map(async selection => objectsOf(client, selection)))
    ).flat()
    const fleet = found.find(({key}) => key === FLEET)
    thanosNamespace = thanosNamespaceIn(fleet)
    if (secrets !== 'all') return found
    const endpoints = await Promise.all(
      endpointsIn(fleet).map(async key => readObject(client, key, namespaceOf(key)).catch(ignoreAtlasError)),
    )
    return [...found, ...endpoints.filter(object => object !== undefined)]
  }

  return {
    description,
    namespace,
    signedBy: 'leader',
    keepsDerived: true,
    isShared: true,
    isRemote: true,
    writesAtOnce: WRITES_AT_ONCE,
    list,
    exclusively: async work => work(),
    read,

    async write(key, manifest, writing) {
      const permit = (): void => membership?.checkMayWrite(key)
      permit()
      const owner = writing.isDerived ? await registrationOf(key) : undefined
      const present = writing.isDerived ? await read(key) : undefined
      const to = {...writing, namespace: namespaceOf(key, manifest), present, owner, permit}
      const writes = ofKeeper(key, writeObject(client, key, manifest, to))
      membership?.during(writes)
      const written = await writes
      informer.wrote(key, written, to)
      return written
    },

    // Credentials that are not accepted concern every request.
    isAnswer: error => error instanceof ApiError && error.status !== 401,
    observe: informer.begin,

    async hold(server, events) {
      // The membership is kept after its end: then this process writes no more.
      const joined = joinServers(client, server, times, events)
      membership = joined
      return {resign: joined.resign, release: joined.stop}
    },

    otherFiles: () => [],
    requireFree: async () => undefined,

    // A command can't connect to a pod: it reads the servers' reports.
    holder: async () => undefined,

    async heartbeats() {
      const leases = await listLeases(client, {signal: AbortSignal.timeout(10_000), timeoutMs: 10_000})
      return leases.flatMap(lease => heartbeatOf(lease) ?? [])
    },

    // One after the other, so that a thousand broken objects don't flood the API server with Events.
    async recordEvent(key, event) {
      const next = lastEvent.then(async () => {
        const object = await read(key)
        if (object !== undefined) await writeEvent(client, object, event)
      })
      lastEvent = next.catch(() => undefined)
      await next
    },

    async mayRead(key) {
      const {kind, name} = parseObjectKey(key)
      return isAllowed(client, {verb: 'get', resource: `${kind.toLowerCase()}s`, group: '', name})
    },

    async endpointsIn(namespaceOfThanos) {
      const found = await readObject(client, ENDPOINTS, namespaceOfThanos).catch(ignoreAtlasError)
      return found?.manifest === undefined ? undefined : decodeEndpoints(found.manifest)
    },

    watchAlertmanagers(selection, watcher, signal) {
      watchAlertmanagers(client, times, selection, watcher, signal)
    },

    heardAt: informer.heardAt,
    warnings: informer.warnings,
    serverTime: client.serverTime,
    close: client.close,
  }
}

function isReadable(key: ObjectKey, secrets: KubernetesOptions['secrets']): boolean {
  const {kind, name} = parseObjectKey(key)
  return secrets === 'all' || kind !== 'Secret' || secrets.includes(name)
}

async function objectsOf(client: Client, selection: StoredSelection): Promise<readonly StoredObject[]> {
  if (selection.name !== undefined) {
    const one = await readObject(client, objectKey('Secret', selection.name), selection.namespace)
    return one === undefined ? [] : [one]
  }

  return relevantObjects(selection, (await listAll(client, selection)).objects)
}

/** The endpoints may be in a namespace that only the leader may read, so a failed read counts as none. */
function ignoreAtlasError(error: unknown): undefined {
  if (error instanceof AtlasError) return undefined
  throw error
}
