/** A `StateStore` over any place that keeps objects: loading, committing and watching are the same for all of them. */
import {isDeepStrictEqual} from 'node:util'
import {type StoredChange, encodeOnto, isStored, namespaceOf, objectOf} from '../manifest/encode.js'
import {newerFormat} from '../manifest/manifest.js'
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError, messageOf} from '../model/errors.js'
import {type Fleet, type ObjectKey, type Revision, emptyFleet} from '../model/fleet.js'
import {objectNames} from '../model/names.js'
import {type Settings, defaultSettings} from '../model/settings.js'
import {type Known, openDecode, openKnown} from './known.js'
import type {ObjectStore, StoredObject} from './objects.js'
import type {StateStore, Watcher} from './store.js'

const FLEET: ObjectKey = `ConfigMap/${objectNames.fleet}`

/** What is known of the objects, and the fleet that they make. */
interface View {
  readonly known: Known
  fleet: Fleet
}

interface Watch extends View {
  readonly watcher: Watcher
  failed: boolean
}

/** The port's promises, kept over any place of objects. */
export function stateStoreOver(objects: ObjectStore): StateStore {
  const watches = new Set<Watch>()
  const decode = openDecode()
  /** What was loaded last, so that only what is different since is decoded. */
  const loaded: View = {known: openKnown(decode), fleet: emptyFleet}
  /** Looks and own commits take turns, so that each sees the other's outcome whole. */
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = turn.then(work, work)
    turn = next.catch(() => undefined)
    return next
  }

  async function list(): Promise<readonly StoredObject[]> {
    return (await objects.list()).map(object => ofKnownFormat(object))
  }

  async function commit(base: Fleet, changes: readonly Change[]): Promise<Fleet> {
    const groups = grouped(changes.filter(change => isStored(change)))
    if (groups.length === 0) return base
    const settings = changes.find(change => change.kind === 'settings')?.value ?? base.settings ?? defaultSettings
    return objects.exclusively(async () => {
      // A race that is lost should leave nothing behind: all is looked at before anything is written.
      for (const key of new Set(groups.map(group => group.key))) checkBase(key, await objects.read(key), base)
      let fleet = base
      for (const group of groups) {
        const revision = await writeGroup(fleet, group, settings)
        fleet = reduceAll(fleet, [...group.changes, revision])
      }

      return fleet
    })
  }

  /** @returns the revision that the object has, and is to have. @throws AtlasError `conflict` where it has another */
  function checkBase(key: ObjectKey, present: StoredObject | undefined, base: Fleet): Revision | undefined {
    const wanted = base.revisions.get(key)
    if (present?.revision === wanted) return wanted
    throw new AtlasError('conflict', `${key} in ${objects.description} was changed by another writer`, {hint: 'run the command again'})
  }

  /** @returns the object's new revision, as a change */
  async function writeGroup(fleet: Fleet, {key, changes}: Group, settings: Settings): Promise<Change> {
    const found = await objects.read(key)
    const present = found === undefined ? undefined : ofKnownFormat(found)
    const wanted = checkBase(key, present, fleet)
    if (present?.broken !== undefined && (present.sealed === true || !isReplacement(changes)))
      throw new AtlasError('failed', `${present.source ?? key} can't be read, so nothing can be written into it: ${present.broken}`, {
        hint: 'mend or remove it',
      })
    const next = changes.reduce((manifest, change) => encodeOnto(manifest, change, namespaceOf(change, settings)), present?.manifest)
    const revision = isDeepStrictEqual(present?.manifest, next) && present?.broken === undefined ? wanted : await objects.write(key, next)
    const source = present?.source
    const written: StoredObject | undefined =
      next === undefined || revision === undefined ? undefined : {key, revision, manifest: next, ...(source !== undefined && {source})}
    see(loaded, known => known.one(key, written, loaded.fleet))
    for (const watch of watches) tell(watch, known => known.one(key, written, watch.fleet))
    return {kind: 'revision', object: key, value: revision}
  }

  function see(view: View, compare: (known: Known) => readonly Change[]): readonly Change[] {
    const changes = compare(view.known)
    view.fleet = reduceAll(view.fleet, changes)
    return changes
  }

  function tell(watch: Watch, compare: (known: Known) => readonly Change[]): void {
    if (watch.failed) return
    const changes = see(watch, compare)
    if (changes.length > 0) watch.watcher.changed(changes)
  }

  /** Whatever goes wrong while looking: what was known stays in force, and the watcher is told once. */
  function fail(watch: Watch, error: unknown): void {
    if (!watch.failed)
      watch.watcher.failed(error instanceof AtlasError ? error : new AtlasError('unreachable', messageOf(error), {cause: error}))
    watch.failed = true
  }

  async function look(watch: Watch): Promise<void> {
    let found: readonly StoredObject[]
    try {
      found = await list()
      if (!found.some(object => object.key === FLEET))
        throw new AtlasError('unreachable', `ConfigMap atlas-fleet has vanished from ${objects.description}`, {
          hint: 'restore it; what was known stays in force meanwhile',
        })
    } catch (error) {
      fail(watch, error)
      return
    }

    const wasFailed = watch.failed
    watch.failed = false
    tell(watch, known => known.all(found, watch.fleet))
    if (wasFailed) watch.watcher.recovered()
  }

  return {
    description: objects.description,

    load: () =>
      inTurn(async () => {
        const found = await list()
        see(loaded, known => known.all(found, loaded.fleet))
        return loaded.fleet
      }),

    commit: (base, changes) => inTurn(async () => commit(base, changes)),

    async watch(watcher, signal) {
      const known = openKnown(decode)
      const watch: Watch = {watcher, known, fleet: emptyFleet, failed: false}
      // Observing begins before the first list, so that nothing falls between the two.
      const abandoned = new AbortController()
      await objects.observe(
        () => void (watches.has(watch) && inTurn(async () => look(watch)).catch((error: unknown) => fail(watch, error))),
        AbortSignal.any([signal, abandoned.signal]),
      )
      const begin = async (): Promise<Fleet> => {
        const found = await list()
        if (!found.some(object => object.key === FLEET))
          throw new AtlasError('not-found', `there is no Atlas in ${objects.description} yet: ConfigMap atlas-fleet is missing`, {
            hint: 'run "atlas init" on it first',
          })
        watch.fleet = reduceAll(emptyFleet, known.all(found, emptyFleet))
        watches.add(watch)
        signal.addEventListener('abort', () => watches.delete(watch), {once: true})
        return watch.fleet
      }

      return inTurn(begin).catch((error: unknown) => {
        abandoned.abort()
        throw error
      })
    },

    hold: async server => objects.hold(server),
    holder: async () => objects.holder(),
  }
}

/** What a newer version has written says nothing to this one, and stays as it is. */
function ofKnownFormat(object: StoredObject): StoredObject {
  const {manifest: _, ...rest} = object
  const unknown = object.manifest === undefined ? undefined : newerFormat(object.manifest)
  return unknown === undefined ? object : {...rest, manifest: undefined, broken: unknown, sealed: true}
}

/** Consecutive changes of one object: one write. */
interface Group {
  readonly key: ObjectKey
  readonly changes: StoredChange[]
}

function grouped(changes: readonly StoredChange[]): readonly Group[] {
  const groups: Group[] = []
  for (const change of changes) {
    const key = objectOf(change)
    const last = groups.at(-1)
    if (last?.key === key) last.changes.push(change)
    else groups.push({key, changes: [change]})
  }

  return groups
}

/** Whether the object holds nothing but what is written or deleted now, so that losing what it said before loses nothing. */
function isReplacement(changes: readonly StoredChange[]): boolean {
  return changes.every(change => change.kind !== 'identity' && change.kind !== 'record')
}
