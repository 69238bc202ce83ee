/** The fixture's fleets with real certificates, for tests with a real Envoy. */
import type {Fleet} from '../../src/lib/model/fleet.js'
import {clustersOf, generationOf} from '../../src/lib/model/fleet.js'
import type {Owner} from '../../src/lib/model/names.js'
import {identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {testAuthority, type TestAuthority} from '../helpers/pki.js'

/** Identities and trust as they would be issued at `now`. */
export function certified(fleet: Fleet, now: Date, authority: TestAuthority = testAuthority(now)): Fleet {
  const {settings, root, issuer, credentialIssuer, signer} = authority
  const owners: readonly Owner[] = ['atlas', ...clustersOf(fleet).map(({name}) => name)]
  return {
    ...fleet,
    trust: {roots: [root.certificate], issuers: [issuer.certificate], credentialIssuers: [credentialIssuer.certificate]},
    identities: new Map(
      owners.map(owner => [owner, issue(identitySpec(settings, owner, generationOf(fleet, owner)), issuer, now, signer)]),
    ),
  }
}
