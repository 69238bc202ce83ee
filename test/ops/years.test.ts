/** Three years of a fleet, day by day, with the planner of the server: no certificate that is in use has ended, on any day. */
import {expect} from 'chai'
import {recordOf} from '../../src/lib/model/fleet.js'
import type {Owner} from '../../src/lib/model/names.js'
import {readCertificates, readKey} from '../../src/lib/pki/read.js'
import {testDependencies} from '../helpers/dependencies.js'
import {ModelNetwork} from './rotation/model-network.js'

const day = 86_400

/** Days until a person applies a new credential to the clusters. */
const APPLIED_AFTER = 30

describe('three years', function () {
  this.timeout(120_000)

  it('of renewals leave no certificate in use that has ended, nor one that was refused', () => {
    const network = new ModelNetwork(testDependencies(), ['lyon', 'oslo', 'paris'])
    const issued = new Map<Owner, {readonly sha256: string; readonly day: number}>()
    const seen = {issuers: new Set<string>(), identities: new Set<string>(), credentials: new Set<string>()}
    network.settle()
    for (let today = 0; today < 3 * 365; today += 1) {
      network.dependencies.pass(day)
      network.settle()
      network.requireWorking()
      const now = network.dependencies.now()
      const inUse = [...network.fleet.authority, ...network.fleet.identities, ['server', network.fleet.server]] as const
      for (const [whose, key] of inUse) expect(key && readKey(key).notAfter.getTime(), whose).to.be.greaterThan(now.getTime())
      for (const pem of network.fleet.trust?.issuers ?? [])
        for (const {notAfter, sha256} of readCertificates(pem)) {
          expect(notAfter.getTime()).to.be.greaterThan(now.getTime())
          seen.issuers.add(sha256)
        }

      for (const envoy of network.envoys) {
        const used = recordOf(network.fleet, envoy.owner).credentials.find(({sha256}) => sha256 === envoy.stream)
        expect(used?.state, envoy.owner).to.equal('valid')
        expect(Date.parse(used?.notAfter ?? ''), envoy.owner).to.be.greaterThan(now.getTime())
        seen.identities.add(envoy.identity)
        seen.credentials.add(envoy.stream)
        const {sha256} = readKey(network.fleet.credentials.get(envoy.owner) ?? expect.fail('no credential'))
        if (issued.get(envoy.owner)?.sha256 !== sha256) issued.set(envoy.owner, {sha256, day: today})
        else if (issued.get(envoy.owner)?.day === today - APPLIED_AFTER) network.apply([envoy.owner])
      }
    }

    // 4 owners; an identity lives 20 to 21 days, an issuer 8 months, a credential a year and a month.
    expect(seen.issuers.size).to.be.within(4, 6)
    expect(seen.identities.size).to.be.within(4 * 50, 4 * 58)
    expect(seen.credentials.size).to.be.within(4 * 3, 4 * 4)
    const [first, ...others] = recordOf(network.fleet, network.owners()[1] ?? 'atlas').credentials
    expect([first?.state, others.length > 0]).to.deep.equal(['revoked', true])
    expect(first?.retiredAt).not.to.equal(undefined)
  })
})
