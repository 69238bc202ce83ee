/** The store of the simulation: one fleet, with a revision for each object, written group by group as a commit to a real store is. */
import {type StoredChange, isDerivedChange, isStored, sharesObject} from '../../src/lib/manifest/encode.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, type ObjectKey, emptyFleet} from '../../src/lib/model/fleet.js'
import {batchesOf} from '../../src/lib/store/batches.js'
import {changesBetween} from '../helpers/fleet-changes.js'

/** One attempt to write, as another store can repeat it. */
export interface Attempt {
  /** The version that was planned on. */
  readonly base: number
  /** What was written, object by object; of a conflict all that was planned. */
  readonly groups: readonly (readonly Change[])[]
  readonly isConflict: boolean
}

/** Called after each object that was written. */
export type Observe = (before: Fleet, after: Fleet, changes: readonly Change[]) => void

/** Versions whose fleets are kept: no plan is made on an older one. */
const KEPT = 64

export class SimulatedStore {
  fleet: Fleet = emptyFleet
  /** How many objects were written. */
  version = 0
  /** All attempts, where they are recorded. */
  readonly attempts: Attempt[] | undefined
  /** The version that it was last put back to. */
  #putBack = 0
  readonly #versions = new Map<number, Fleet>([[0, emptyFleet]])
  readonly #observe: Observe

  constructor(observe: Observe, isRecorded: {readonly attempts: boolean}) {
    this.#observe = observe
    this.attempts = isRecorded.attempts ? [] : undefined
  }

  /** The fleet of a version, as a server that lags behind still sees it. */
  at(version: number): Fleet {
    const fleet = this.#versions.get(version)
    if (fleet === undefined) throw new Error(`version ${version} is forgotten`)
    return fleet
  }

  /** The oldest version that a plan can be made on. */
  get oldest(): number {
    return Math.max(this.#putBack, this.version - KEPT + 1)
  }

  /**
   * Writes what was planned on a version: all of it, or, where the writer ends early, the first `groups` objects.
   * @returns whether another writer was faster; nothing is written then
   */
  commit(base: number, planned: readonly Change[], groups = Infinity): 'conflict' | 'written' {
    const changes = planned.filter(change => isStored(change))
    const all = batchesOf(changes).flat()
    const {revisions} = this.at(base)
    // As in store/commit.ts: what can be made again at any time has no base.
    const based = all.filter(group => !group.changes.every(change => isDerivedChange(change)))
    const isConflict = based.some(({key}) => revisions.get(key) !== this.fleet.revisions.get(key))
    const written = all.slice(0, groups)
    this.attempts?.push({base, groups: (isConflict ? all : written).map(group => group.changes), isConflict})
    if (isConflict) return 'conflict'
    for (const group of written) {
      const before = this.fleet
      this.#write(group.key, group.changes)
      this.#observe(before, this.fleet, group.changes)
    }

    return 'written'
  }

  /** Writes an object that has one writer, or that a person writes at once. */
  put(...changes: readonly Change[]): void {
    this.commit(this.version, changes)
  }

  /** A backup is restored. Objects that differ have new revisions, as when it is applied: a plan on what was read before is in conflict. */
  putBack(fleet: Fleet): void {
    const changes = changesBetween(this.fleet, fleet).filter(change => isStored(change))
    const groups = batchesOf(changes).flat()
    this.attempts?.push({base: this.version, groups: groups.map(group => group.changes), isConflict: false})
    for (const group of groups) this.#write(group.key, group.changes)
    this.#putBack = this.version
  }

  #write(key: ObjectKey, changes: readonly StoredChange[]): void {
    const isGone = changes.every(change => change.value === undefined && !sharesObject(change))
    this.version += 1
    const value = isGone ? undefined : String(this.version)
    this.fleet = reduceAll(this.fleet, [...changes, {kind: 'revision', object: key, value}])
    this.#versions.set(this.version, this.fleet)
    this.#versions.delete(this.version - KEPT)
  }
}
