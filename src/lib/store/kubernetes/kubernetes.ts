/**
 * A Kubernetes namespace as a place that keeps objects. Observed, it is known from lists and watches and asked for nothing twice;
 * unobserved, as in a command, each object is asked for when it is wanted.
 */
import {objectKeyOf} from '../../manifest/kinds.js'
import {randomBytes} from 'node:crypto'
import type {Manifest} from '../../manifest/manifest.js'
import {isRegistration} from '../../manifest/registration.js'
import {AtlasError} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import {OBSERVABILITY, derivedOwner, leaseNames, objectKey, parseObjectKey} from '../../model/names.js'
import type {ObjectStore, StoredObject} from '../objects.js'
import {stateStoreOver} from '../state-store.js'
import type {HoldEvents, Server, StateStore} from '../store.js'
import {announce} from './events.js'
import type {Client} from './client.js'
import {type Election, openElection} from './election.js'
import {type Selection, listAll} from './list-watch.js'
import {ENDPOINTS, FLEET, ofInterest, openObservation, passOver, selectionsOf, thanosNamespaceIn} from './informer.js'
import {listLeases} from './lease.js'
import {heartbeatOf, openPresence, watchPresence} from './heartbeat.js'
import type {KubernetesTimes} from './times.js'
import {readObject, writeObject} from './writer.js'

export interface KubernetesOptions {
  /** Which Secrets may be read: all of Atlas's, or none but these. Whoever needs no key asks for none. */
  readonly secrets: 'all' | readonly string[]
  readonly times: KubernetesTimes
}

const WRITES_AT_ONCE = 16

/** The namespace that `client` speaks to as a state store. */
export function kubernetesStore(client: Client, options: KubernetesOptions): StateStore {
  return stateStoreOver(kubernetesObjects(client, options))
}

function kubernetesObjects(client: Client, {secrets, times}: KubernetesOptions): ObjectStore {
  const {namespace, description} = client
  const observation = openObservation(client, secrets, times)
  let part: Part | undefined
  let announced: Promise<unknown> = Promise.resolve()
  /** Thanos's namespace, as the settings were last seen by a look that was not an observation. */
  let thanosNamespace: string | undefined

  function namespaceOf(key: ObjectKey, manifest?: Manifest): string {
    if (key !== ENDPOINTS) return namespace
    return manifest?.metadata.namespace ?? thanosNamespaceIn(observation.cache()?.get(FLEET)) ?? thanosNamespace ?? namespace
  }

  async function read(key: ObjectKey): Promise<StoredObject | undefined> {
    const cache = observation.cache()
    if (cache !== undefined) return cache.get(key)
    // What may not be read is created without a look: the API server says whether it is there.
    return isReadable(key, secrets) ? readObject(client, key, namespaceOf(key)) : undefined
  }

  /** What a derived object goes with. A Service of that name that registers nobody is somebody else's, and may go at any time. */
  async function registrationOf(key: ObjectKey): Promise<StoredObject | undefined> {
    const owner = derivedOwner(key)
    if (owner === undefined || owner === 'zone' || owner === OBSERVABILITY) return undefined
    const found = await read(objectKeyOf('registration', owner))
    return found?.manifest !== undefined && isRegistration(found.manifest) ? found : undefined
  }

  async function list(): Promise<readonly StoredObject[]> {
    const found = (await Promise.all(selectionsOf(namespace, secrets).map(async selection => listed(client, selection)))).flat()
    thanosNamespace = thanosNamespaceIn(found.find(({key}) => key === FLEET))
    const endpoints = secrets === 'all' ? await readObject(client, ENDPOINTS, namespaceOf(ENDPOINTS)).catch(passOver) : undefined
    return endpoints === undefined ? found : [...found, endpoints]
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
      const permit = (): void => part?.checkMayWrite(key)
      permit()
      const owner = writing.isDerived ? await registrationOf(key) : undefined
      const present = writing.isDerived ? await read(key) : undefined
      const to = {...writing, namespace: namespaceOf(key, manifest), present, owner, permit}
      const writes = writeObject(client, key, manifest, to)
      part?.during(writes)
      const written = await writes
      observation.wrote(key, written, writing.base)
      return written
    },

    observe: observation.begin,

    async hold(server, events) {
      // Once it has taken part it writes as a part of the whole or not at all, after its end too.
      const taken = takePart(client, server, times, events)
      part = taken
      return {resign: taken.resign, release: taken.stop}
    },

    // Who serves is told by reports, not by an address: a command can't reach a pod.
    holder: async () => undefined,

    async heartbeats() {
      const leases = await listLeases(client, {signal: AbortSignal.timeout(10_000), timeoutMs: 10_000})
      return leases.flatMap(lease => heartbeatOf(lease) ?? [])
    },

    // One after the other: when a thousand objects break at once, the API server has better things to do.
    async announce(key, announcement) {
      const next = announced.then(async () => {
        const object = await read(key)
        if (object !== undefined) await announce(client, object, announcement)
      })
      announced = next.catch(() => undefined)
      await next
    },

    heardAt: observation.heardAt,
    close: client.close,
  }
}

