/** When something in the fleet is to be looked at again though nobody changed anything: a renewal, an end. */
import type {CertifiedKey} from '../model/authority.js'
import {type Fleet, generationOf} from '../model/fleet.js'
import type {Settings} from '../model/settings.js'
import {type Wanted, wantedCredential, wantedIdentity, wantedServer} from '../pki/identity.js'
import {renewAt} from '../pki/rotation.js'
import {readCertifiedKey} from '../pki/signed.js'

/** The earliest time at which `reconcile` will have something to do of itself; undefined where there is nothing to wait for. */
export function nextDue(fleet: Fleet): Date | undefined {
  const {settings} = fleet
  if (settings === undefined) return undefined
  const times = [...renewals(fleet, settings), ...ends(fleet, settings)].map(time => time.getTime())
  return times.length === 0 ? undefined : new Date(times.reduce((a, b) => Math.min(a, b)))
}

function renewals(fleet: Fleet, settings: Settings): readonly Date[] {
  const issuers = fleet.trust?.issuers ?? []
  const credentialIssuers = fleet.trust?.credentialIssuers ?? []
  const due = (key: CertifiedKey, wanted: Wanted, signers: readonly string[]): Date => renewAt(readCertifiedKey(key, signers), wanted)
  return [
    ...(fleet.server === undefined ? [] : [due(fleet.server, wantedServer(settings), issuers)]),
    ...[...fleet.identities].map(([owner, key]) => due(key, wantedIdentity(settings, owner, generationOf(fleet, owner)), issuers)),
    ...[...fleet.credentials].map(([owner, key]) =>
      due(key, wantedCredential(settings, owner, generationOf(fleet, owner)), credentialIssuers),
    ),
  ]
}

function ends(fleet: Fleet, settings: Settings): readonly Date[] {
  return [...fleet.records.values()].flatMap(record => [
    ...record.credentials.map(credential => new Date(credential.notAfter)),
    ...record.denied.map(denied => new Date(denied.until)),
    ...(record.suspendedSince === undefined ? [] : [new Date(Date.parse(record.suspendedSince) + settings.lifetimes.suspension * 1000)]),
  ])
}
