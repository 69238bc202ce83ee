/** Plans the removal of a cluster: its certificates are refused from now on, then its objects are removed. */
import {objectKeyOf} from '../manifest/kinds.js'
import type {DeniedName, OwnerRecord} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {type Fleet, isBroken, isRegistered} from '../model/fleet.js'
import {type ClusterName, spiffe} from '../model/names.js'
import {readKey} from '../pki/read.js'
import {recordOrRecovered} from '../pki/recover.js'
import type {OpsDependencies} from './dependencies.js'

/**
 * The record comes first, so that the certificates are refused even if the rest of the plan fails: the generation goes up, every
 * credential is revoked, and the old names are denied until the last certificate with one of them has ended.
 */
export function planRemoval(fleet: Fleet, name: ClusterName, dependencies: OpsDependencies): readonly Change[] {
  const record = recordOrRecovered(fleet, name)
  const denied = [...record.denied, ...deniedNames(fleet, name, record, dependencies)]
  const {registration: _r, suspendedSince: _s, removing: _m, ...rest} = record
  const credentials = record.credentials.map(credential => ({...credential, state: 'revoked' as const}))
  const removing = isRegistered(fleet, name) ? fleet.revisions.get(objectKeyOf('registration', name)) : undefined
  const value: OwnerRecord = {...rest, ...(removing !== undefined && {removing}), generation: record.generation + 1, credentials, denied}
  return [{kind: 'record', owner: name, value}, ...planDeletion(fleet, name)]
}

/** Whether a removal ended between the record and the registration, which is still as the removal found it. */
export function isHalfRemoved(fleet: Fleet, name: ClusterName): boolean {
  const removing = fleet.records.get(name)?.removing
  return removing !== undefined && isRegistered(fleet, name) && fleet.revisions.get(objectKeyOf('registration', name)) === removing
}

/** The objects of a cluster whose record is that of a removed one. */
export function planDeletion(fleet: Fleet, name: ClusterName): readonly Change[] {
  const changes: Change[] = []
  if (isRegistered(fleet, name)) changes.push({kind: 'registration', name, value: undefined})
  if (fleet.identities.has(name) || isBroken(fleet, 'identity', name)) changes.push({kind: 'identity', owner: name, value: undefined})
  if (fleet.credentials.has(name) || isBroken(fleet, 'credential', name)) changes.push({kind: 'credential', owner: name, value: undefined})
  return changes
}

/**
 * The record without credentials and denials that ended more than 30 days ago. A clock that runs ahead by less than that drops nothing
 * that still protects, nor a credential that an Envoy still uses.
 */
export function withoutEnded(record: OwnerRecord, now: Date): OwnerRecord {
  const isKept = (end: string): boolean => dropAt(end) > now.getTime()
  const credentials = record.credentials.filter(credential => isKept(credential.notAfter))
  const denied = record.denied.filter(name => isKept(name.until))
  const isSame = credentials.length === record.credentials.length && denied.length === record.denied.length
  return isSame ? record : {...record, credentials, denied}
}

/** When a credential or a denial that ends at this time is dropped from its record; milliseconds since 1970. */
export function dropAt(end: string): number {
  return Date.parse(end) + KEPT_AFTER_END
}

/** 30 days, in milliseconds. */
const KEPT_AFTER_END = 30 * 86_400_000

function deniedNames(fleet: Fleet, name: ClusterName, record: OwnerRecord, dependencies: OpsDependencies): readonly DeniedName[] {
  const {settings} = fleet
  if (settings === undefined) return []
  const now = dependencies.now().getTime()
  const longest = (seconds: number): string => new Date(now + seconds * 1000).toISOString()
  const identity = fleet.identities.get(name)
  const identityEnd = identity === undefined ? longest(settings.lifetimes.identity) : readKey(identity).notAfter.toISOString()
  const credentialEnd =
    record.credentials
      .map(credential => credential.notAfter)
      .sort()
      .at(-1) ?? longest(settings.lifetimes.credential)
  // Earlier leaves of this generation may still be in use; none of them ends later than a leaf that is made now.
  return [
    {
      name: spiffe.downstream(settings.trustDomain, name, record.generation),
      until: later(identityEnd, longest(settings.lifetimes.identity)),
    },
    {name: spiffe.adsClient(settings.trustDomain, name, record.generation), until: credentialEnd},
  ]
}

function later(a: string, b: string): string {
  return a > b ? a : b
}
