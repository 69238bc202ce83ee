/**
 * Which client has which version of which resource: a map from name to version, kept as the difference to a map of resources that
 * it shares with the snapshot. With the resources that are wanted as its base, the difference is what is left to send. A change
 * costs the size of the difference, and a client that has everything costs no memory, however many resources there are.
 */
import {differingKeys} from '../model/persistent-map.js'
import type {Resources} from './snapshot.js'

/** One version: that of a resource, or a version alone where the server doesn't have the body (`initial_resource_versions`). */
export interface HeldVersion {
  readonly version: string
  readonly body?: Uint8Array
}

export interface VersionMap {
  readonly base: Resources
  /** Where the map differs from `base`; undefined = the client doesn't have the name. Never an entry that equals `base`. */
  readonly differing: ReadonlyMap<string, HeldVersion | undefined>
}

/** The client has the resource in a version that isn't known: never equal to a version that is wanted. */
export const unknownVersion: HeldVersion = {version: ''}

export const emptyVersions: VersionMap = {base: new Map(), differing: new Map()}

/** The version of a name; undefined where the client doesn't have it. */
export function heldVersion(versions: VersionMap, name: string): HeldVersion | undefined {
  const held = versions.differing.get(name)
  return held === undefined && !versions.differing.has(name) ? versions.base.get(name) : held
}

/** The map with these entries set; undefined removes a name. */
export function setVersions(versions: VersionMap, entries: Iterable<readonly [string, HeldVersion | undefined]>): VersionMap {
  let differing: Map<string, HeldVersion | undefined> | undefined
  for (const [name, held] of entries) {
    differing ??= new Map(versions.differing)
    if (versions.base.get(name)?.version === held?.version) differing.delete(name)
    else differing.set(name, held)
  }

  return differing === undefined ? versions : {base: versions.base, differing}
}

/** The map with these names removed. */
export function removeVersions(versions: VersionMap, names: Iterable<string>): VersionMap {
  return setVersions(versions, entriesOf(names, undefined))
}

/** The map after these names got a version that isn't known. */
export function forgetVersions(versions: VersionMap, names: Iterable<string>): VersionMap {
  return setVersions(versions, entriesOf(names, unknownVersion))
}

/** The same versions against another base: `differing` becomes the difference to `base`. Two versions of one map cost what differs. */
export function rebase(versions: VersionMap, base: Resources): VersionMap {
  if (versions.base === base) return versions
  const differing = new Map<string, HeldVersion | undefined>()
  for (const name of differingKeys(versions.base, base)) {
    const before = versions.base.get(name)
    if (before?.version !== base.get(name)?.version) differing.set(name, before)
  }

  for (const [name, held] of versions.differing) {
    if (base.get(name)?.version === held?.version) differing.delete(name)
    else differing.set(name, held)
  }

  return {base, differing}
}

/** The map with these names alone. */
export function onlyNames(versions: VersionMap, names: Iterable<string>): VersionMap {
  const kept = [...names].map((name): [string, HeldVersion | undefined] => [name, heldVersion(versions, name)])
  return setVersions(emptyVersions, kept)
}

/** All entries by name. Costs the size of the map: for `status`, not for every push. */
export function* versionEntries(versions: VersionMap): Iterable<[string, HeldVersion]> {
  for (const [name, held] of versions.base) if (!versions.differing.has(name)) yield [name, held]
  for (const [name, held] of versions.differing) if (held !== undefined) yield [name, held]
}

function entriesOf(names: Iterable<string>, held: HeldVersion | undefined): readonly (readonly [string, HeldVersion | undefined])[] {
  return [...names].map(name => [name, held])
}
