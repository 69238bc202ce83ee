/** A `StateStore` over any place that keeps objects: loading, committing and watching are the same for all of them. */
import {objectKeyOf} from '../manifest/kinds.js'
import {newerFormat} from '../manifest/manifest.js'
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError, messageOf} from '../model/errors.js'
import {type Fleet, type ObjectKey, emptyFleet} from '../model/fleet.js'
import {type Writable, commitOnto} from './commit.js'
import {type Decode, type Known, openDecode, openKnown} from './diff.js'
import {inShortTurns} from './short-turns.js'
import type {ObjectStore, Observed, Sighting, StoredObject, Turns} from './objects.js'
import {type StateStore, type Watcher, notInitialised, type StoreTraits} from './store.js'

const FLEET: ObjectKey = objectKeyOf('settings')

/** The objects as they are known, and the fleet in them. */
interface View {
  readonly known: Known
  fleet: Fleet
}

interface Watch extends View {
  readonly watcher: Watcher
  failed: boolean
  /** The place has reported that it can't be observed, and will report when it can. */
  isLost: boolean
  observed: Observed
}

/** A state store over any place of objects. */
export function stateStoreOver(objects: ObjectStore): StateStore {
  const watches = new Set<Watch>()
  const decode = openDecode()
  /** What was loaded last, so that only what has changed since is decoded. A watched store keeps none: its watchers' views are newer. */
  let loaded: View = emptyView()
  /** Reads and own commits take turns, so that each sees the other's result whole. */
  const inTurn = oneAtATime()
  const inOrder = oneAtATime()
  // A slow write to a remote place must not delay a revocation: what is seen meanwhile is compared by each object's revision. Elsewhere
  // reads wait for a commit of this process, and not while that commit waits for another process.
  const turns: Turns = objects.isRemote ? async work => work() : inTurn
  const writable: Writable = {...objects, exclusively: async work => objects.exclusively(work, turns)}

  function emptyView(): View {
    return {known: openKnown(decode), fleet: emptyFleet}
  }

  /** As this version understands it. */
  async function read(key: ObjectKey): Promise<StoredObject | undefined> {
    const found = await objects.read(key)
    return found === undefined ? undefined : ofKnownFormat(found)
  }

  async function wrote(sightings: readonly Sighting[]): Promise<void> {
    if (sightings.length === 0) return
    await inShortTurns(decode.ahead(objectsIn(sightings)))
    if (watches.size === 0) see(loaded, known => known.some(sightings, loaded.fleet))
    for (const watch of watches) tell(watch, known => known.some(sightings.map(asOfNow(watch)), watch.fleet))
  }

  /** Also during an outage: what this process writes then, such as a revocation, has an effect, and its next write is based on it. */
  function tell(watch: Watch, compare: (known: Known) => readonly Change[]): void {
    if (!watches.has(watch)) return
    const changes = see(watch, compare)
    if (changes.length > 0) watch.watcher.changed(changes)
  }

  async function look(watch: Watch): Promise<void> {
    let found: readonly StoredObject[]
    try {
      const some = await changedIn(watch)
      if (some !== undefined) {
        await decodeAhead(decode, watch, objectsIn(some))
        tell(watch, known => known.some(some, watch.fleet))
        return
      }

      found = await present(watch)
      await decodeAhead(decode, watch, found)
      // A remote place has seen more meanwhile.
      if (objects.isRemote) found = await present(watch)
      if (!found.some(object => object.key === FLEET))
        throw new AtlasError('unreachable', `ConfigMap atlas-fleet is gone from ${objects.description}`, {
          hint: 'restore it; the last known state stays in effect meanwhile',
        })
    } catch (error) {
      fail(watch, error)
      return
    }

    if (!watches.has(watch)) return
    // The parts of the place that can be read are reported while another part can't be read.
    const changes = see(watch, known => known.all(found, watch.fleet))
    if (changes.length > 0) watch.watcher.changed(changes)
    if (!watch.failed || watch.isLost) return
    watch.failed = false
    watch.watcher.recovered()
  }

  /** Unless `atlas-fleet` is gone, what was seen is reported as it is. */
  async function saw(watch: Watch, keys: readonly ObjectKey[]): Promise<void> {
    // The objects of now, not of when the change was seen: a write of this process may have come in between.
    const present = (): readonly Sighting[] => keys.map(key => ({key, object: watch.observed.one(key)}))
    await decodeAhead(decode, watch, objectsIn(present().map(understood)))
    const sightings = present()
    if (watch.failed || sightings.some(isFleetGone)) await look(watch)
    else tell(watch, known => known.some(sightings.map(understood), watch.fleet))
  }

  const {description, namespace, signedBy, keepsDerived, isShared, isRemote} = objects
  return {
    ...{description, namespace, signedBy, keepsDerived, isShared, isRemote},

    load: () =>
      inTurn(async () => {
        const found = (await objects.list()).map(object => ofKnownFormat(object))
        const view = watches.size === 0 ? loaded : emptyView()
        see(view, known => known.all(found, view.fleet))
        return view.fleet
      }),

    async commit(base, changes) {
      // One at a time: each would wait for the lock of the one before, and name this process as the one that writes.
      const commit = async (): Promise<Fleet> => commitOnto(writable, read, base, changes, wrote)
      return isRemote ? commit() : inOrder(commit)
    },

    async watch(watcher, signal) {
      const known = openKnown(decode)
      const watch: Watch = {watcher, known, fleet: emptyFleet, failed: false, isLost: false, observed: unobserved}
      // Observing begins before the first list, so that no change is lost between the two.
      const abandoned = new AbortController()
      // What is seen during the first read waits for its end.
      const later = (work: () => Promise<void> | void): void =>
        void inTurn(async () => (watches.has(watch) ? work() : undefined)).catch((error: unknown) => fail(watch, error))
      watch.observed = await objects.observe(
        {
          look: () => later(async () => look(watch)),
          saw: keys => later(async () => saw(watch, keys)),
          lost: error =>
            later(() => {
              watch.isLost = true
              fail(watch, error)
            }),
          warned: message => watch.watcher.warned?.(message),
          restored: message => later(() => watch.watcher.restored?.(message)),
          found: () =>
            later(async () => {
              watch.isLost = false
              await look(watch)
            }),
        },
        AbortSignal.any([signal, abandoned.signal]),
      )
      const begin = async (): Promise<Fleet> => {
        const ahead = await present(watch)
        await inShortTurns(decode.ahead(ahead))
        await inShortTurns(firstSight(watch, ahead))
        // A remote place has seen more meanwhile, and keeps what it has seen; any other reports it after this.
        const found = isRemote ? await present(watch) : ahead
        if (!found.some(object => object.key === FLEET)) throw notInitialised(objects)
        see(watch, all => all.all(found, watch.fleet))
        watches.add(watch)
        loaded = emptyView()
        signal.addEventListener('abort', () => watches.delete(watch), {once: true})
        return watch.fleet
      }

      return inTurn(begin).catch((error: unknown) => {
        abandoned.abort()
        throw error
      })
    },

    ...passedOn(objects),
  }
}

