/** The files of a directory as they were last read, which of them hold an object, and who is to hear of a change. Reads nothing: files.ts. */
import {UNKNOWN_KIND} from '../../manifest/unreadable.js'
import {type ObjectKey, parseObjectKey} from '../../model/names.js'
import type {Sighting, StoredObject} from '../objects.js'
import {conventionalName, isUnread} from './object-file.js'

export interface KnownFile {
  /** Differs whenever the file was changed; empty while its times can't show that yet. */
  readonly stamp: string
  readonly object: StoredObject
}

/** Collects the objects that have changed, whichever read or write has shown it. */
export interface Follower {
  /**
   * The objects that have changed since the last call, as they are now; undefined where only all files together tell, such as for a file
   * that can't be read or an object in two files.
   */
  take(): readonly Sighting[] | undefined
  /** All objects were passed on, so nothing is left to tell. */
  clear(): void
  stop(): void
}

export interface KnownFiles {
  get(name: string): KnownFile | undefined
  names(): Iterable<string>
  size(): number
  /** The files that held an object when they were last read. */
  namesOf(key: ObjectKey): readonly string[]
  /** @param file undefined: there is none */
  set(name: string, file: KnownFile | undefined): void
  /** Whether a file could not be opened or read. */
  hasUnread(): boolean
  follow(): Follower
}

/** @returns no files */
export function openKnownFiles(): KnownFiles {
  const known = new Map<string, KnownFile>()
  /** Objects in files that are not called as Atlas would call them: few, so that most files cost no entry. */
  const elsewhere = new Map<ObjectKey, Set<string>>()
  const unread = new Set<string>()
  const followers = new Set<(before: StoredObject | undefined, after: StoredObject | undefined) => void>()

  function namesOf(key: ObjectKey): readonly string[] {
    const usual = conventionalName(key)
    const others = [...(elsewhere.get(key) ?? [])]
    return known.get(usual)?.object.key === key ? [usual, ...others] : others
  }

  function place(name: string, {key}: StoredObject): void {
    if (conventionalName(key) === name) return
    elsewhere.set(key, (elsewhere.get(key) ?? new Set()).add(name))
  }

  function displace(name: string, {key}: StoredObject): void {
    const names = elsewhere.get(key)
    names?.delete(name)
    if (names?.size === 0) elsewhere.delete(key)
  }

  /** Undefined: other files have a say in it. */
  function sightingOf(key: ObjectKey): Sighting | undefined {
    const [first, second] = namesOf(key)
    if (second !== undefined || parseObjectKey(key).kind === UNKNOWN_KIND) return undefined
    const object = first === undefined ? undefined : known.get(first)?.object
    return object !== undefined && object.manifest === undefined ? undefined : {key, object}
  }

  return {
    get: name => known.get(name),
    names: () => known.keys(),
    size: () => known.size,
    namesOf,
    set(name, file) {
      const before = known.get(name)?.object
      const after = file?.object
      if (before !== undefined && before.key !== after?.key) displace(name, before)
      if (file === undefined) known.delete(name)
      else known.set(name, file)
      if (after !== undefined && before?.key !== after.key) place(name, after)
      if (after !== undefined && isUnread(after)) unread.add(name)
      else unread.delete(name)
      if (before?.key === after?.key && before?.revision === after?.revision) return
      for (const tell of followers) tell(before, after)
    },
    hasUnread: () => unread.size > 0,
    follow() {
      const keys = new Set<ObjectKey>()
      let isUnclear = false
      const hear = (before: StoredObject | undefined, after: StoredObject | undefined): void => {
        for (const object of [before, after].filter(each => each !== undefined)) {
          keys.add(object.key)
          // It may have stood for another object than that of its name.
          if (object.manifest === undefined) isUnclear = true
        }
      }

      const clear = (): void => {
        keys.clear()
        isUnclear = false
      }

      followers.add(hear)
      return {
        take() {
          const sightings = [...keys].map(key => sightingOf(key))
          if (isUnclear || sightings.includes(undefined)) return undefined
          clear()
          return sightings.filter(sighting => sighting !== undefined)
        },
        clear,
        stop: () => followers.delete(hear),
      }
    },
  }
}
