/** A stream over real gRPC: clients that stop reading, disconnect, break the protocol or send too much, and streams that reach their greatest age. */
import {constants} from 'node:http2'
import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import fc from 'fast-check'
import {parseAddress} from '../../../src/lib/model/address.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {testCluster} from '../../helpers/fleet.js'
import {type Network, eventually, need, nodeOf, settle, settleAll, startNetwork, subscribe, types} from '../support/network.js'
import {frame, rawConnection, requestFrame} from '../support/raw.js'

describe('a stream', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('whose client does not read costs bounded memory, gets the newest when it reads again, and delays no other', async () => {
    network = await startNetwork(Array.from({length: 50}, (_, index) => `c${index}`))
    const {session, open} = await rawConnection(network, 'atlas')
    const stuck = open()
    stuck.pause()
    stuck.write(requestFrame({node: nodeOf('atlas'), typeUrl: types.cluster}))
    const reader = network.direct('atlas').delta()
    reader.send({node: nodeOf('atlas', 'atlas-1'), typeUrl: types.cluster})
    await settle(reader)
    const responses = async (): Promise<number> => {
      const text = await (await fetch(`${network.serving.adminAddress}/metrics`)).text()
      return Number(/atlas_ads_responses_total\{type="Cluster"\} (\d+)/.exec(text)?.[1])
    }

    const before = await responses()
    for (let round = 0; round < 20; round += 1) {
      const name = parseClusterName(`c${round}`)
      network.store.write({kind: 'registration', name, value: testCluster(name, {addresses: [parseAddress(`10.0.0.${round}`)]})})
      await new Promise(resolve => setTimeout(resolve, 40))
    }

    await settle(reader)
    // The stuck stream was given nothing beyond its one unwritten response.
    expect(await responses()).to.be.within(before + 2, before + 21)
    expect(network.serving.report().proxies.find(({id}) => id === 'atlas-0')?.types[0]).to.include({state: 'stale'})
    let bytes = 0
    stuck.on('data', (data: Buffer) => {
      bytes += data.length
    })
    stuck.resume()
    await eventually(() => bytes > 10_000, 'the first response is read')
    expect(await responses()).to.be.within(before + 2, before + 23)
    session.destroy()
    await eventually(() => !network.serving.report().proxies.some(({id}) => id === 'atlas-0'), 'the stream is gone')
  })

  it('that was opened before its cluster was cut off, and sends its first request afterwards, is refused and gets nothing of the next generation', async () => {
    network = await startNetwork(['paris'])
    const early = network.direct('paris').delta()
    await new Promise(resolve => setTimeout(resolve, 100))
    const name = parseClusterName('paris')
    const record = need(network.store.fleet().records.get(name))
    network.store.write({
      kind: 'record',
      owner: name,
      value: {...record, generation: 2, credentials: record.credentials.map(each => ({...each, state: 'revoked' as const}))},
    })
    await new Promise(resolve => setTimeout(resolve, 100))
    subscribe(early, 'paris')
    expect((await early.status).code).to.equal(status.PERMISSION_DENIED)
    expect(early.responses).to.deep.equal([])
  })

  it('whose client leaves 64 responses of a type unanswered is sent nothing more of that type until the client answers', async () => {
    network = await startNetwork(['paris'])
    const client = network.direct('paris').delta()
    client.send({node: nodeOf('paris'), typeUrl: types.secret, resourceNamesSubscribe: ['none']})
    for (let round = 0; round < 150; round += 1) {
      client.send({typeUrl: types.secret, resourceNamesSubscribe: ['none']})
      if (round % 20 === 0) await new Promise(resolve => setTimeout(resolve, 5))
    }

    await eventually(() => client.responses.length === 64, '64 responses')
    client.send({typeUrl: types.secret, resourceNamesSubscribe: ['another']})
    client.send({typeUrl: types.cluster})
    await eventually(() => client.responses.some(({typeUrl}) => typeUrl === types.cluster), 'the clusters')
    expect(client.responses.filter(({typeUrl}) => typeUrl === types.secret)).to.have.length(64)
    for (const {nonce, typeUrl} of [...client.responses]) client.send({typeUrl, responseNonce: nonce})
    await eventually(() => client.responses.some(({removedResources}) => removedResources.includes('another')), 'the answer')
  })

  it('whose client does not read is reset after its end', async () => {
    network = await startNetwork(
      Array.from({length: 50}, (_, index) => `c${index}`),
      {times: {maxAgeMs: 1000, resetAfterMs: 100}},
    )
    const {session, open} = await rawConnection(network, 'atlas')
    const stuck = open()
    stuck.pause()
    stuck.write(requestFrame({node: nodeOf('atlas'), typeUrl: types.cluster}))
    await new Promise(resolve => stuck.once('close', resolve))
    expect(stuck.rstCode).to.equal(constants.NGHTTP2_CANCEL)
    expect(session.destroyed).to.equal(false)
    await eventually(() => network.serving.report().proxies.length === 0, 'the stream is gone')
    session.destroy()
  })

  it('that is cut is gone from the report, and its node is served again', async () => {
    network = await startNetwork(['paris'])
    const {session, open} = await rawConnection(network, 'paris')
    open().write(requestFrame({node: nodeOf('paris'), typeUrl: types.cluster}))
    await eventually(() => network.serving.report().proxies.length === 1, 'it is open')
    session.destroy()
    await eventually(() => network.serving.report().proxies.length === 0, 'it is gone')
    const again = network.direct('paris').delta()
    again.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await again.next()
  })

  it('is ended at its greatest age, in good order', async () => {
    network = await startNetwork(['paris'], {times: {maxAgeMs: 1000}})
    const connection = network.direct('paris')
    const stream = connection.delta()
    subscribe(stream, 'paris')
    await settle(stream, 50)
    expect((await stream.status).code).to.equal(status.OK)
    const again = connection.delta()
    again.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await again.next()
  })

  it('whose first request does not come is ended', async () => {
    network = await startNetwork(['paris'], {times: {firstRequestMs: 100}})
    const {code, details} = await network.direct('paris').delta().status
    expect([code, details]).to.deep.equal([status.INVALID_ARGUMENT, 'the first request did not come in time'])
  })

  it('two of one node are both served, and reported', async () => {
    network = await startNetwork(['paris'])
    const [a, b] = [network.direct('paris').delta(), network.direct('paris').delta()]
    for (const stream of [a, b]) subscribe(stream, 'paris')
    await settleAll(network, [a, b])
    expect(network.serving.report().proxies.map(({id, equalIds}) => [id, equalIds])).to.deep.equal([
      ['paris-0', 2],
      ['paris-0', 2],
    ])
    network.store.write({kind: 'identity', owner: parseClusterName('paris'), value: undefined})
    const [first, second] = await Promise.all([a.next(), b.next()])
    expect([first.resources[0]?.name, second.resources[0]?.name]).to.deep.equal(['identity', 'identity'])
  })

  it('of a cluster that sends requests too fast is read later, and not ended', async () => {
    network = await startNetwork(['paris', 'rome'], {limits: {requestBurst: 20, requestsPerSecond: 2}})
    const greedy = network.direct('paris').delta()
    greedy.send({node: nodeOf('paris'), typeUrl: types.cluster})
    for (let count = 0; count < 50; count += 1) greedy.send({typeUrl: types.secret, resourceNamesSubscribe: [`s${count}`]})
    const modest = network.direct('rome').delta()
    modest.send({node: nodeOf('rome'), typeUrl: types.cluster})
    const isDone = (): boolean => greedy.responses.flatMap(response => response.removedResources).includes('s49')
    await modest.next()
    expect(isDone(), 'the other cluster does not wait for it').to.equal(false)
    const metrics = async (): Promise<string> => (await fetch(`${network.serving.adminAddress}/metrics`)).text()
    // It would take 20 s.
    network.clock.ahead += 60_000
    await eventually(isDone, 'the last request is answered')
    expect(await metrics()).to.match(/atlas_ads_throttled_total [1-9]/)
  })

  it('whose client breaks the protocol is closed with the reason', async () => {
    network = await startNetwork(['paris'])
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: ''})
    expect((await stream.status).code).to.equal(status.INVALID_ARGUMENT)
    const changing = network.direct('paris').delta()
    changing.send({node: nodeOf('paris'), typeUrl: types.cluster})
    changing.send({node: nodeOf('paris', 'paris-1'), typeUrl: types.cluster})
    expect((await changing.status).code).to.equal(status.INVALID_ARGUMENT)
  })

  it('may carry any bytes, and the server goes on', async () => {
    network = await startNetwork(['paris'], {limits: {streamsPerCluster: 1000}})
    const {session, open} = await rawConnection(network, 'paris')
    const nested = (depth: number): Buffer => {
      let value = Buffer.from([0x08, 0])
      for (let level = 0; level < depth; level += 1)
        value = Buffer.concat([Buffer.from([0x32]), varint(value.length + 2), Buffer.from([0x0a]), varint(value.length), value])
      return value
    }

    const start = requestFrame({node: nodeOf('paris'), typeUrl: types.cluster})
    const deep = Buffer.concat([Buffer.from([0x0a]), varint(nested(3000).length), nested(3000)])
    const odd: readonly Buffer[] = [
      frame(deep),
      Buffer.from([1, 0, 0, 0, 4, 1, 2, 3, 4]),
      Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]),
      frame(Buffer.alloc(5 * 1024 * 1024)),
      requestFrame({node: nodeOf('paris'), typeUrl: types.cluster, responseNonce: '-1'}),
      requestFrame({
        node: nodeOf('paris'),
        typeUrl: types.secret,
        resourceNamesSubscribe: ['__proto__', 'constructor', '', '*', 'x'.repeat(100_000)],
      }),
      requestFrame({node: nodeOf('paris'), typeUrl: types.cluster, initialResourceVersions: {__proto__: 'x', constructor: 'y'}}),
      requestFrame({node: nodeOf('paris'), typeUrl: '__proto__', resourceNamesUnsubscribe: ['toString']}),
    ]
    for (const bytes of odd) {
      const stream = open()
      stream.resume()
      stream.write(bytes)
      stream.end()
    }

    await fc.assert(
      fc.asyncProperty(fc.uint8Array({maxLength: 200}), fc.boolean(), async (bytes, isFirst) => {
        const stream = open()
        stream.resume()
        if (!isFirst) stream.write(start)
        stream.end(frame(bytes))
      }),
      {numRuns: 200},
    )
    session.close()
    const healthy = network.direct('paris').delta()
    healthy.send({node: nodeOf('paris'), typeUrl: types.cluster})
    expect((await healthy.next()).resources).not.to.have.length(0)
    session.destroy()
  })
})

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
