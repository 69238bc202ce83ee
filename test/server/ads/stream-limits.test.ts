/** How a stream's requests wait for their turn: in order, one at a time, before the end of the call, and never after the end of the stream. */
import {Duplex, Readable} from 'node:stream'
import {expect} from 'chai'
import {emptyFleet} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {type ClusterLimits, defaultClusterLimits, openClusterLimiter} from '../../../src/server/ads/cluster-limits.js'
import type {AdsCall} from '../../../src/server/ads/call.js'
import {openRefusals} from '../../../src/server/ads/refusals.js'
import {OpenStream} from '../../../src/server/ads/stream.js'
import {defaultStreamTimes, openStreamLimits} from '../../../src/server/ads/stream-limits.js'
import {openTimers} from '../../../src/server/ads/timers.js'
import {logOf} from '../../../src/server/log.js'
import {deny} from '../../../src/server/mtls/denial.js'
import {requestFrame} from '../support/raw.js'

const paris = parseClusterName('paris')

/** Waits until the streams of this process have passed on what they may. */
const settled = async (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

/** Turns that the test takes. */
function openTestTurns() {
  const jobs: (() => void)[] = []
  return {
    jobs,
    add(job: () => void) {
      jobs.push(job)
    },
    take() {
      for (const job of jobs.splice(0)) job()
    },
  }
}

function openScene(limits: Partial<ClusterLimits> = {}) {
  const timers = openTimers(act => act())
  const call = new Readable({objectMode: true, autoDestroy: false, read() {}})
  const turns = openTestTurns()
  const seen: string[] = []
  const handled: string[] = []
  const limiter = openClusterLimiter({...defaultClusterLimits, ...limits})
  limiter.open(paris, 0)
  const streamLimits = openStreamLimits({
    ...{call, cluster: paris, times: defaultStreamTimes, limiter, turns},
    timers,
    steady: () => 0,
    silent: () => undefined,
    old: () => undefined,
    throttled: () => handled.push('throttled'),
  })
  call.on('data', (text: string) => {
    seen.push(text)
    streamLimits.received(text.length, () => {
      handled.push(text)
      return true
    })
  })
  call.on('end', () => streamLimits.finished(() => handled.push('end')))
  return {call, turns, seen, handled, close: timers.close}
}

describe('the requests of a stream', () => {
  let scene: ReturnType<typeof openScene> | undefined
  afterEach(() => scene?.close())

  it('are handled in their order, one a turn, and the end of the call comes after them', async () => {
    scene = openScene()
    const {call, turns, handled} = scene
    for (const text of ['a', 'b', 'c']) call.push(text)
    call.push(null)
    const after: string[] = []
    for (let turn = 0; turn < 4; turn += 1) {
      await settled()
      after.push(handled.join(' '))
      turns.take()
    }

    expect(after).to.deep.equal(['', 'a', 'a b', 'a b c end'])
  })

  it('are not read while one of them waits', async () => {
    scene = openScene()
    const {call, turns, seen} = scene
    for (let request = 0; request < 100; request += 1) call.push(`request ${request}`)
    await settled()
    expect([seen.length, turns.jobs.length]).to.deep.equal([1, 1])
    turns.take()
    await settled()
    expect([seen.length, turns.jobs.length]).to.deep.equal([2, 1])
  })

  it('are charged when they come; one beyond the rate is handled at its time, and the end of the call comes after it', async () => {
    scene = openScene({requestBurst: 11, requestsPerSecond: 20})
    const {call, turns, handled} = scene
    for (const text of ['a', 'b']) call.push(text)
    call.push(null)
    await settled()
    turns.take()
    await settled()
    expect(turns.jobs).to.deep.equal([])
    while (handled.length < 4) await settled()
    expect(handled).to.deep.equal(['a', 'throttled', 'b', 'end'])
  })

  it('that wait when the stream ends are not handled, and the rest is read and dropped', async () => {
    const turns = openTestTurns()
    const call = Object.assign(new Duplex({objectMode: true, read() {}, write: (_chunk, _encoding, done) => done()}), {cancelled: false})
    let judged = 0
    const stream = new OpenStream(
      call as unknown as AdsCall,
      {
        ...{variant: 'delta', sequence: 1, peer: 'test', admitted: {kind: 'admitted', cluster: paris, path: 'direct'}},
        admit() {
          judged += 1
          return deny('node-missing', 'is not asked')
        },
      } as unknown as ConstructorParameters<typeof OpenStream>[1],
      {
        ...{times: defaultStreamTimes, limiter: openClusterLimiter(defaultClusterLimits), refusals: openRefusals(), turns},
        now: () => new Date(),
        steady: () => 0,
        cpuTime: () => 0,
        log: () => logOf('silent'),
        fleet: () => emptyFleet,
        build: () => ({kind: 'frozen', why: 'is not built'}),
        takeUnrepaired: () => undefined,
        opened: () => undefined,
        joined: () => undefined,
        noted: () => undefined,
        sent: () => undefined,
        throttled: () => undefined,
        denied: () => undefined,
        closed: () => undefined,
      },
    )
    stream.begin()
    let isRead = false
    call.on('end', () => {
      isRead = true
    })
    for (let request = 0; request < 20; request += 1) call.push(requestFrame({typeUrl: 'none'}).subarray(5))
    call.push(null)
    await settled()
    expect(turns.jobs).to.have.length(1)
    stream.end('stop')
    turns.take()
    await settled()
    expect([judged, turns.jobs.length, isRead]).to.deep.equal([0, 0, true])
    call.emit('close')
  })
})
