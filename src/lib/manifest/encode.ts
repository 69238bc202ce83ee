/** Changes -> objects: in which object a change lives, and what that object holds after it. The table of kinds.ts knows how. */
import {authorityParts, nextParts} from '../model/authority.js'
import type {Change} from '../model/change.js'
import type {ObjectKey} from '../model/fleet.js'
import {type EntryKind, nameIn} from '../model/kinds.js'
import type {Settings} from '../model/settings.js'
import {type Row, type StoredKind, entryKinds, objectKeyOf} from './kinds.js'
import type {Manifest} from './manifest.js'

/** A change that is stored; faults, revisions and a load balancer's addresses are only reported by a store. */
export type StoredChange = Extract<Change, {kind: StoredKind}>

export function isStored(change: Change): change is StoredChange {
  return change.kind in entryKinds && entryKinds[change.kind as EntryKind].is !== 'observed'
}

/** Whether the change can be made again from the rest at any time: it is then written over what another writer has put there. */
export function isDerivedChange(change: StoredChange): boolean {
  return entryKinds[change.kind].is === 'derived'
}

/** Whether the object of a change holds other entries, too, which are lost with it. */
export function sharesObject(change: StoredChange): boolean {
  return entryKinds[change.kind].isShared
}

/** `<kind>/<name>` of the object that a change is written into. */
export function objectOf(change: StoredChange): ObjectKey {
  return entryKinds[change.kind].object(nameIn(change))
}

/** The owners whose changes are written in order; `all`: a change that waits for every change before it. */
export function ownersOf(change: StoredChange): readonly string[] | 'all' {
  return (entryKinds[change.kind] as Row).owners(nameIn(change), change.value)
}

/** Whether a change must not be written while changes of the owners `left` are not. */
export function isBehind(change: StoredChange, left: ReadonlySet<string>): boolean {
  const owners = ownersOf(change)
  return owners === 'all' ? entryKinds[change.kind].waitsForAll === true && left.size > 0 : owners.some(owner => left.has(owner))
}

/** Whether nothing that follows can be used without an object; without the zone, for instance, the rest can. */
export function isNeededByAll(object: ObjectKey): boolean {
  return neededByAll.has(object)
}

const neededByAll: ReadonlySet<ObjectKey> = new Set(
  (Object.keys(entryKinds) as EntryKind[])
    .filter(kind => entryKinds[kind].isNeededByAll)
    .flatMap(kind => (kind === 'authority' ? [...authorityParts, ...Object.values(nextParts)] : ['']).map(name => objectKeyOf(kind, name))),
)

/** The namespace that a change's object is in: what Thanos Query reads is in Thanos's. */
export function namespaceOf(change: StoredChange, settings: Settings): string {
  return entryKinds[change.kind].namespace?.(settings) ?? settings.namespace
}

/**
 * The object after a change; undefined: it is to be deleted. What is in it and isn't Atlas's, or is another entry's, stays.
 * @throws AtlasError `invalid` where the present object can't be read at all, `failed` where it belongs to another program
 */
export function encodeOnto(existing: Manifest | undefined, change: StoredChange, namespace: string): Manifest | undefined {
  return (entryKinds[change.kind] as Row).encode(existing, {name: nameIn(change), value: change.value}, namespace)
}
