/** When something in the fleet is to be looked at again though nobody changed anything: a renewal, an end, a takeover. */
import type {CertifiedKey, Credential, OwnerRecord, TrustBundle} from '../model/authority.js'
import type {Cluster} from '../model/cluster.js'
import {type Fleet, generationOf, recordOf} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {type CertificateSpec, clientSpec, credentialSpec, identitySpec, serverSpec} from '../pki/certificate-specs.js'
import {renewAt} from '../pki/rotation.js'
import {readCertifiedKey} from '../pki/signed.js'
import {takeoverDue} from './goatlas/takeover.js'

/** The earliest time at which `reconcile` will have something to do of itself; undefined where there is nothing to wait for. */
export function nextDue(fleet: Fleet): Date | undefined {
  const {settings, server, clients, trust} = fleet
  if (settings === undefined) return undefined
  const owners = new Set<Owner>([...fleet.identities.keys(), ...fleet.credentials.keys(), ...fleet.records.keys()])
  let due = server === undefined ? Infinity : renewalOf(server, serverSpec(settings), trust?.issuers)
  for (const [name, client] of clients) due = Math.min(due, renewalOf(client, clientSpec(settings, name), trust?.issuers))
  for (const owner of owners) due = Math.min(due, ownerDue(fleet, settings, owner))
  due = Math.min(due, takeoverDue(fleet))
  return due === Infinity ? undefined : new Date(due)
}

/** As `nextDue`, of one owner; milliseconds since 1970, Infinity for never. Remembered with what it is computed from. */
export function ownerDue(fleet: Fleet, settings: Settings, owner: Owner): number {
  const parts = partsOf(fleet, settings, owner)
  const anchor = parts.record ?? parts.identity ?? parts.credential
  if (anchor === undefined) return Infinity
  const known = dues.get(anchor)
  if (known !== undefined && sameParts(known.parts, parts)) return known.due
  const due = computed(fleet, parts, owner)
  dues.set(anchor, {parts, due})
  return due
}

/** All that the next step for an owner depends on; the objects themselves, since a fleet shares what did not change. */
export interface OwnerParts {
  readonly settings: Settings
  readonly trust: TrustBundle | undefined
  readonly registration: Cluster | undefined
  readonly record: OwnerRecord | undefined
  readonly identity: CertifiedKey | undefined
  readonly credential: Credential | undefined
}

/** What the next step for an owner is computed from. */
export function partsOf(fleet: Fleet, settings: Settings, owner: Owner): OwnerParts {
  return {
    settings,
    trust: fleet.trust,
    registration: owner === OBSERVABILITY ? undefined : fleet.registrations.get(owner),
    record: fleet.records.get(owner),
    identity: fleet.identities.get(owner),
    credential: fleet.credentials.get(owner),
  }
}

/** Whether nothing of it has changed: the very same objects. */
export function sameParts(a: OwnerParts, b: OwnerParts): boolean {
  return (
    a.settings === b.settings &&
    a.trust === b.trust &&
    a.registration === b.registration &&
    a.record === b.record &&
    a.identity === b.identity &&
    a.credential === b.credential
  )
}

const dues = new WeakMap<object, {readonly parts: OwnerParts; readonly due: number}>()

function computed(fleet: Fleet, {settings, trust, identity, credential}: OwnerParts, owner: Owner): number {
  const generation = generationOf(fleet, owner)
  const record = recordOf(fleet, owner)
  const suspension =
    record.suspendedSince === undefined ? Infinity : Date.parse(record.suspendedSince) + settings.lifetimes.suspension * 1000
  return Math.min(
    identity === undefined ? Infinity : renewalOf(identity, identitySpec(settings, owner, generation), trust?.issuers),
    credential === undefined ? Infinity : renewalOf(credential, credentialSpec(settings, owner, generation), trust?.credentialIssuers),
    suspension,
    ...record.credentials.map(({notAfter}) => Date.parse(notAfter)),
    ...record.denied.map(({until}) => Date.parse(until)),
  )
}

function renewalOf(key: CertifiedKey, wanted: CertificateSpec, issuers: readonly string[] = []): number {
  return renewAt(readCertifiedKey(key, issuers), wanted).getTime()
}
