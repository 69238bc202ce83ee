/** Writes changes into a place of objects: checked against the fleet that they were planned on, batch by batch (batches.ts). */
import {isDeepStrictEqual} from 'node:util'
import {
  type StoredChange,
  encodeOnto,
  isBehind,
  isDerivedChange,
  isNeededByAll,
  isStored,
  namespaceOf,
  ownersOf,
  sharesObject,
} from '../manifest/encode.js'
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'
import {type Settings, defaultSettings} from '../model/settings.js'
import {type Group, batchesOf} from './batches.js'
import type {ObjectStore, Sighting, StoredObject} from './objects.js'

/** A change that could not be written. */
export interface CommitConflict {
  readonly object: ObjectKey
  /** The owners whose later changes were left out, too; none where the change concerns all. */
  readonly owners: readonly string[]
  readonly error: AtlasError
}

/** A commit of which something could not be written: the rest is written. It has the message of its first refusal. */
export class RefusedCommit extends AtlasError {
  /** The fleet after what was written. */
  readonly fleet: Fleet
  readonly refusals: readonly CommitConflict[]

  constructor(fleet: Fleet, refusals: readonly CommitConflict[]) {
    const first = refusals[0]?.error
    super(first?.code ?? 'failed', first?.message ?? 'nothing could be written', {
      ...(first?.hint !== undefined && {hint: first.hint}),
      cause: first,
    })
    this.fleet = fleet
    this.refusals = refusals
  }
}

/** A place of objects, for commits. */
export interface Writable extends Pick<ObjectStore, 'description' | 'isAnswer' | 'read' | 'write' | 'writesAtOnce'> {
  /** As that of `ObjectStore`, where it is settled what the work takes turns with. */
  exclusively<T>(work: () => Promise<T>): Promise<T>
}

/** The object after a write, or why it could not be written. */
type Outcome = {readonly group: Group; readonly error: unknown} | {readonly group: Group; readonly object: StoredObject | undefined}

/**
 * @param read an object as this version understands it
 * @param wrote called after each batch
 * @returns the fleet after the commit
 * @throws AtlasError `conflict` where an object is not at its revision in `base`; nothing is written where that shows beforehand
 */
export async function commitOnto(
  objects: Writable,
  read: (key: ObjectKey) => Promise<StoredObject | undefined>,
  base: Fleet,
  changes: readonly Change[],
  wrote: (sightings: readonly Sighting[]) => Promise<void>,
): Promise<Fleet> {
  const stored = changes.filter(change => isStored(change))
  if (stored.length === 0) return base
  const settings = stored.find(change => change.kind === 'settings')?.value ?? base.settings ?? defaultSettings
  return objects.exclusively(async () => {
    const batches = batchesOf(stored)
    // A commit that loses a race should write nothing: all objects are checked before the first is written.
    for (const group of batches.flat()) if (!isDerived(group)) checkBase(objects, group.key, await objects.read(group.key), base)
    let fleet = base
    const refusals: CommitConflict[] = []
    /** Owners of which something could not be written, and objects of all owners. */
    const blocked = new Set<string>()
    for (const batch of batches) {
      const outcomes = await atOnce(unblocked(batch, blocked), objects.writesAtOnce, async group =>
        writeGroup(objects, read, fleet, group, settings),
      )
      const written = outcomes.filter(outcome => 'object' in outcome)
      fleet = reduceAll(
        fleet,
        written.flatMap(({group, object}) => [...group.changes, {kind: 'revision', object: group.key, value: object?.revision}]),
      )
      await wrote(written.map(({group, object}) => ({key: group.key, object})))
      for (const {group, error} of outcomes.filter(outcome => 'error' in outcome)) {
        if (!(error instanceof AtlasError) || error.code === 'conflict') throw error as Error
        // One object that the API server fails at, such as for a webhook that is down, must not stop the others.
        if (error.code === 'unreachable' && written.length === 0 && objects.isAnswer?.(error) !== true) throw error
        refusals.push({object: group.key, owners: ownersOfGroup(group), error})
        for (const owner of ownersOfGroup(group)) blocked.add(owner)
        // What can be made again at any time, such as the DNS zone, is no part of what was asked.
        if (!isDerived(group)) blocked.add(group.key)
      }

      if (refusals.some(({object}) => isNeededByAll(object))) break
    }

    if (refusals.length > 0) throw new RefusedCommit(fleet, refusals)
    return fleet
  })
}

function ownersOfGroup({changes}: Group): readonly string[] {
  return [...new Set(changes.map(change => ownersOf(change)).flatMap(owners => (owners === 'all' ? [] : owners)))]
}

/** Without the changes of owners of which an earlier change could not be written. */
function unblocked(batch: readonly Group[], blocked: ReadonlySet<string>): readonly Group[] {
  if (blocked.size === 0) return batch
  return batch
    .map(({key, changes}) => ({key, changes: changes.filter(change => !isBehind(change, blocked))}))
    .filter(({changes}) => changes.length > 0)
}

async function writeGroup(
  objects: Writable,
  read: (key: ObjectKey) => Promise<StoredObject | undefined>,
  fleet: Fleet,
  group: Group,
  settings: Settings,
): Promise<StoredObject | undefined> {
  const {key, changes} = group
  const present = await read(key)
  if (!isDerived(group)) checkBase(objects, key, present, fleet)
  if (present?.broken !== undefined && (present.sealed === true || !isReplacement(changes)))
    throw new AtlasError('failed', `${present.source ?? key} can't be written to, because it can't be read: ${present.broken}`, {
      hint: 'fix or remove it',
    })
  const next = changes.reduce((manifest, change) => encodeOnto(manifest, change, namespaceOf(change, settings)), present?.manifest)
  if (isDeepStrictEqual(present?.manifest, next) && present?.broken === undefined) return present
  const written = await objects.write(key, next, {base: present?.revision, isDerived: isDerived(group)})
  const source = present?.source
  return written === undefined || source === undefined ? written : {...written, source}
}

/** @throws AtlasError `conflict` where the object is at another revision than the one that was planned on */
function checkBase(objects: Writable, key: ObjectKey, present: StoredObject | undefined, base: Fleet): void {
  if (present?.revision === base.revisions.get(key)) return
  throw new AtlasError('conflict', `${key} in ${objects.description} was changed by another writer`, {hint: 'run the command again'})
}

function isDerived({changes}: Group): boolean {
  return changes.every(change => isDerivedChange(change))
}

/** Whether the object holds only what is written or deleted now, so that nothing else is lost with its old content. */
function isReplacement(changes: readonly StoredChange[]): boolean {
  return changes.every(change => !sharesObject(change))
}

async function atOnce(
  groups: readonly Group[],
  limit: number,
  write: (group: Group) => Promise<StoredObject | undefined>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let group = groups[next]; group !== undefined; group = groups[next]) {
      next += 1
      try {
        outcomes.push({group, object: await write(group)})
      } catch (error) {
        outcomes.push({group, error})
      }
    }
  }

  await Promise.all(Array.from({length: Math.min(limit, groups.length)}, work))
  return outcomes
}
