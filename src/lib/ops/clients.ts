/** The certificates of the clients of the internal ports: one for each client that the settings name, and none for anybody else. */
import type {CertifiedKey, TrustBundle} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {type Fleet, isBroken} from '../model/fleet.js'
import type {ClientName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {clientSpec} from '../pki/certificate-specs.js'
import {issueCredential} from '../pki/issue.js'
import {judgeKey} from '../pki/judge.js'
import {parseCertificates, renderCertificates} from '../pki/pem.js'
import type {OpsDependencies} from './dependencies.js'

/**
 * What is missing, due or no longer wanted. One that can't be read is left as it is.
 * @param issuer who signs; nothing is issued without
 */
export function planClients(
  fleet: Fleet,
  settings: Settings,
  issuer: CertifiedKey | undefined,
  dependencies: OpsDependencies,
): readonly Change[] {
  const unwanted = [...fleet.clients.keys()].filter(name => !settings.clients.includes(name))
  const due = settings.clients.filter(name => isDue(fleet, settings, name, dependencies.now()))
  return [
    ...unwanted.map((name): Change => ({kind: 'client', name, value: undefined})),
    ...(issuer === undefined || due.length === 0 ? [] : issueClients(fleet, settings, issuer, due, dependencies)),
  ]
}

/** New certificates, each with the roots in force, which verify what the observability Envoy shows; none where the present one can't be read. */
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

/** Also where other roots are in force than stand beside it: whoever holds it must know the next issuer before it is shown. */
function isDue({clients, trust}: Fleet, settings: Settings, name: ClientName, now: Date): boolean {
  if (trust === undefined) return false
  const present = clients.get(name)
  return present?.roots !== rootsOf(trust) || judgeKey(present, clientSpec(settings, name), trust.issuers, now).length > 0
}

const rendered = new WeakMap<TrustBundle, string>()

function rootsOf(trust: TrustBundle): string {
  const text = rendered.get(trust) ?? renderCertificates(parseCertificates(trust.roots.join('\n'), 'the roots in force'))
  rendered.set(trust, text)
  return text
}
