/** When refused streams are answered: at once, or later where a cluster is refused often. */
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {deny} from '../../../src/server/mtls/denial.js'
import {type Refusals, openRefusals} from '../../../src/server/ads/refusals.js'
import {eventually, nodeOf, startNetwork, types} from '../support/network.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const limits = {burst: 3, perSecond: 2, delayMaxMs: 2000, waitingMax: 3}

describe('the answer to a refused stream', () => {
  const original = globalThis.setTimeout
  let delays: number[] = []
  let timers: (() => void)[] = []
  beforeEach(() => {
    delays = []
    timers = []
    globalThis.setTimeout = ((act: () => void, ms: number) => {
      delays.push(ms)
      timers.push(act)
      return {unref: () => undefined}
    }) as unknown as typeof setTimeout
  })
  afterEach(() => {
    globalThis.setTimeout = original
  })

  let answered = 0
  const refuse = (refusals: Refusals, now: number, ...[reason, cluster]: [Parameters<typeof deny>[0], typeof paris?]): void => {
    refusals.answer(deny(reason, 'no', cluster), now, () => (answered += 1))
  }

  it('comes at once after a quiet time, and then later with each refusal of that cluster alone', () => {
    const refusals = openRefusals(limits)
    answered = 0
    for (let count = 0; count < 5; count += 1) refuse(refusals, 0, 'generation', paris)
    expect([answered, delays]).to.deep.equal([3, [500, 1000]])
    refuse(refusals, 0, 'generation', rome)
    refuse(refusals, 0, 'xfcc-missing')
    expect(answered).to.equal(5)
    for (const fire of timers) fire()
    expect(answered).to.equal(7)
    refuse(refusals, 10_000, 'generation', paris)
    expect(answered).to.equal(8)
  })

  it('waits no longer than the longest delay, and not at all where as many wait as may', () => {
    const refusals = openRefusals({...limits, waitingMax: 100})
    for (let count = 0; count < 50; count += 1) refuse(refusals, 0, 'generation', paris)
    expect(Math.max(...delays)).to.equal(2000)
    answered = 0
    const few = openRefusals(limits)
    for (let count = 0; count < 50; count += 1) refuse(few, 0, 'generation', paris)
    expect(answered).to.equal(47)
  })

  it('is never delayed while the server itself is not ready', () => {
    const refusals = openRefusals(limits)
    answered = 0
    for (let count = 0; count < 50; count += 1) refuse(refusals, 0, 'not-initialized')
    expect([answered, delays]).to.deep.equal([50, []])
  })
})

describe('refused streams on the connection of the relay', () => {
  it('are answered later when a cluster has been refused often; another cluster on the same connection is answered', async () => {
    const network = await startNetwork(['paris', 'rome'])
    const relay = network.relay('paris')
    let ended = 0
    const refused = Array.from({length: 60}, () => {
      const stream = relay.delta()
      void stream.status.then(() => (ended += 1))
      stream.send({node: nodeOf('rome'), typeUrl: types.cluster})
      return stream
    })
    await eventually(() => network.serving.report().refusals.length === 60, 'all are refused')
    const honest = relay.delta({'x-forwarded-client-cert': network.xfcc('rome')})
    honest.send({node: nodeOf('rome'), typeUrl: types.cluster})
    expect((await honest.next()).resources).not.to.have.length(0)
    expect(ended).to.be.within(30, 55)
    const codes = await Promise.all(refused.map(async stream => (await stream.status).code))
    expect(new Set(codes)).to.deep.equal(new Set([7]))
    await network.stop()
  }).timeout(120_000)
})
