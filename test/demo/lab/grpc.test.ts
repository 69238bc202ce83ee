import {expect} from 'chai'
import {type Channel, callOnce, frame, openPlain} from '../../../src/demo/lab/grpc.js'
import {ANSWERED_BY, type StandIn, healthCall, isServing, serveStandIn, watchCall} from '../../../src/demo/lab/health.js'
import {startLoad} from '../../../src/demo/lab/load.js'
import {freePort} from '../../helpers/serving.js'
import {rejectedBy} from '../../helpers/thrown.js'

describe('demo/grpc', () => {
  let standIn: StandIn
  let address: {host: string; port: number}
  let channel: Channel

  beforeEach(async () => {
    address = {host: '127.0.0.1', port: await freePort()}
    standIn = await serveStandIn(address, 'paris')
    channel = openPlain(address)
  })
  afterEach(async () => {
    channel.close()
    await standIn.close()
  })

  it('calls, and reads status, headers and message', async () => {
    const answer = await channel.call(healthCall('paris-thanos-sidecar0:10901'))
    expect(answer).to.deep.include({status: 200, grpcStatus: 0})
    expect(answer.headers[ANSWERED_BY]).to.equal('paris')
    expect(isServing(answer.messages[0])).to.equal(true)
  })

  it('reads a status without a message', async () => {
    const answer = await channel.call({...healthCall('x'), path: '/thanos.Store/Series'})
    expect(answer).to.deep.include({grpcStatus: 12, messages: []})
  })

  it('takes the first message of a stream that stays open', async () => {
    const answer = await channel.call({...watchCall('x', 20_000), until: 'message'})
    expect(isServing(answer.messages[0])).to.equal(true)
  })

  it('ends after its time limit', async () => {
    const error = await channel.call(watchCall('x', 200)).catch((caught: unknown) => caught)
    expect(String(error)).to.contain('no answer within 0.2 s')
  })

  it('fails when the connection breaks', async () => {
    const watching = channel.call(watchCall('x', 5000)).catch((error: unknown) => error)
    await channel.call(healthCall('x'))
    await standIn.close()
    expect(await watching).to.be.an('error')
    standIn = await serveStandIn(address, 'paris')
  })

  it('fails when no server listens', async () => {
    const error = await callOnce(openPlain({host: '127.0.0.1', port: 1}), healthCall('x')).catch((caught: unknown) => caught)
    expect(String(error)).to.contain('ECONNREFUSED')
  })

  it('names the port that a stand-in can not bind', async () => {
    expect((await rejectedBy(serveStandIn(address, 'lyon'))).message).to.contain(`127.0.0.1:${address.port}`)
  })

  it('frames a message with its length', () => {
    expect([...frame(new Uint8Array([7, 8]))]).to.deep.equal([0, 0, 0, 0, 2, 7, 8])
  })

  it('counts the requests of a load, and keeps the first failure', async () => {
    let count = 0
    const load = startLoad(
      [
        async () => {
          count += 1
          if (count > 1) throw new Error(`failure ${count}`)
          await channel.call(healthCall('x'))
        },
      ],
      1,
    )
    await new Promise(resolve => setTimeout(resolve, 100))
    const result = await load.stop()
    expect(result.requests).to.equal(count)
    expect(result.failures).to.equal(count - 1)
    expect(result.firstFailure).to.equal('failure 2')
  })

  it('starts the requests of a load at their times, although no earlier one is back, and waits for all of them in the end', async () => {
    const answered = Promise.withResolvers<void>()
    const started = [0, 0]
    const request = (index: 0 | 1) => async () => {
      started[index] = (started[index] ?? 0) + 1
      await answered.promise
    }
    const began = performance.now()
    const load = startLoad([request(0), request(1)], 10)
    await new Promise(resolve => setTimeout(resolve, 200))
    const due = Math.floor((performance.now() - began) / 10)
    // The timer of the load may come after this one, where both are late.
    await new Promise(resolve => setImmediate(resolve))
    const most = Math.ceil((performance.now() - began) / 10) + 1
    for (const count of started) expect(count).to.be.within(due - 2, most)
    const end = load.stop()
    expect(await Promise.race([end, new Promise(resolve => setTimeout(resolve, 20, 'waits'))])).to.equal('waits')
    answered.resolve()
    const {requests, failures, slowestMs} = await end
    expect([requests, failures]).to.deep.equal([(started[0] ?? 0) + (started[1] ?? 0), 0])
    expect(slowestMs, 'of the first').to.be.within(215, performance.now() - began + 1)
  })

  it('counts the time of a request of a load from when it was due, also where this process was busy then', async () => {
    const load = startLoad([async () => undefined], 10)
    await new Promise(resolve => setTimeout(resolve, 5))
    const end = performance.now() + 100
    while (performance.now() < end);
    await new Promise(resolve => setTimeout(resolve, 5))
    const {requests, slowestMs} = await load.stop()
    expect(requests, 'those that were due are made up for').to.be.greaterThan(8)
    expect(slowestMs).to.be.greaterThan(80)
  })
})
