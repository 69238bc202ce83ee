/** A fleet as the changes that make it, and as a plain value that shows every difference, also between keys. */
import {createHash} from 'node:crypto'
import {entryKinds} from '../../src/lib/manifest/kinds.js'
import type {Change} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type EntryKind, changeKinds, changeOf} from '../../src/lib/model/kinds.js'
import {PersistentMap} from '../../src/lib/model/persistent-map.js'
import {SecretText} from '../../src/lib/model/secret.js'

/** Kinds in the order in which `reconcile` would write them; all others come after them. */
const first: readonly EntryKind[] = [
  'settings',
  'authority',
  'trust',
  'server',
  'client',
  'registration',
  'record',
  'identity',
  'credential',
]

/** The changes that make a fleet, of every kind that a store keeps. */
export function changesOf(fleet: Fleet): readonly Change[] {
  const kinds = [...new Set([...first, ...(Object.keys(entryKinds) as EntryKind[])])].filter(kind => entryKinds[kind].is !== 'observed')
  return kinds.flatMap((kind): readonly Change[] => {
    const {field, name} = changeKinds[kind]
    const held = fleet[field]
    if (name !== undefined) return [...(held as ReadonlyMap<string, never>)].map(([entry, value]) => changeOf(kind, entry, value))
    return held === undefined ? [] : [changeOf(kind, '', held as never)]
  })
}

/** The changes that make one fleet the other, of every kind that a store keeps. */
export function changesBetween(before: Fleet, after: Fleet): readonly Change[] {
  const kinds = (Object.keys(entryKinds) as EntryKind[]).filter(kind => entryKinds[kind].is !== 'observed')
  return kinds.flatMap((kind): readonly Change[] => {
    const {field, name} = changeKinds[kind]
    const [from, to] = [before[field], after[field]]
    if (from === to) return []
    if (name === undefined) return [changeOf(kind, '', to as never)]
    const [were, are] = [from as ReadonlyMap<string, unknown>, to as ReadonlyMap<string, unknown>]
    const names = [...new Set([...were.keys(), ...are.keys()])]
    return names.filter(entry => were.get(entry) !== are.get(entry)).map(entry => changeOf(kind, entry, are.get(entry) as never))
  })
}

/**
 * A fleet for `deep.equal`: maps in order of their keys, a private key by its digest (two `SecretText` are always
 * deeply equal, since neither shows anything). Revisions are left out.
 */
export function plain(fleet: Fleet): Readonly<Record<string, unknown>> {
  const {revisions: _, ...rest} = fleet
  return bare(rest) as Record<string, unknown>
}

function bare(value: unknown): unknown {
  if (value instanceof SecretText) return `key ${createHash('sha256').update(value.reveal()).digest('hex')}`
  if (value instanceof Map || value instanceof PersistentMap)
    return Object.fromEntries([...value].map(([key, held]) => [String(key), bare(held)] as const).sort(byKey))
  if (Array.isArray(value)) return value.map(each => bare(each))
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, bare(held)]))
  return value
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
