/** A server whose clock is wrong for a while: what it signs and drops, what it reports, and that it recovers without a restart. */
import {expect} from 'chai'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {Log} from '../../src/server/log.js'
import {testCluster} from '../helpers/fleet.js'
import {type Network, eventually, need, settleAll, startNetwork, subscribe} from './support/network.js'

const day = 86_400_000
/** As long as a clock must hold. */
const minutes = 600_000
const paris = parseClusterName('paris')

describe('a server whose clock is wrong', () => {
  let network: Network
  const lines: string[] = []
  const write = (message: string): void => void lines.push(message)
  const log: Log = {debug: () => undefined, info: write, warn: write, error: write}
  const serials = (): readonly string[] => [...network.store.fleet().identities.values()].map(key => readKey(key).serial)
  const warnings = (): string => network.serving.readiness().warnings.join('\n')
  const metric = async (name: string): Promise<string> => {
    const text = await (await fetch(`${network.serving.adminAddress}/metrics`)).text()
    return need(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
  }

  beforeEach(() => lines.splice(0))
  afterEach(async () => network.stop())

  it('signs nothing while it is 25 days ahead, and goes on once the clock is back', async () => {
    network = await startNetwork(['paris'], {log, times: {lookMs: 20, clockLookMs: 10}})
    const before = serials()
    network.clock.wrong = 25 * day
    await eventually(() => warnings().includes('the clock of this machine was set 25d ahead: nothing is signed or dropped'), '/readyz')
    expect(network.serving.report().warnings.join()).to.contain('was set 25d ahead')
    expect(await metric('atlas_clock_trusted')).to.equal('0')
    network.store.write({kind: 'registration', name: parseClusterName('rome'), value: testCluster('rome')})
    network.store.write({kind: 'registration', name: paris, value: undefined})
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(serials()).to.deep.equal(before)
    expect(network.store.fleet().records.get(paris)?.suspendedSince, 'it is dated by a clock that is right').to.equal(undefined)

    network.clock.wrong = 0
    await eventually(() => network.store.fleet().identities.has(parseClusterName('rome')), 'the new cluster gets its certificates')
    await eventually(() => Date.parse(need(network.store.fleet().records.get(paris)?.suspendedSince)) <= Date.now(), 'it is suspended')
    expect(serials().slice(0, 2)).to.deep.equal(before)
    expect(warnings()).to.equal('')
    expect(await metric('atlas_clock_trusted')).to.equal('1')
    expect(lines.filter(line => line.includes('the clock of this machine'))).to.deep.equal([
      'the clock of this machine was set 25d ahead: nothing is signed or dropped until it has kept its time for 10m, or is set',
      'the clock of this machine is believed again: what is due is signed',
    ])
  })

  it('replaces what it has signed when it was started with a clock 25 days ahead, once the clock is right and has held', async () => {
    network = await startNetwork(['paris'], {log, times: {lookMs: 20, clockLookMs: 10}})
    await network.serving.stop()
    network.clock.wrong = 25 * day
    await network.restart()
    network.clock.ahead += minutes
    const time = (): number => Date.now() + network.clock.ahead
    await eventually(() => serials().length === 2 && allBegin(network.store.fleet(), begin => begin > time()), 'all are signed')
    network.clock.wrong = 0
    await eventually(() => warnings().includes('was set 25d back'), 'it is doubted')
    network.clock.ahead += minutes
    await eventually(() => allBegin(network.store.fleet(), begin => begin < time()), 'all are valid again')
    expect(warnings()).to.equal('')
  })

  it('renews no more than a tenth of the fleet, and nothing that all rely on, before its clock has held for 10 minutes', async () => {
    const names = Array.from({length: 20}, (_, index) => `c${index}`)
    network = await startNetwork(names, {log, times: {lookMs: 20, clockLookMs: 10}})
    await network.serving.stop()
    const before = network.store.fleet()
    network.clock.wrong = 25 * day
    await network.restart()
    const renewed = (): readonly string[] =>
      [...network.store.fleet().identities].filter(([owner, key]) => key !== before.identities.get(owner)).map(([owner]) => owner)
    await eventually(() => renewed().length === 2, 'a tenth is renewed')
    const commits = network.store.commits
    network.store.write({kind: 'registration', name: paris, value: testCluster('paris')})
    await eventually(() => network.store.fleet().credentials.has(paris) && network.store.commits > commits, 'a new cluster does not wait')
    expect(renewed().filter(owner => owner !== paris)).to.have.length(2)
    expect(renewed()).not.to.include('atlas')
    expect(network.store.fleet().server).to.equal(before.server)
  })

  it('reports until when its clock has not held yet, which is over then, and that no API server has to wait for', async () => {
    const before = Date.now()
    network = await startNetwork(['paris'], {log, times: {lookMs: 20, clockLookMs: 10}})
    const until = Date.parse(need(network.serving.report().clockHeldUntil))
    expect(until).to.be.within(before + minutes - 50, Date.now() + minutes)
    network.clock.ahead = until - Date.now() - 60_000
    await new Promise(resolve => setTimeout(resolve, 100))
    need(network.serving.report().clockHeldUntil)
    network.clock.ahead += 61_000
    await eventually(() => network.serving.report().clockHeldUntil === undefined, 'the clock has held')
    await network.serving.stop()
    await network.restart()
    need(network.serving.report().clockHeldUntil)
    network.store.serverTime = () => Date.now()
    expect(network.serving.report().clockHeldUntil).to.equal(undefined)
  })

  it('admits and keeps Envoys by the time that it had before, while its clock is years ahead', async () => {
    network = await startNetwork(['paris'], {log, times: {clockLookMs: 10}})
    const open = network.direct('paris').delta()
    subscribe(open, 'paris')
    await settleAll(network, [open])
    network.clock.wrong = 3 * 365 * day
    await eventually(() => warnings().includes('ahead'), 'it is doubted')
    const other = network.direct('paris').delta()
    subscribe(other, 'paris', 'paris-1')
    network.store.write({kind: 'registration', name: paris, value: {...testCluster('paris'), groups: ['changed']}})
    await settleAll(network, [open, other])
    expect(network.serving.report().refusals).to.deep.equal([])
  })

  it('believes the API server', async () => {
    network = await startNetwork(['paris'], {log, times: {clockLookMs: 10}})
    network.store.serverTime = () => Date.now()
    network.clock.wrong = 10 * 60_000
    await eventually(() => warnings().includes("is 10m ahead of the Kubernetes API server's"), 'it is doubted')
    expect(Number(await metric('atlas_clock_skew_seconds'))).to.be.closeTo(600, 5)
    network.clock.wrong = 60_000
    await eventually(() => warnings() === '', 'it is believed at once')
  })

  it('reports a certificate that has ended, which it shows all the same', async () => {
    network = await startNetwork([], {log, times: {clockLookMs: 10}})
    await network.serving.stop()
    lines.splice(0)
    network.clock.wrong = 400 * day
    await network.restart()
    expect(lines).to.include('the certificate in use has ended; clients refuse it until a new one is issued')
    expect(lines.join()).not.to.contain('certificate and trust in use')
    expect(warnings()).to.match(/the issuer \(Secret atlas-issuer\) cannot sign: it ended on/)
    expect(await metric('atlas_signing_blocked')).to.equal('1')
    expect(warnings()).to.match(/the certificate of this server ended on .*; Envoys refuse it/)
  })

  it('that is behind the store at the start signs nothing', async () => {
    network = await startNetwork([], {log, times: {clockLookMs: 10}})
    await network.serving.stop()
    network.clock.wrong = -7_200_000
    network.store.write({kind: 'registration', name: paris, value: testCluster('paris')})
    await network.restart()
    expect(warnings()).to.contain('is 1h 50m behind the newest time in the store')
    expect(network.store.fleet().identities.has(paris)).to.equal(false)
    network.clock.wrong = 0
    await eventually(() => network.store.fleet().identities.has(paris), 'it is signed once the clock is set')
  })
})

function allBegin({identities, server}: Fleet, holds: (begin: number) => boolean): boolean {
  return [...identities.values(), need(server)].every(key => holds(readKey(key).notBefore.getTime()))
}
