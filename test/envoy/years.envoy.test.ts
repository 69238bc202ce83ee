/**
 * Real Envoys at chosen points of the years that test/ops/years.test.ts walks. The walk begins so long ago that each point is now, since
 * Envoy reads the clock of the machine.
 */
import {expect} from 'chai'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {reduce} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, sni} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {readKey} from '../../src/lib/pki/read.js'
import {testDependencies} from '../helpers/dependencies.js'
import {ModelNetwork} from '../ops/rotation/model-network.js'
import {callThrough, paris, parisAt} from './pair.js'

const day = 86_400
const block = '127.0.47'

/** Days from one look at the network to the next: identities are renewed after 20. */
const STEP = 2

describe('envoy: years of renewals', function () {
  this.timeout(300_000)

  /** A network that has lived for so many days by now. */
  function begunAgo(days: number): ModelNetwork {
    return new ModelNetwork(testDependencies(new Date(Date.now() - days * day * 1000).toISOString(), 'years'), [paris])
  }

  function walk(network: ModelNetwork, days: number): void {
    for (let passed = 0; passed < days; passed += STEP) {
      network.dependencies.pass(STEP * day)
      for (let pass = 0; pass < 20; pass += 1) {
        network.serve()
        network.acknowledge()
        const changes = network.plan()
        changes.forEach(change => (network.fleet = reduce(network.fleet, change)))
        if (changes.length === 0) break
        network.dependencies.pass(2)
      }
    }
  }

  const built = (fleet: Fleet): Fleet => ({...fleet, registrations: new Map([[paris, parisAt(block)]])})
  const issuerOf = ({authority}: Fleet): string => readKey(authority.get('issuer') ?? expect.fail('no issuer')).sha256

  /** Port 10900 admits the ADS credential that the years have left, and one of the first day only while it has not ended. */
  async function expectAdsPort({trust, credentials}: Fleet, former: Fleet): Promise<void> {
    const servername = sni.observability(defaultSettings.trustDomain)
    const target = {host: `${block}.1`, port: 10_900, servername, ca: trust?.issuers ?? []}
    const answers = async (certificate: CertifiedKey): Promise<boolean> => (await probeTls(target, {certificate})).bytes > 0
    const [own, first] = [credentials, former.credentials].map(all => all.get(paris) ?? expect.fail('no credential'))
    if (own === undefined || first === undefined) throw new Error('both are there')
    expect(readKey(own).notAfter.getTime(), 'of two years one is left').to.be.greaterThan(Date.now() + 300 * day * 1000)
    expect(await answers(own), 'the ADS credential').to.equal(true)
    expect(await answers(first), 'that of the first day').to.equal(readKey(first).notAfter.getTime() > Date.now())
  }

  /** Works as it is, and with an Envoy that was given nothing since `former` it does not. */
  async function expectWorking({fleet}: ModelNetwork, former: Fleet): Promise<void> {
    const meanwhile = async (): Promise<void> => expectAdsPort(fleet, former)
    expect(await callThrough(block, built(fleet), built(fleet), '0', meanwhile), 'as it is').to.equal('0')
    const own = former.identities.get(OBSERVABILITY) ?? expect.fail('no identity')
    const back = {...built(fleet), identities: new Map([...fleet.identities, [OBSERVABILITY, own] as const])}
    expect(await callThrough(block, back, built(fleet), '14'), 'with a former identity').to.equal('14')
  }

  for (const days of [40, 300, 3 * 365])
    it(`work after ${days} days, and with no certificate of the first day`, async () => {
      const network = begunAgo(days)
      network.settle()
      const first = network.fleet
      walk(network, days)
      expect(issuerOf(network.fleet) === issuerOf(first)).to.equal(days < 200)
      await expectWorking(network, first)
    })

  it('work while a rotation of the root has waited for a year, with an issuer that was issued again for its own key', async () => {
    const network = begunAgo(400)
    network.settle()
    const first = network.fleet
    network.begin('root')
    walk(network, 400)
    expect(network.stage).to.equal('credentials')
    const issuer = network.fleet.authority.get('issuer')
    expect(issuer?.key).to.equal(first.authority.get('issuer')?.key)
    expect(issuerOf(network.fleet)).not.to.equal(issuerOf(first))
    await expectWorking(network, first)
  })
})
