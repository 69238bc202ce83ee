/**
 * ADS credentials that a later one has replaced: since when every connected Envoy of their owner comes with a later one, and when they are
 * refused (docs/explanation/security.md#renewals). What Envoys come with is known from their open streams alone.
 */
import type {CredentialRecord, OwnerRecord} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {type Fleet, isBroken} from '../model/fleet.js'
import {indexBy} from '../model/index-by.js'
import type {Owner} from '../model/names.js'
import {remember} from '../model/remember.js'
import type {Report} from '../model/report.js'
import type {Settings} from '../model/settings.js'
import {readKey} from '../pki/read.js'
import {sameValue} from './commit.js'
import {isAhead} from './due.js'
import type {Evidence} from './rotation/evidence.js'

/** SHA-256 of the credentials that the connected Envoys of each owner came with. An owner without a connected Envoy is absent. */
export type UsedCredentials = ReadonlyMap<Owner, ReadonlySet<string>>

/** Undefined while a server has not reported: an Envoy that is connected to it may have come with any credential. */
export const usedCredentials = remember(({proxies, servers}: Evidence): UsedCredentials | undefined => {
  if (servers.some(({tls}) => tls === undefined)) return undefined
  const used = new Map<Owner, Set<string>>()
  for (const {cluster, credential} of proxies) used.set(cluster, (used.get(cluster) ?? new Set()).add(credential.sha256))
  return used
})

export interface SupersededFacts {
  readonly used: UsedCredentials
  readonly now: Date
  /** Whether times are dated; what an Envoy has come with undoes one at any time. */
  readonly isClockBelieved: boolean
  /** Whether a time that is over is a reason to refuse: the clock is confirmed. */
  readonly isAgeAReason: boolean
}

/**
 * The owner's record, brought up to date: its older credentials are dated when every connected Envoy has come with a later one, and
 * refused after `settings.lifetimes.superseded`. An Envoy that comes with one of them before that takes its date away. The credential in
 * the owner's Secret is never refused, whatever Envoys come with: a Secret that was put back must still open ADS.
 */
export function planSuperseded(fleet: Fleet, settings: Settings, owner: Owner, facts: SupersededFacts): readonly Change[] {
  const [record, used, present] = [fleet.records.get(owner), facts.used.get(owner), fleet.credentials.get(owner)]
  if (record === undefined || used === undefined || present === undefined || record.credentials.length < 2) return []
  if (isBroken(fleet, 'record', owner) || isBroken(fleet, 'credential', owner)) return []
  // Credentials are kept in the order in which they were issued. One that is not on record is older than all.
  const oldest = Math.min(...[...used].map(sha256 => record.credentials.findIndex(credential => credential.sha256 === sha256)))
  const kept = readKey(present).sha256
  const credentials = record.credentials.map((credential, index) => {
    if (credential.state !== 'valid') return credential
    return index < oldest && credential.sha256 !== kept ? superseded(credential, settings, facts) : inUse(credential)
  })
  const value: OwnerRecord = {...record, credentials}
  return sameValue(record, value) ? [] : [{kind: 'record', owner, value}]
}

/** Milliseconds since 1970 of the next time at which `planSuperseded` refuses a credential; Infinity: none is dated whose owner is connected. */
export function nextSuperseded({records}: Fleet, settings: Settings, used: UsedCredentials): number {
  let next = Infinity
  for (const owner of byDate(records).get('dated') ?? [])
    for (const {supersededSince} of used.has(owner) ? (records.get(owner)?.credentials ?? []) : [])
      if (supersededSince !== undefined) next = Math.min(next, endOfUse(supersededSince, settings))
  return next
}

/** Every pass asks for the few owners with a dated credential. */
const byDate = indexBy((_: Owner, {credentials}: OwnerRecord) =>
  credentials.some(({supersededSince}) => supersededSince !== undefined) ? 'dated' : 'undated',
)

/** Owners in a report of a server, where their Envoys come with another credential than before: `planSuperseded` finds something to do for them. */
export function ownersToSupersede({records}: Fleet, {proxies}: Pick<Report, 'proxies'>): readonly Owner[] {
  return proxies.flatMap(({cluster, credential: {sha256}}) => {
    const valid = (records.get(cluster)?.credentials ?? []).filter(({state}) => state === 'valid')
    const index = valid.findIndex(credential => credential.sha256 === sha256)
    const isDifferent = valid.some(({supersededSince}, other) => other < index !== (supersededSince !== undefined))
    return isDifferent ? [cluster] : []
  })
}

/** Whether more than one credential opens ADS for the owner. */
export function hasOlderCredentials({records}: Fleet, owner: Owner): boolean {
  return (records.get(owner)?.credentials ?? []).filter(({state}) => state === 'valid').length > 1
}

function superseded(
  credential: CredentialRecord,
  settings: Settings,
  {now, isClockBelieved, isAgeAReason}: SupersededFacts,
): CredentialRecord {
  if (!isClockBelieved) return credential
  const {supersededSince, ...rest} = credential
  // A date that a clock which ran ahead has set would never be over.
  if (supersededSince === undefined || isAhead(supersededSince, now)) return {...rest, supersededSince: now.toISOString()}
  if (!isAgeAReason || endOfUse(supersededSince, settings) > now.getTime()) return credential
  return {...rest, state: 'revoked', retiredAt: now.toISOString()}
}

function inUse({supersededSince: _, ...rest}: CredentialRecord): CredentialRecord {
  return rest
}

function endOfUse(supersededSince: string, {lifetimes}: Settings): number {
  return Date.parse(supersededSince) + lifetimes.superseded * 1000
}
