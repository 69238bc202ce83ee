/** A rotation of the root issues what every Envoy is shown only while no Envoy would refuse it: one may have gone back to an earlier credential. */
import {expect} from 'chai'
import {reduce} from '../../../src/lib/model/change.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../../src/lib/model/names.js'
import type {ReplicaReport} from '../../../src/lib/model/report.js'
import {planLeaves} from '../../../src/lib/ops/rotate.js'
import {planRotation} from '../../../src/lib/ops/rotation/plan.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {testDependencies, testSettings} from '../../helpers/dependencies.js'
import {thrownBy} from '../../helpers/thrown.js'
import {ModelNetwork} from './model-network.js'

const day = 86_400

describe('a rotation of the root whose Envoys go back to an earlier credential', () => {
  let network: ModelNetwork
  /** What each had in its files before. */
  let former: ReadonlyMap<string, Pick<ReturnType<ModelNetwork['envoy']>, 'files' | 'stream'>>
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(), ['lyon', 'oslo', 'paris'])
    network.begin('root')
    network.settle()
    former = new Map(network.envoys.map(({owner, files, stream}) => [owner, {files, stream}]))
    network.apply()
    // The leader ends right after it has written that the stage has begun.
    const isThere = (): boolean => network.stage === 'leaves'
    while (!isThere()) {
      network.serve()
      network.acknowledge()
      for (const change of network.plan()) if (!isThere()) network.fleet = reduce(network.fleet, change)
    }
  })

  function rollBack(owner: string): void {
    Object.assign(network.envoy(owner), former.get(owner))
  }

  /** What a leader whose clock is not confirmed yet writes down first. */
  function told(): string {
    const changes = planRotation(network.fleet, testSettings, network.evidence(), {...network.dependencies, isAgeAReason: false})
    return changes.flatMap(change => (change.kind === 'rotation' ? (change.value?.waitingFor[0] ?? []) : [])).join('\n')
  }

  /** Who has an identity that the next issuer signed. */
  function renewed(): readonly string[] {
    const issuer = readKey(network.fleet.authority.get('issuer')!).sha256
    return [...network.fleet.identities].filter(([, identity]) => readKey(identity).chain[0] === issuer).map(([owner]) => owner)
  }

  it('keeps the identity of the observability Envoy until the credential is applied again, and replaces all others meanwhile', () => {
    rollBack('lyon')
    const {server} = network.fleet
    network.settle()
    expect(renewed()).to.have.members(['lyon', 'oslo', 'paris'])
    expect(network.fleet.server).to.equal(server)
    expect(network.stage).to.equal('leaves')
    expect(network.waiting.join('\n')).to.match(/^lyon \(lyon-0\) is connected with a credential that does not carry the present roots/m)
    expect(network.waiting).to.include('the identity of atlas is not issued yet')
    network.apply(['lyon'])
    network.settle()
    expect(renewed()).to.have.members(['atlas', 'lyon', 'oslo', 'paris'])
    network.apply()
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('keeps the certificate of the servers for the observability Envoy itself, too', () => {
    const {server} = network.fleet
    rollBack('atlas')
    network.settle()
    expect(network.fleet.server).to.equal(server)
    expect(network.waiting).to.include("the ADS server's certificate is not issued yet")
    network.apply(['atlas'])
    network.settle()
    expect(network.fleet.server).not.to.equal(server)
  })

  it('holds them as well where the leader ended before it had written that the stage has begun', () => {
    network = new ModelNetwork(testDependencies(), ['lyon', 'oslo', 'paris'])
    network.begin('root')
    network.settle()
    former = new Map(network.envoys.map(({owner, files, stream}) => [owner, {files, stream}]))
    network.apply()
    const {issuer: present, nextIssuer: next} = Object.fromEntries(network.fleet.authority)
    const isSigning = (): boolean => network.fleet.authority.get('issuer')?.certificate === next?.certificate
    while (!isSigning()) {
      network.serve()
      network.acknowledge()
      for (const change of network.plan()) if (!isSigning()) network.fleet = reduce(network.fleet, change)
    }

    expect([network.stage, isSigning(), present?.certificate === next?.certificate]).to.deep.equal(['credentials', true, false])
    rollBack('lyon')
    rollBack('atlas')
    const {server, identities} = network.fleet
    const shown = (): unknown => [network.fleet.server, network.fleet.identities.get(OBSERVABILITY)]
    const before = [server, identities.get(OBSERVABILITY)]
    // They are due by their age, and not yet in the last sixth.
    const {notBefore, notAfter} = readKey(server!)
    network.dependencies.pass(((notAfter.getTime() - notBefore.getTime()) / 1000) * 0.7)
    network.settle()
    expect(network.stage).to.equal('credentials')
    expect(shown()).to.deep.equal(before)
    // "atlas rotate" without a name would be refused, as in stage `leaves`.
    expect(told()).to.contain('"atlas rotate NAME" issues the identity of a cluster at once').and.not.to.contain('"atlas rotate" issues')
    network.apply()
    network.settle()
    network.apply()
    network.settle()
    expect(shown()).not.to.deep.equal(before)
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('waits for a cluster that has left since, which may come back with anything', () => {
    network.envoy('lyon').isConnected = false
    network.settle()
    expect(renewed()).to.have.members(['lyon', 'oslo', 'paris'])
    network.envoy('lyon').isConnected = true
    network.settle()
    expect(renewed()).to.have.members(['atlas', 'lyon', 'oslo', 'paris'])
  })

  it('goes on without a cluster that a person leaves behind', () => {
    network.envoy('lyon').isConnected = false
    network.fleet = reduce(network.fleet, {kind: 'rotation', value: {...network.fleet.rotation!, skipped: ['lyon' as Owner]}})
    network.settle()
    expect(renewed()).to.include('atlas')
  })

  it('goes on in the last sixth of the identity, at whose end every cluster would be cut off', () => {
    network.envoy('lyon').isConnected = false
    network.settle()
    network.dependencies.pass(24 * day)
    network.settle()
    expect(renewed()).not.to.include('atlas')
    network.dependencies.pass(2 * day)
    network.settle()
    expect(renewed()).to.include('atlas')
  })

  it('while the clock is not confirmed, names the command that is not refused in this stage', () => {
    rollBack('lyon')
    network.settle()
    expect(told()).to.contain('"atlas rotate NAME" issues the identity of a cluster at once').and.not.to.contain('"atlas rotate" issues')
    network = new ModelNetwork(testDependencies(), ['lyon'])
    network.begin('issuer')
    network.pass()
    expect(told()).to.contain('"atlas rotate" issues identities at once')
  })

  it('a person who asks for new identities is told why that of the observability Envoy waits', () => {
    rollBack('lyon')
    network.serve()
    const {proxies} = network.evidence()
    const rotate = (fleet: Fleet, owners: readonly Owner[], others: boolean) => () =>
      planLeaves(fleet, owners, {others}, network.dependencies)
    const reporting = (servers: readonly string[]): Fleet => ({
      ...network.fleet,
      replicas: servers,
      reports: new Map(
        servers.map(name => [
          name,
          {report: {proxies, tls: network.servers.get(name)}, leftovers: [], digest: ''} as unknown as ReplicaReport,
        ]),
      ),
    })
    const {code, message} = thrownBy(rotate(reporting(['ads-0']), ['atlas'], false))
    expect(code).to.equal('conflict')
    expect(message).to.match(/: lyon \(lyon-0\) is connected with a credential that does not carry the present roots/)
    expect(thrownBy(rotate(network.fleet, ['atlas'], true)).message).to.contain('is not known here; the server issues it')
    expect(rotate(network.fleet, ['oslo' as Owner], false)().map(({kind}) => kind)).to.deep.equal(['identity'])
    network.apply(['lyon'])
    network.settle()
    expect(rotate(network.fleet, ['atlas'], false)().map(({kind}) => kind)).to.deep.equal(['identity'])
  })
})
