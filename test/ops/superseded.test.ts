/** When an ADS credential that a later one has replaced is refused: after every connected Envoy has come with the later one for 7 days. */
import {expect} from 'chai'
import type {CredentialRecord} from '../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {allRenewals} from '../../src/lib/ops/renewals.js'
import {type UsedCredentials, ownersToSupersede, usedCredentials} from '../../src/lib/ops/superseded.js'
import {readKey} from '../../src/lib/pki/read.js'
import {parseRecord, renderRecord} from '../../src/lib/manifest/record.js'
import {testDependencies} from '../helpers/dependencies.js'
import {ModelNetwork} from './rotation/model-network.js'

const day = 86_400
const paris = parseClusterName('paris')

describe('a credential that was replaced', () => {
  let network: ModelNetwork
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(), ['paris', 'lyon'])
    network.settle()
    // Identities are renewed a tenth at a time, and credentials with them.
    network.dependencies.pass(400 * day)
    network.settle()
    expect(credentials()).to.have.length(2)
  })

  const credentials = (): readonly CredentialRecord[] => network.fleet.records.get(paris)?.credentials ?? []
  const states = (): readonly string[] =>
    credentials().map(({state, supersededSince, retiredAt}) => (retiredAt ? 'refused' : supersededSince ? 'dated' : state))
  const ofRecord = (change: Change): boolean => change.kind === 'record'

  it('is not dated while an Envoy comes with it, nor while the owner has no connected Envoy', () => {
    expect(states()).to.deep.equal(['valid', 'valid'])
    network.envoy('paris').isConnected = false
    network.dependencies.pass(30 * day)
    network.settle()
    expect(states()).to.deep.equal(['valid', 'valid'])
  })

  it('is dated as soon as every Envoy has come with the later one, and refused 7 days after that', () => {
    network.apply()
    network.settle()
    expect(states()).to.deep.equal(['dated', 'valid'])
    const [first] = credentials()
    network.dependencies.pass(6 * day)
    network.settle()
    expect(credentials()[0]?.supersededSince).to.equal(first?.supersededSince)
    network.dependencies.pass(day + 1)
    network.settle()
    expect(states()).to.deep.equal(['refused', 'valid'])
    expect(credentials()[0]?.state).to.equal('revoked')
    expect(network.plan().filter(change => ofRecord(change))).to.deep.equal([])
  })

  it('is not refused where an Envoy comes back with it in time, and its 7 days begin again', () => {
    const [old] = credentials()
    network.apply()
    network.settle()
    network.dependencies.pass(6 * day)
    network.envoy('paris').stream = old?.sha256 ?? ''
    network.settle()
    expect(states()).to.deep.equal(['valid', 'valid'])
    network.dependencies.pass(20 * day)
    network.apply()
    network.settle()
    network.dependencies.pass(6 * day)
    network.settle()
    expect(states()).to.deep.equal(['dated', 'valid'])
  })

  it('is not refused while one of several Envoys comes with it', () => {
    const one = {...network.envoy('paris')}
    network.apply()
    network.envoys.push(one)
    network.settle()
    network.dependencies.pass(20 * day)
    network.settle()
    expect(states()).to.deep.equal(['valid', 'valid'])
  })

  it('is not refused while no Envoy is connected, but when one comes with the later one', () => {
    network.apply()
    network.settle()
    network.envoy('paris').isConnected = false
    network.dependencies.pass(20 * day)
    network.settle()
    expect(states()).to.deep.equal(['dated', 'valid'])
    network.envoy('paris').isConnected = true
    network.settle()
    expect(states()).to.deep.equal(['refused', 'valid'])
  })

  it('keeps its date in the store', () => {
    network.apply()
    network.settle()
    const record = network.fleet.records.get(paris) ?? expect.fail('no record')
    expect(parseRecord(paris, renderRecord(record)).credentials).to.deep.equal(record.credentials)
  })

  describe('by a clock that is doubted', () => {
    const plan = (renewals = allRenewals, doubt: {readonly text?: string} = {text: 'doubted'}): readonly Change[] =>
      planReconcile(
        network.fleet,
        {...network.dependencies, clockDoubt: () => doubt.text},
        {renewals, evidence: network.evidence()},
      ).filter(change => ofRecord(change))

    it('is neither dated nor refused; what an Envoy comes with counts all the same', () => {
      network.apply()
      expect(plan()).to.deep.equal([])
      network.settle()
      network.dependencies.pass(20 * day)
      expect(plan()).to.deep.equal([])
      network.envoy('paris').stream = credentials()[0]?.sha256 ?? ''
      network.fleet = reduceAll(network.fleet, plan())
      expect(states()).to.deep.equal(['valid', 'valid'])
    })

    it('is dated again where the clock ran ahead, and refused by a clock that is confirmed alone', () => {
      network.apply()
      network.dependencies.pass(100 * day)
      network.fleet = reduceAll(network.fleet, plan(allRenewals, {}))
      network.dependencies.pass(-100 * day)
      network.settle()
      expect(Date.parse(credentials()[0]?.supersededSince ?? '')).to.be.at.most(network.dependencies.now().getTime())
      network.dependencies.pass(8 * day)
      expect(plan({...allRenewals, others: false}, {})).to.deep.equal([])
      expect(plan(allRenewals, {})).not.to.deep.equal([])
    })
  })

  it('nothing is known of what Envoys use while a server has not reported', () => {
    const {proxies, servers} = network.evidence()
    expect(usedCredentials({proxies, absent: [], servers: [...servers, {name: 'ads-2', tls: undefined}]})).to.equal(undefined)
    const used: UsedCredentials | undefined = usedCredentials({proxies, absent: [], servers})
    expect(used?.get(paris)?.size).to.equal(1)
  })

  it('a report is a reason to look at the owners whose Envoys come with another credential than before alone', () => {
    const toLookAt = (): readonly string[] => ownersToSupersede(network.fleet, network.evidence())
    expect(toLookAt()).to.deep.equal([])
    network.apply(['paris'])
    expect(toLookAt()).to.deep.equal(['paris'])
    network.settle()
    expect(toLookAt()).to.deep.equal([])
    network.envoy('paris').stream = credentials()[0]?.sha256 ?? ''
    expect(toLookAt()).to.deep.equal(['paris'])
  })

  it('is replaced by a new one where the store was put back to a Secret with it', () => {
    const inSecret = (): string => readKey(network.fleet.credentials.get(paris) ?? expect.fail('no credential')).sha256
    const [present, record] = [inSecret(), network.fleet.records.get(paris) ?? expect.fail('no record')]
    const refused = record.credentials.map(entry => ({...entry, state: 'revoked' as const, retiredAt: '2027-12-28T00:00:00.000Z'}))
    network.fleet = reduceAll(network.fleet, [{kind: 'record', owner: paris, value: {...record, credentials: refused}}])
    network.fleet = reduceAll(network.fleet, planReconcile(network.fleet, network.dependencies))
    expect(inSecret()).not.to.equal(present)
    expect(states()).to.deep.equal(['refused', 'refused', 'valid'])
  })
})
