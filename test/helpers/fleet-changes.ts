/** A fleet as the changes that make it, and as a plain value that shows every difference, also between keys. */
import {createHash} from 'node:crypto'
import type {Change} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {SecretText} from '../../src/lib/model/secret.js'

/** The changes that make a fleet, in the order in which `reconcile` would write them. */
export function changesOf(fleet: Fleet): readonly Change[] {
  return [
    {kind: 'settings', value: fleet.settings},
    ...[...fleet.authority].map(([part, value]): Change => ({kind: 'authority', part, value})),
    {kind: 'trust', value: fleet.trust},
    {kind: 'server', value: fleet.server},
    ...[...fleet.clients].map(([name, value]): Change => ({kind: 'client', name, value})),
    ...[...fleet.registrations].map(([name, value]): Change => ({kind: 'registration', name, value})),
    ...[...fleet.records].map(([owner, value]): Change => ({kind: 'record', owner, value})),
    ...[...fleet.identities].map(([owner, value]): Change => ({kind: 'identity', owner, value})),
    ...[...fleet.credentials].map(([owner, value]): Change => ({kind: 'credential', owner, value})),
    {kind: 'endpoints', value: fleet.endpoints},
  ]
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
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, held]) => [String(key), bare(held)] as const).sort(byKey))
  if (Array.isArray(value)) return value.map(each => bare(each))
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, bare(held)]))
  return value
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
