/**
 * An issuer that is issued again for the same key: two real Envoys of which one trusts only the former certificate and one only the new one
 * work together, whichever of the two each shows behind its own.
 */
import {expect} from 'chai'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {identitySpec, issuerSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, reissue} from '../../src/lib/pki/issue.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {fleetOf} from './fixture.js'
import {callThrough, paris, parisAt} from './pair.js'

const now = new Date()
const settings = defaultSettings
const block = '127.0.46'

describe('envoy: an issuer that is issued again for the same key', function () {
  this.timeout(300_000)
  const authority = testAuthority(new Date(now.getTime() - 86_400_000), 'reissued', settings)
  const {root, issuer: former, signer} = authority
  const again = reissue(former, issuerSpec(settings), root, now, signer)
  const stranger = issue(issuerSpec(settings), root, now, signer)
  const fleet = certified(fleetOf([parisAt(block)], {settings}), now, authority)

  /** A fleet with one issuer in its bundle, whose identities one of them has signed. */
  const fleetWith = (trusted: CertifiedKey, signs: CertifiedKey): Fleet => ({
    ...fleet,
    trust: fleet.trust && {...fleet.trust, issuers: [trusted.certificate]},
    identities: new Map(
      ([OBSERVABILITY, paris] as const).map(owner => [owner, issue(identitySpec(settings, owner, 1), signs, now, signer)]),
    ),
  })
  const call = async (ofObservability: Fleet, ofParis: Fleet, wanted: string): Promise<string> =>
    callThrough(block, ofObservability, ofParis, wanted)

  it('is accepted in place of the former one, and the former one in its place', async () => {
    const [old, mixed] = [fleetWith(former, again), fleetWith(again, former)]
    expect(await call(old, old, '0'), 'the former one trusted').to.equal('0')
    expect(await call(mixed, mixed, '0'), 'the new one trusted').to.equal('0')
    expect(await call(fleetWith(again, again), fleetWith(former, former), '0'), 'one of each').to.equal('0')
    expect(await call(fleetWith(again, again), fleetWith(again, stranger), '14'), 'another key').to.equal('14')
  })
})
