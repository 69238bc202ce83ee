/**
 * Who has which version of what: a map from name to version, kept as the difference to a map of resources that it shares
 * with the snapshot. What the ledger differs in from what is wanted is then what is left to send; a change costs the size
 * of the difference, and a client that has everything costs no memory, however many resources there are.
 */
import type {Resource, Resources} from './snapshot.js'

/** What is had: a resource, or its version alone where the body was never ours (`initial_resource_versions`). */
export interface HeldVersion {
  readonly version: string
  readonly body?: Uint8Array
}

export interface Versions {
  readonly base: Resources
  /** Where the ledger differs from `base`; undefined = not had. Never an entry that says what `base` says. */
  readonly differing: ReadonlyMap<string, HeldVersion | undefined>
}

/** Something is had, and nobody knows in which version: it is never equal to anything wanted. */
export const unsure: HeldVersion = {version: ''}

export const emptyLedger: Versions = {base: new Map(), differing: new Map()}

/** What is had of a name; undefined for nothing. */
export function heldIn(ledger: Versions, name: string): HeldVersion | undefined {
  const held = ledger.differing.get(name)
  return held === undefined && !ledger.differing.has(name) ? ledger.base.get(name) : held
}

/** The ledger after these names were given (a version) or taken away (undefined). */
export function record(ledger: Versions, entries: Iterable<readonly [string, HeldVersion | undefined]>): Versions {
  let differing: Map<string, HeldVersion | undefined> | undefined
  for (const [name, held] of entries) {
    differing ??= new Map(ledger.differing)
    if (ledger.base.get(name)?.version === held?.version) differing.delete(name)
    else differing.set(name, held)
  }

  return differing === undefined ? ledger : {base: ledger.base, differing}
}

/** The same ledger told against another base: `differing` is then the difference to `base`. Unchanged resources are compared by reference. */
export function rebase(ledger: Versions, base: Resources): Versions {
  if (ledger.base === base) return ledger
  const differing = new Map<string, HeldVersion | undefined>()
  for (const [name, wanted] of base) {
    const before = ledger.base.get(name)
    if (before !== wanted && before?.version !== wanted.version) differing.set(name, before)
  }

  for (const [name, before] of goneFrom(ledger.base, base, differing)) differing.set(name, before)
  for (const [name, held] of ledger.differing) {
    if (base.get(name)?.version === held?.version) differing.delete(name)
    else differing.set(name, held)
  }

  return {base, differing}
}

/** The ledger with these names alone. */
export function only(ledger: Versions, names: Iterable<string>): Versions {
  const kept = [...names].map((name): [string, HeldVersion | undefined] => [name, heldIn(ledger, name)])
  return record(emptyLedger, kept)
}

/** All that is had, by name; for `status`, not for every push. */
export function* versionEntries(ledger: Versions): Iterable<[string, HeldVersion]> {
  for (const [name, held] of ledger.base) if (!ledger.differing.has(name)) yield [name, held]
  for (const [name, held] of ledger.differing) if (held !== undefined) yield [name, held]
}

function* goneFrom(
  before: Resources,
  after: Resources,
  differing: ReadonlyMap<string, HeldVersion | undefined>,
): Iterable<[string, Resource]> {
  let added = 0
  for (const held of differing.values()) if (held === undefined) added += 1
  if (before.size === after.size - added) return
  for (const [name, held] of before) if (!after.has(name)) yield [name, held]
}
