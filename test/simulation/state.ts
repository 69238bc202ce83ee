/** What a simulation has come to, in facts that do not depend on how certificates are encoded or where they are kept. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {readCertificates, readKey} from '../../src/lib/pki/read.js'

/** Equal for fleets that hold the same. */
export function stateOf({authority, trust, rotation, registrations, identities, credentials, server, records, requests}: Fleet): string {
  const keys = (of: ReadonlyMap<string, CertifiedKey>): unknown => [...of].sort(byName).map(([name, key]) => [name, factsOf(key)])
  return JSON.stringify({
    ...{authority: keys(authority), identities: keys(identities), credentials: keys(credentials)},
    server: server && factsOf(server),
    trust: trust && [trust.roots, trust.issuers, trust.credentialIssuers].map(list => list.map(pem => serialsOf(pem))),
    rotation: rotation && [rotation.part, rotation.stage, rotation.startedAt],
    registrations: [...registrations.keys()].sort(),
    requests: [...requests].sort(byName).map(([id, {state}]) => [id, state]),
    records: [...records]
      .sort(byName)
      .map(([owner, {generation, suspendedSince, revokedSince, credentials, denied}]) => [
        ...[owner, generation, suspendedSince, revokedSince, denied],
        credentials.map(({serial, state, notAfter}) => [serial, state, notAfter]),
      ]),
  })
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

function factsOf(key: CertifiedKey): unknown {
  const {serial, uris, dns, notBefore, notAfter} = readKey(key)
  const roots = 'roots' in key ? serialsOf(String(key.roots)) : undefined
  return {serial, uris, dns, notBefore, notAfter, chain: serialsOf(key.certificate), roots}
}

function serialsOf(pem: string): readonly string[] {
  return readCertificates(pem).map(({serial}) => serial)
}
