/**
 * The writes of a commit: changes of one object go together, and objects of different owners may be written at once. Changes that
 * concern the same owner, or all owners, keep their order, so that what is written at any moment is a legal fleet.
 */
import {type StoredChange, objectOf, ownersOf} from '../manifest/encode.js'
import type {ObjectKey} from '../model/fleet.js'

/** Changes of one object: one write. */
export interface Group {
  readonly key: ObjectKey
  readonly changes: readonly StoredChange[]
}

/** Groups that may be written at once, one batch after the other. */
export function batchesOf(changes: readonly StoredChange[]): readonly (readonly Group[])[] {
  const groups = grouped(changes)
  const levels = new Map<string, number>()
  let barrier = 0
  let last = 0
  const batches: Group[][] = []
  for (const group of groups) {
    const owners = group.changes.map(change => ownersOf(change))
    const isForAll = owners.includes('all')
    const names = [`object ${group.key}`, ...owners.flatMap(some => (some === 'all' ? [] : some.map(owner => `owner ${owner}`)))]
    const level = 1 + (isForAll ? last : Math.max(barrier, ...names.map(name => levels.get(name) ?? 0)))
    for (const name of names) levels.set(name, level)
    if (isForAll) barrier = level
    last = Math.max(last, level)
    batches[level - 1] = [...(batches[level - 1] ?? []), group]
  }

  return batches
}

/** A change joins the first group of its object that comes after everything else of its owner. */
function grouped(changes: readonly StoredChange[]): readonly Group[] {
  const groups: {readonly key: ObjectKey; readonly changes: StoredChange[]}[] = []
  const places = new Map<ObjectKey, number[]>()
  const lastOf = new Map<string, number>()
  let lastForAll = -1
  for (const change of changes) {
    const [key, owners] = [objectOf(change), ownersOf(change)]
    const earliest = owners === 'all' ? groups.length - 1 : Math.max(lastForAll, ...owners.map(owner => lastOf.get(owner) ?? -1))
    const present = places.get(key) ?? []
    let place = present.find(index => index >= earliest)
    if (place === undefined) {
      place = groups.push({key, changes: []}) - 1
      places.set(key, [...present, place])
    }

    groups[place]?.changes.push(change)
    if (owners === 'all') lastForAll = Math.max(lastForAll, place)
    else for (const owner of owners) lastOf.set(owner, Math.max(lastOf.get(owner) ?? -1, place))
  }

  return groups
}
