/**
 * What is still known of a cluster whose record is lost or can't be read: as much as its certificates in the store tell. Never a
 * record in a store's place: what is recovered is served and planned with, and written only where no record stands.
 */
import type {CertifiedKey, DeniedName, OwnerRecord} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {type Fleet, recordOf} from '../model/fleet.js'
import {OBSERVABILITY, type Owner, generationIn, spiffe} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {readCertificate, readKey, recordOfCredential} from '../pki/read.js'

/**
 * The fleet as it is to be served. A record that does not decode is no generation 1: after a restart that would pin the cluster to
 * a name that its Envoy does not carry, refuse its credential, and believe whoever was revoked before (promise 6).
 */
export function withRecovered(fleet: Fleet): Fleet {
  const lost = new Set<Owner>()
  for (const owners of [fleet.identities.keys(), fleet.credentials.keys()])
    for (const owner of owners) if (!fleet.records.has(owner)) lost.add(owner)
  if (lost.size === 0) return fleet
  const recovered = [...lost].map(owner => recoveredRecord(fleet, owner)).filter(record => record !== undefined)
  return {...fleet, records: new Map([...fleet.records, ...recovered.map(record => [record.owner, record] as const)])}
}

/** An owner's record; where there is none, what can be recovered of it; where that is nothing, a new one. */
export function rememberedOf(fleet: Fleet, owner: Owner): OwnerRecord {
  return fleet.records.get(owner) ?? recoveredRecord(fleet, owner) ?? recordOf(fleet, owner)
}

/** The later of two generations wins: of a removal that was cut off half-way, the earlier one is what was revoked. */
function recoveredRecord(fleet: Fleet, owner: Owner): OwnerRecord | undefined {
  const {settings} = fleet
  if (settings === undefined) return undefined
  const shown = (key: CertifiedKey | undefined): number =>
    Math.max(0, ...urisOf(key).map(uri => generationIn(uri, settings.trustDomain, owner) ?? 0))
  const credential = fleet.credentials.get(owner)
  const [ofIdentity, ofCredential] = [shown(fleet.identities.get(owner)), shown(credential)]
  const generation = Math.max(ofIdentity, ofCredential)
  if (generation === 0) return undefined
  const registration = fleet.registrations.get(owner as Exclude<Owner, 'atlas'>)
  return {
    owner,
    generation,
    ...(registration === undefined ? {} : {registration}),
    credentials: credential !== undefined && ofCredential === generation ? [recordOfCredential(credential)] : [],
    denied: earlierNames(fleet, settings, owner, generation),
  }
}

/** What opened doors in earlier generations: denied until the last certificate that can carry it has ended, its issuer's end. */
function earlierNames({trust}: Fleet, {trustDomain}: Settings, owner: Owner, generation: number): readonly DeniedName[] {
  const end = (issuers: readonly string[] = []): number => Math.max(0, ...issuers.map(issuer => readCertificate(issuer).notAfter.getTime()))
  const until = new Date(Math.max(end(trust?.issuers), end(trust?.credentialIssuers))).toISOString()
  const earlier = Array.from({length: generation - 1}, (_, index) => index + 1)
  return earlier.flatMap(each => [
    ...(owner === OBSERVABILITY ? [] : [{name: spiffe.downstream(trustDomain, owner, each), until}]),
    {name: spiffe.adsClient(trustDomain, owner, each), until},
  ])
}

function urisOf(key: CertifiedKey | undefined): readonly string[] {
  try {
    return key === undefined ? [] : readKey(key).uris
  } catch (error) {
    if (error instanceof AtlasError) return []
    throw error
  }
}
