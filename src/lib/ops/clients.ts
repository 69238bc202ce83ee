/** The certificates of the clients of the internal ports: one for each client in the settings. */
import type {CertifiedKey} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {type Fleet, isBroken} from '../model/fleet.js'
import type {ClientName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {clientSpec} from '../pki/certificate-specs.js'
import {issueCredential, rootsText} from '../pki/issue.js'
import type {OpsDependencies} from './dependencies.js'
import {clientLeaf, isDue} from './due.js'

/**
 * The changes for clients whose certificate is missing or due, or that the settings do not name any more. A broken one is left as it is.
 * @param issuer undefined: nothing is issued
 * @param age whether the age of a certificate is a reason to replace it
 */
export function planClients(
  fleet: Fleet,
  settings: Settings,
  issuer: CertifiedKey | undefined,
  dependencies: OpsDependencies,
  {age}: {readonly age: boolean},
): readonly Change[] {
  const named = settings.clients.map(({name}) => name)
  const removed = [...fleet.clients.keys()].filter(name => !named.includes(name))
  const due = named.filter(name => isClientDue(fleet, settings, name, dependencies.now(), {age}))
  return [
    ...removed.map((name): Change => ({kind: 'client', name, value: undefined})),
    ...(issuer === undefined || due.length === 0 ? [] : issueClients(fleet, settings, issuer, due, dependencies)),
  ]
}

/** New certificates, each with the roots in force, by which the client verifies the observability Envoy. A broken one is left as it is. */
export function issueClients(
  fleet: Fleet,
  settings: Settings,
  issuer: CertifiedKey,
  names: readonly ClientName[],
  dependencies: OpsDependencies,
): readonly Change[] {
  const {trust} = fleet
  if (trust === undefined) return []
  return names
    .filter(name => !isBroken(fleet, 'client', name))
    .map(name => ({
      kind: 'client',
      name,
      value: issueCredential(clientSpec(settings, name), issuer, trust.roots, dependencies.now(), dependencies.signer),
    }))
}

/** A client also gets a new certificate when other roots are in force: it must know a new root before servers show certificates below it. */
function isClientDue(fleet: Fleet, settings: Settings, name: ClientName, now: Date, reasons: {readonly age: boolean}): boolean {
  if (fleet.trust === undefined) return false
  const leaf = clientLeaf(fleet, settings, name)
  return leaf.present?.roots !== rootsText(fleet.trust.roots) || isDue(leaf, now, reasons)
}