function isReadable(key: ObjectKey, secrets: KubernetesOptions['secrets']): boolean {
  const {kind, name} = parseObjectKey(key)
  return secrets === 'all' || kind !== 'Secret' || secrets.includes(name)
}

async function listed(client: Client, selection: Selection): Promise<readonly StoredObject[]> {
  if (selection.name !== undefined) {
    const one = await readObject(client, objectKey('Secret', selection.name), selection.namespace)
    return one === undefined ? [] : [one]
  }

  return ofInterest(selection, (await listAll(client, selection)).objects)
}

/** What a server does beside reading and writing: it stands for election, and says that it lives. */
interface Part {
  /** @throws AtlasError `conflict` where only the leader may write, and this server is not it */
  checkMayWrite(key: ObjectKey): void
  /** Something is being written. */
  during(write: Promise<unknown>): void
  resign(): Promise<void>
  stop(): Promise<void>
}

function takePart(client: Client, {replica, role}: Server, times: KubernetesTimes, events: HoldEvents): Part {
  const troubles = new Map<string, AtlasError>()
  const trouble =
    (of: string) =>
    (error: AtlasError | undefined): void => {
      if (error === undefined && !troubles.delete(of)) return
      if (error !== undefined) troubles.set(of, error)
      const [first] = troubles.values()
      events.failed(error ?? first)
    }

  const presence =
    role === 'controller' ? undefined : openPresence(client, replica, times, {presence: trouble('presence'), twin: trouble('twin')})
  let isResigned = false
  const underWay = new Set<Promise<unknown>>()
  let looking: AbortController | undefined
  const election: Election | undefined =
    role === 'ads'
      ? undefined
      : openElection(client, leaseNames.leader, `${replica}_${randomBytes(8).toString('hex')}`, times, {
          leading(isLeader) {
            looking?.abort()
            looking = isLeader ? new AbortController() : undefined
            events.leading(isLeader)
            trouble('living')(undefined)
            const told = {living: events.living, trouble: trouble('living')}
            if (looking !== undefined) watchPresence(client, times, told, looking.signal)
          },
          failed: trouble('election'),
        })
  const own = objectKeyOf('report', replica)
  return {
    checkMayWrite(key) {
      if (key === own && presence?.isShadowed() === true)
        throw new AtlasError('conflict', `another server is called ${replica} too, and reports under that name`)
      if (key === own || (!isResigned && election?.leads() === true)) return
      throw new AtlasError('conflict', `this server does not lead, so it does not write ${key}`)
    },
    during(write) {
      const settled = write.catch(() => undefined).finally(() => underWay.delete(settled))
      underWay.add(settled)
    },
    async resign() {
      isResigned = true
      looking?.abort()
      await Promise.all(underWay)
      await election?.stop()
    },
    async stop() {
      looking?.abort()
      await Promise.all([election?.stop(), presence?.stop()])
    },
  }
}