/** What the place itself answers. */
function passedOn(objects: ObjectStore): Omit<StateStore, 'commit' | 'load' | 'watch' | keyof StoreTraits> {
  return {
    hold: async (server, events) => objects.hold(server, events),
    otherFiles: () => objects.otherFiles(),
    requireFree: async () => objects.requireFree(),
    holder: async () => objects.holder(),
    heartbeats: async () => objects.heartbeats(),
    recordEvent: async (object, event) => objects.recordEvent(object, event),
    mayRead: async key => objects.mayRead(key),
    endpointsIn: async thanosNamespace => objects.endpointsIn(thanosNamespace),
    heardAt: () => objects.heardAt(),
    warnings: () => objects.warnings(),
    ...(objects.watchAlertmanagers && {watchAlertmanagers: objects.watchAlertmanagers}),
    serverTime: () => objects.serverTime(),
    close: () => objects.close(),
  }
}

/** Objects that a watch sees for the first time between two pauses. */
const SEEN_AT_ONCE = 128

/** Makes the watch's fleet of all objects that can be read; the others are compared when all of these are known. */
function* firstSight(watch: Watch, objects: readonly StoredObject[]): Generator<undefined, void> {
  const sightings = objects.filter(({manifest}) => manifest !== undefined).map((object): Sighting => ({key: object.key, object}))
  for (let from = 0; from < sightings.length; from += SEEN_AT_ONCE) {
    see(watch, known => known.some(sightings.slice(from, from + SEEN_AT_ONCE), watch.fleet))
    yield
  }
}

function see(view: View, compare: (known: Known) => readonly Change[]): readonly Change[] {
  const changes = compare(view.known)
  view.fleet = reduceAll(view.fleet, changes)
  return changes
}

/**
 * A remote place reports what other writers do while a commit goes on: of an object that the commit wrote first a newer version may be
 * known by now, such as a revocation, and the commit's own version must not replace it.
 */
function asOfNow({observed}: Watch): (sighting: Sighting) => Sighting {
  const {newest} = observed
  return sighting => (newest === undefined ? sighting : understood({key: sighting.key, object: newest(sighting)}))
}

/** A thousand certificates that a rotation has replaced take half a second to decode: other work gets its turns meanwhile. */
async function decodeAhead(decode: Decode, {known}: Watch, objects: readonly StoredObject[]): Promise<void> {
  await inShortTurns(decode.ahead(known.unseen(objects)))
}

function objectsIn(sightings: readonly Sighting[]): readonly StoredObject[] {
  return sightings.flatMap(({object}) => object ?? [])
}

/** An error while reading: the last known state stays in effect, and the watcher is called once. */
function fail(watch: Watch, error: unknown): void {
  if (!watch.failed)
    watch.watcher.failed(error instanceof AtlasError ? error : new AtlasError('unreachable', messageOf(error), {cause: error}))
  watch.failed = true
}

/** Runs works one after the other, whether those before fail or not. */
function oneAtATime(): Turns {
  let turn: Promise<unknown> = Promise.resolve()
  return work => {
    const next = turn.then(work, work)
    turn = next.catch(() => undefined)
    return next
  }
}

/** What has changed; undefined where only all objects tell. */
async function changedIn({failed, observed}: Watch): Promise<readonly Sighting[] | undefined> {
  const sightings = failed ? undefined : await observed.since?.()
  return sightings?.some(isFleetGone) === true ? undefined : sightings?.map(understood)
}

async function present({observed}: Watch): Promise<readonly StoredObject[]> {
  return (await observed.all()).map(object => ofKnownFormat(object))
}

function isFleetGone({key, object}: Sighting): boolean {
  return key === FLEET && object === undefined
}

function understood({key, object}: Sighting): Sighting {
  return {key, object: object === undefined ? undefined : ofKnownFormat(object)}
}

/** Before `observe` has returned. */
const unobserved: Observed = {all: async () => [], one: () => undefined}

/** An object of a newer format counts as unreadable, and is not changed. */
function ofKnownFormat(object: StoredObject): StoredObject {
  const {manifest: _, ...rest} = object
  const unknown = object.manifest === undefined ? undefined : newerFormat(object.manifest)
  return unknown === undefined ? object : {...rest, manifest: undefined, broken: unknown, sealed: true}
}
