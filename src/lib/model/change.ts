/** `reduce`, the only way a fleet changes; and what a change concerns, by the table of kinds.ts. */
import {
  type Change,
  type EntryKind,
  type Fleet,
  type Owners,
  type Subject,
  changeKinds,
  nameIn,
  parseSubject,
  rowOf,
  subjectOf,
} from './kinds.js'
import {PersistentMap} from './persistent-map.js'

export type {Change} from './kinds.js'

/**
 * The fleet after a change. An entry that is set or removed is no longer at fault. A fault removes the entry that it is about, for
 * some kinds (what is served meanwhile is decided in fleet.ts).
 */
export function reduce(fleet: Fleet, change: Change): Fleet {
  return reduceAll(fleet, [change])
}

/** As `reduce` over a list, making a new version of each map once. */
export function reduceAll(fleet: Fleet, changes: readonly Change[]): Fleet {
  if (changes.length === 0) return fleet
  const draft = new Draft(fleet)
  for (const change of changes) draft.apply(change)
  return draft.finish()
}

/** The owners whose Envoys a change may concern; `all` for what every node is built from. */
export function concerned(change: Change): Owners {
  return rowOf(change).envoys(nameIn(change))
}

/** The owners whose certificates, records and derived objects a change may make due. */
export function madeDue(change: Change): Owners {
  return rowOf(change).due(nameIn(change))
}

/** Whether a change may take a right away: a registration that is gone, a record that suspends, revokes or denies. */
export function cutsOff(change: Change): boolean {
  return rowOf(change).cutsOff?.(change.value) === true
}

/** One line for people: what the change does. Never key material. */
export function describe(change: Change): string {
  const row = rowOf(change)
  return row.sentence?.(change) ?? `${change.value === undefined ? 'remove' : 'write'} ${row.noun?.(nameIn(change)) ?? change.kind}`
}

/** A fleet and the edits to it, applied to each map once. */
class Draft {
  readonly #before: Fleet
  readonly #values: Partial<Record<keyof Fleet, unknown>> = {}
  readonly #edits = new Map<keyof Fleet, Map<string, unknown>>()

  constructor(before: Fleet) {
    this.#before = before
  }

  apply(change: Change): void {
    const name = nameIn(change)
    if (change.kind === 'fault' && change.value !== undefined) this.#drop(change.subject)
    else if (change.kind !== 'fault' && change.kind !== 'revision') this.#put(changeKinds.fault, subjectOf(change.kind, name), undefined)
    this.#put(rowOf(change), name, change.value)
  }

  finish(): Fleet {
    const maps = [...this.#edits].map(([field, edits]) => [field, PersistentMap.of(this.#mapOf(field)).with(edits)] as const)
    return {...this.#before, ...this.#values, ...Object.fromEntries(maps)} as Fleet
  }

  #drop(subject: Subject): void {
    const {kind, name} = parseSubject(subject)
    if (kind !== 'object' && isAbsentWhenBroken(kind)) this.#put(changeKinds[kind], name, undefined)
  }

  #put({field, name: nameField}: ReturnType<typeof rowOf>, name: string, value: Change['value']): void {
    if (nameField === undefined) this.#values[field] = value
    else this.#editsOf(field).set(name, value)
  }

  #editsOf(field: keyof Fleet): Map<string, unknown> {
    const edits = this.#edits.get(field) ?? new Map<string, unknown>()
    this.#edits.set(field, edits)
    return edits
  }

  #mapOf(field: keyof Fleet): ReadonlyMap<string, unknown> {
    return this.#before[field] as ReadonlyMap<string, unknown>
  }
}

function isAbsentWhenBroken(kind: EntryKind): boolean {
  return changeKinds[kind].absentWhenBroken === true
}
