/**
 * What the certificates in the store still show of a cluster whose record is lost or broken. What is recovered is served and planned
 * with; it is written only where there is no record, never over a broken one.
 */
import type {CertifiedKey, DeniedName, OwnerRecord} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {type Fleet, emptyFleet, generationOf, isBroken, ownersApart, recordOf} from '../model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner, generationIn, spiffe} from '../model/names.js'
import {PersistentMap} from '../model/persistent-map.js'
import type {Settings} from '../model/settings.js'
import {readKey, recordOfCredential} from './read.js'
import {endOfIssuers} from './signed.js'

/**
 * The fleet as it is to be served. Without its record a cluster would count as generation 1: after a restart, clients would refuse the
 * certificate of its Envoy, the server would refuse its credential, and accept credentials that were revoked (promise 6).
 * @param before an earlier fleet and what this function made of it: only the owners that differ since are looked at
 */
export function withRecovered(fleet: Fleet, before?: {readonly stored: Fleet; readonly served: Fleet}): Fleet {
  const lost = ownersToLookAt(fleet, before).filter(
    owner => !fleet.records.has(owner) && (fleet.identities.has(owner) || fleet.credentials.has(owner)),
  )
  if (lost.length === 0) return fleet
  const recovered = lost.map(owner => recoveredRecord(fleet, owner)).filter(record => record !== undefined)
  return {...fleet, records: PersistentMap.of(fleet.records).with(recovered.map(record => [record.owner, record] as const))}
}

function ownersToLookAt(fleet: Fleet, before: {readonly stored: Fleet; readonly served: Fleet} | undefined): readonly Owner[] {
  const {stored, served} = before ?? {stored: emptyFleet, served: emptyFleet}
  const [changed, recovered] = [
    ownersApart(stored, fleet, ['identities', 'credentials', 'records']),
    ownersApart(stored, served, ['records']),
  ]
  return [...new Set([...changed, ...recovered])]
}

/** An owner's record; without one, the record that its certificates still show; without certificates, a new one. */
export function recordOrRecovered(fleet: Fleet, owner: Owner): OwnerRecord {
  return fleet.records.get(owner) ?? recoveredRecord(fleet, owner) ?? recordOf(fleet, owner)
}

/** Whether a cluster's identity or credential is of an earlier generation than its record, as a removal that ended half-way leaves them. */
export function isOfEarlierGeneration({settings, records, identities, credentials}: Fleet, owner: Owner): boolean {
  const generation = records.get(owner)?.generation
  if (settings === undefined || generation === undefined) return false
  const shown = [identities.get(owner), credentials.get(owner)].map(key => shownGeneration(key, settings.trustDomain, owner))
  return shown.some(each => each > 0 && each < generation)
}

/**
 * The generation in the name that clients expect of a cluster's Envoy. It is that of the record; while the record is broken, that of
 * the identity in the store, since SDS delivers this identity and no other is issued until the record is repaired.
 */
export function pinnedGeneration(fleet: Fleet, {trustDomain}: Settings, name: ClusterName): number {
  const shown = isBroken(fleet, 'record', name) ? shownGeneration(fleet.identities.get(name), trustDomain, name) : 0
  return shown === 0 ? generationOf(fleet, name) : shown
}

/** Of two generations the later is the record's: while a removal is half done, the earlier one is the one that was revoked. */
function recoveredRecord(fleet: Fleet, owner: Owner): OwnerRecord | undefined {
  const {settings} = fleet
  if (settings === undefined) return undefined
  const credential = fleet.credentials.get(owner)
  const ofCredential = shownGeneration(credential, settings.trustDomain, owner)
  const generation = Math.max(ofCredential, shownGeneration(fleet.identities.get(owner), settings.trustDomain, owner))
  if (generation === 0) return undefined
  const registration = owner === OBSERVABILITY ? undefined : fleet.registrations.get(owner)
  return {
    owner,
    generation,
    ...(registration === undefined ? {} : {registration}),
    credentials: credential !== undefined && ofCredential === generation ? [recordOfCredential(credential)] : [],
    denied: earlierNames(fleet, settings, owner, generation),
  }
}

/** The generation in a certificate's name; 0 where there is none, or the certificate does not decode. */
function shownGeneration(key: CertifiedKey | undefined, trustDomain: string, owner: Owner): number {
  try {
    return Math.max(0, ...(key === undefined ? [] : readKey(key).uris).map(uri => generationIn(uri, trustDomain, owner) ?? 0))
  } catch (error) {
    if (error instanceof AtlasError) return 0
    throw error
  }
}

/** The names of earlier generations, denied until the issuers end: no certificate with one of these names can end later. */
function earlierNames({trust}: Fleet, {trustDomain}: Settings, owner: Owner, generation: number): readonly DeniedName[] {
  const until = new Date(trust === undefined ? 0 : endOfIssuers([...trust.issuers, ...trust.credentialIssuers])).toISOString()
  const earlier = Array.from({length: generation - 1}, (_, index) => index + 1)
  return earlier.flatMap(each => [
    ...(owner === OBSERVABILITY ? [] : [{name: spiffe.downstream(trustDomain, owner, each), until}]),
    {name: spiffe.adsClient(trustDomain, owner, each), until},
  ])
}
