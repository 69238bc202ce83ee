/** Clusters that cannot be reached (no name, no answer, no end of an answer) delay no other cluster. */
import {expect} from 'chai'
import {createSocket} from 'node:dgram'
import {type Socket, connect} from 'node:net'
import {setTimeout as sleep} from 'node:timers/promises'
import {type Channel, callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {oneCall, streamCall} from './backend.js'
import {hostOf, queryAddress, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** An undisturbed call takes milliseconds; on a busy machine, some dozens. */
const SOON_MS = 500
/** Atlas promises that a change takes effect within this. */
const CHANGE_MS = 1000
const ROUNDS = 3

describe('e2e: unreachable clusters', function () {
  this.timeout(240_000)
  let network: Network
  let channel: Channel

  before(async () => {
    network = await openNetwork({
      clusters: ['paris', 'lyon'],
      spare: 4,
      times: {quiet: '50ms'},
      settings: {timeouts: {keepaliveInterval: 1, keepaliveTimeout: 1}},
    })
    await untilReachable(network)
    channel = openPlain(queryAddress(network))
    network.onClose(() => channel.close())
  })
  after(() => closeNetwork(network))

  /** Calls lyon repeatedly, on an open connection and on new ones. @returns the time of the slowest call, milliseconds */
  async function slowestOfLyon(): Promise<number> {
    let slowest = 0
    for (let time = 0; time < 40; time += 1) {
      const begin = performance.now()
      const {grpcStatus} = await (time % 2 === 0
        ? channel.call(oneCall(hostOf('lyon')))
        : callOnce(openPlain(queryAddress(network)), oneCall(hostOf('lyon'))))
      expect(grpcStatus).to.equal(0)
      slowest = Math.max(slowest, performance.now() - begin)
    }

    return slowest
  }

  /** Gives lyon another number of replicas. @returns how long until requests follow it, in milliseconds */
  async function changeOfLyon(replicas: number): Promise<number> {
    const isRouted = async (): Promise<boolean> => (await whoAnswers(network, 'lyon', 1)) !== 'gRPC status 12'
    const before = await isRouted()
    await network.register('lyon', {replicas})
    const begin = performance.now()
    await until(network, 'the change to be there', async () => (await isRouted()) !== before)
    return performance.now() - begin
  }

  async function nothingElseIsDelayed(): Promise<void> {
    await expectWithin(SOON_MS, slowestOfLyon)
    await expectWithin(CHANGE_MS, async () => Math.max(await changeOfLyon(2), await changeOfLyon(1)))
    await expectWithin(SOON_MS, slowestOfLyon)
  }

  /** A busy machine may delay some rounds by chance; a cluster that cannot be reached would delay each of them. */
  async function expectWithin(limit: number, measure: () => Promise<number>): Promise<void> {
    const rounds = [await measure()]
    while (rounds.every(each => each >= limit) && rounds.length < ROUNDS) rounds.push(await measure())
    expect(Math.min(...rounds), `milliseconds, the least of ${rounds.join(', ')}`).to.be.lessThan(limit)
  }

  /** Once health checks have found a cluster unreachable, calls to it fail at once. */
  async function failsSoon(cluster: string): Promise<void> {
    const soon = async (): Promise<boolean> => {
      const begin = performance.now()
      return (await whoAnswers(network, cluster)) === 'gRPC status 14' && performance.now() - begin < SOON_MS
    }
    await until(network, `calls to ${cluster} to fail at once`, soon)
  }

  /** Another observability Envoy, whose name server never answers, waits at its start until it gives that up, and for one health check. */
  async function startsSoon(): Promise<void> {
    const envoy = await network.makeEnvoy('atlas', {address: network.spareAddress(8), nodeId: 'atlas-1', nameServer: await mute()})
    await envoy.start()
    await envoy.untilReady(25)
    await envoy.kill()
  }

  /** Accepts queries and answers none. */
  async function mute(): Promise<{host: string; port: number}> {
    const socket = createSocket('udp4')
    await new Promise<void>(resolve => socket.bind(0, network.spareAddress(7), resolve))
    network.onClose(() => void socket.close())
    return {host: network.spareAddress(7), port: socket.address().port}
  }

  it('by a name that does not resolve', async () => {
    await network.register('nowhere', {address: 'no-such-host.invalid'})
    await nothingElseIsDelayed()
    await failsSoon('nowhere')
    await startsSoon()
  })

  it('by a listener that never accepts', async () => {
    const address = network.spareAddress(9)
    const script = `require('node:net').createServer().listen({port: 11901, host: '${address}', backlog: 1}, () => console.log('listening'))`
    const hole = await network.startProcess({name: 'hole', program: process.execPath, args: ['-e', script]})
    const fillers = await fill(address, () => process.kill(hole.pid, 'SIGSTOP'))
    await network.register('hole', {address})
    await nothingElseIsDelayed()
    await failsSoon('hole')
    await startsSoon()
    for (const socket of fillers) socket.destroy()
    await hole.kill()
  })

  it('by an Envoy that is frozen while requests are under way, and comes back', async () => {
    const {envoy, backends} = network.member('paris')
    const answered = backends[0]?.requests() ?? 0
    const under = openPlain(queryAddress(network))
    let outcome = 'open'
    under.call(streamCall(hostOf('paris'), 30)).then(
      ({grpcStatus}) => (outcome = `ended with ${grpcStatus ?? 'no status'}`),
      () => (outcome = 'broken'),
    )
    await until(network, 'the stream to begin', () => (backends[0]?.requests() ?? 0) > answered)
    await sleep(100)
    expect(outcome).to.equal('open')
    envoy.freeze()
    await nothingElseIsDelayed()
    await until(network, 'the stream to be given up', () => outcome === 'broken')
    await failsSoon('paris')
    envoy.thaw()
    await untilReachable(network, ['paris'])
    await untilSynced(network, ['paris', 'lyon', 'atlas'])
    under.close()
  })
})

type Outcome = Socket | 'nothing' | 'refused'

/** Fills a listener's queue and stops its process: not even the kernel answers a new connection. */
async function fill(host: string, stop: () => void): Promise<readonly Socket[]> {
  let first: Outcome = 'refused'
  for (let time = 0; typeof first !== 'object' && time < 100; time += 1) {
    first = await attempt(host)
    if (typeof first !== 'object') await sleep(50)
  }

  stop()
  const sockets: Socket[] = []
  let next = first
  for (; typeof next === 'object'; next = await attempt(host)) sockets.push(next)
  if (next === 'refused' || sockets.length === 0) throw new Error(`the listener at ${host} does not hang`)
  return sockets
}

async function attempt(host: string): Promise<Outcome> {
  const socket = connect({host, port: 11_901})
  const outcome = await new Promise<Outcome>(resolve => {
    socket.once('connect', () => resolve(socket))
    socket.on('error', () => resolve('refused'))
    setTimeout(() => resolve('nothing'), 1000)
  })
  if (outcome !== socket) socket.destroy()
  return outcome
}
