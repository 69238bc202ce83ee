/** Envoys that were connected lately: how long a stage of a rotation waits for them. */
import {expect} from 'chai'
import {OBSERVABILITY, parseClusterName} from '../../../src/lib/model/names.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {reduceAll} from '../../../src/lib/model/change.js'
import type {AbsentNode, ReplicaReport} from '../../../src/lib/model/report.js'
import type {Rotation, RotationStage} from '../../../src/lib/model/rotation.js'
import {planReplicas} from '../../../src/lib/ops/replicas.js'
import {waitingForAbsent} from '../../../src/lib/ops/rotation/absent.js'
import {evidenceIn} from '../../../src/lib/ops/rotation/evidence.js'
import {lateRotation} from '../../../src/lib/ops/rotation/late.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {issuedAt} from '../../../src/lib/pki/rotation.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {ModelNetwork} from './model-network.js'

const paris = parseClusterName('paris')
const minute = 60

describe('a rotation and an Envoy that was connected and is not', () => {
  let network: ModelNetwork

  beforeEach(() => {
    network = new ModelNetwork(testDependencies(), ['lyon', 'paris'])
    network.settle()
    leave()
  })

  function leave(): void {
    network.absent = [{cluster: paris, id: 'paris-1', since: network.dependencies.now().toISOString()}]
  }

  function expectWaiting(until: string): void {
    network.settle()
    expect(network.stage).to.equal('announce')
    expect(network.waiting).to.deep.equal([
      `paris (paris-1) has until ${until} to connect again: it was connected, and may run on with what it has`,
    ])
  }

  it('waits for it for an hour, says until when, and needs no person meanwhile', () => {
    const until = new Date(network.dependencies.now().getTime() + 3_600_000).toISOString()
    network.begin('issuer')
    expectWaiting(until)
    network.dependencies.pass(50 * minute)
    network.settle()
    expect(network.stage).to.equal('announce')
    expect(lateRotation(network.fleet, network.dependencies.now())).to.equal(undefined)
    network.dependencies.pass(10 * minute)
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('goes on as soon as it is back', () => {
    network.begin('issuer')
    network.settle()
    network.absent = []
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('waits until an hour after the stage began for one that left later', () => {
    network.absent = []
    network.begin('root')
    network.pass()
    const {since = ''} = network.fleet.rotation ?? {}
    const until = new Date(Date.parse(since) + 3_600_000).toISOString()
    network.dependencies.pass(30 * minute)
    leave()
    expectWaiting(until)
    network.dependencies.pass(30 * minute)
    network.settle()
    expect(network.stage).to.equal('credentials')
  })

  for (const part of ['issuer', 'root'] as const)
    for (const every of [1, 50])
      it(`ends a rotation of the ${part} although a pod with another name is replaced every ${every} min`, () => {
        // In each stage but the last one; and once more in stage `leaves` of the root, where the identities that every Envoy is shown may
        // be issued an hour after the stage began, and those that left just before are waited for from then on.
        const waits = part === 'root' ? 4 : 2
        network.absent = []
        network.begin(part)
        for (let passed = 0; network.fleet.rotation !== undefined; passed += 1) {
          // Some minutes for what is done meanwhile, and five in which clocks may differ.
          expect(passed, network.waiting.join('; ')).to.be.at.most(waits * 60 + 20)
          const left: AbsentNode = {cluster: OBSERVABILITY, id: `atlas-${passed}`, since: network.dependencies.now().toISOString()}
          // As servers do, which remember 8 of a cluster.
          if (passed % every === 0) network.absent = [...network.absent.slice(-7), left]
          network.settle()
          network.apply()
          network.dependencies.pass(minute)
        }
      })

  it('waits for an hour from when it left, however late, for one that lacked what the stage asks for', () => {
    network.absent = []
    network.begin('root')
    network.settle()
    expect(network.stage).to.equal('credentials')
    network.dependencies.pass(48 * 60 * minute)
    network.apply(['lyon', OBSERVABILITY])
    network.settle()
    expect(network.waiting.map(each => each.split(' ').slice(0, 3).join(' '))).to.deep.equal(['paris (paris-0) is'])
    // It connects again, as Envoys do every hour, while another Envoy of its cluster is up to date.
    network.apply(['paris'])
    network.envoy('paris').id = 'paris-1'
    const since = network.dependencies.now()
    network.absent = [{cluster: paris, id: 'paris-0', since: since.toISOString()}]
    for (let pass = 0; pass < 3; pass += 1) {
      network.settle()
      expect(network.stage).to.equal('credentials')
      expect(network.waiting.filter(each => each.startsWith('paris'))).to.deep.equal([
        `paris (paris-0) has until ${new Date(since.getTime() + 3_600_000).toISOString()} to connect again: it was connected, and may run on with what it has`,
      ])
      // Nor is it forgotten while its whole cluster is away.
      network.envoy('paris').isConnected = pass === 0
      if (pass === 0) continue
      network.settle()
      network.envoy('paris').isConnected = true
      network.dependencies.pass(10 * minute)
    }

    network.dependencies.pass(60 * minute)
    network.settle()
    expect(network.stage).not.to.equal('credentials')
  })

  it('waits for an hour from when it left for one whose identity was issued since, however long the stage had taken by then', () => {
    network.absent = []
    network.begin('root')
    network.settle()
    network.apply()
    const {fleet} = network
    const issued = issuedAt(readKey(fleet.identities.get(paris) ?? expect.fail()))
    const waitsFor = (stage: RotationStage, leftBefore: number): readonly string[] => {
      const since = new Date(issued - 2 * 60 * minute * 1000).toISOString()
      const rotation: Rotation = {part: 'root', stage, startedAt: since, since, skipped: [], waitingFor: []}
      const absent = [{cluster: paris, id: 'paris-1', since: new Date(issued - leftBefore * 1000).toISOString()}]
      const now = new Date(issued + 10 * minute * 1000)
      return waitingForAbsent(fleet, rotation, absent, {owners: [paris], connected: new Set([paris]), now}).map(({reason}) => reason)
    }
    const until = new Date(issued + 55 * minute * 1000).toISOString()
    expect(waitsFor('leaves', 5 * minute)).to.deep.equal([
      `paris (paris-1) has until ${until} to connect again: it was connected, and may run on with what it has`,
    ])
    // It had the identity of the stage, however far apart the clocks may be; and other stages issue none.
    expect(waitsFor('leaves', -6 * minute)).to.deep.equal([])
    expect(waitsFor('credentials', 5 * minute)).to.deep.equal([])
  })

  it('does not wait for one whose cluster is skipped, or that a wrong clock has dated', () => {
    network.begin('issuer', ['paris'])
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    network.absent = [{cluster: paris, id: 'paris-1', since: '2099-01-01T00:00:00.000Z'}]
    network.begin('issuer')
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('names the whole cluster instead where none of its Envoys is connected', () => {
    network.envoy('paris').isConnected = false
    network.begin('issuer')
    network.settle()
    expect(network.waiting).to.deep.equal(['paris has no connected Envoy'])
  })
})

describe('the report of a server that has ended', () => {
  const dependencies = testDependencies()
  const proxy = {cluster: paris, id: 'paris-1', connectedSince: '2026-11-20T00:00:00.000Z', equalIds: 1}
  const ended = {report: {at: '2026-11-20T00:00:00.000Z', proxies: [proxy]}, leftovers: [], digest: 'x'} as unknown as ReplicaReport

  /** After a pass of the leader, to which ads-0 alone is alive. */
  const passed = (fleet: Fleet): Fleet => reduceAll(fleet, planReplicas(fleet, ['ads-0'], dependencies, {shared: true}))

  it('names the Envoys that it served as absent, until an hour is over', () => {
    let fleet = passed({...emptyFleet, replicas: ['ads-0', 'ads-1'], reports: new Map([['ads-1', ended]])})
    const since = dependencies.now().toISOString()
    expect(evidenceIn(fleet)?.absent).to.deep.equal([{cluster: paris, id: 'paris-1', since, leftWithServer: true}])
    dependencies.pass(3000)
    fleet = passed(fleet)
    expect(evidenceIn(fleet)?.absent).to.have.length(1)
    dependencies.pass(700)
    fleet = passed(fleet)
    expect([...fleet.reports.keys()]).to.deep.equal(['ads-0'])
  })
})
