/** What one client can do to a connection that others share, and what its messages may cost. */
import {constants, type ClientHttp2Stream, type IncomingHttpHeaders} from 'node:http2'
import {gzipSync} from 'node:zlib'
import {create, toBinary} from '@bufbuild/protobuf'
import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import fc from 'fast-check'
import {DeltaDiscoveryRequestSchema} from '../../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {decodeRequest, requestBoundsOf} from '../../../src/server/ads/decode-request.js'
import {type Network, eventually, nodeOf, startNetwork, types} from '../support/network.js'
import {rawConnection, requestFrame} from '../support/raw.js'

describe('bounds on clients', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('an HTTP/2 connection survives any number of streams that its client resets', async () => {
    network = await startNetwork(['paris'], {limits: {requestBurst: 1_000_000}})
    const {session, open} = await rawConnection(network, 'paris')
    let goaways = 0
    session.on('goaway', () => (goaways += 1))
    const reset = async (stream: ClientHttp2Stream): Promise<void> =>
      new Promise(resolve => {
        stream.on('close', resolve)
        stream.write(requestFrame({node: nodeOf('rome'), typeUrl: types.cluster}))
        setTimeout(() => {
          stream.close(constants.NGHTTP2_CANCEL)
        }, 2)
      })
    for (let batch = 0; batch < 30; batch += 1) await Promise.all(Array.from({length: 100}, async () => reset(open())))
    const honest = open()
    const answered = new Promise(resolve => honest.once('response', headers => resolve(headers['grpc-status'] ?? 'open')))
    honest.write(requestFrame({node: nodeOf('paris'), typeUrl: types.cluster}))
    expect(await Promise.race([answered, new Promise(resolve => honest.once('close', () => resolve('closed')))])).to.equal('open')
    expect([goaways, session.destroyed]).to.deep.equal([0, false])
    session.destroy()
  }).timeout(120_000)
})

describe('a request that holds too much', () => {
  let network: Network
  before(async () => {
    network = await startNetwork(['paris', 'rome'])
  })
  after(async () => network.stop())

  const ended = async (request: object): Promise<readonly [status, string]> => {
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.cluster, ...request})
    const {code, details} = await stream.status
    return [code, details]
  }

  const metadata = (bytes: number): object => ({node: {...nodeOf('paris'), metadata: {list: Array.from({length: bytes / 4}, () => true)}}})
  const many = (count: number, of: string): readonly string[] => Array.from({length: count}, (_, index) => `${of}${index}`)
  const cases: readonly (readonly [string, object, status, RegExp])[] = [
    ['bytes', {resourceNamesSubscribe: ['x'.repeat(257 * 1024)]}, status.RESOURCE_EXHAUSTED, /larger than max \(26\d{4} vs 262144\)/],
    ['node metadata', metadata(100_000), status.INVALID_ARGUMENT, /has 1\d{5} bytes of node metadata; at most 16384 are read/],
    ['names', {resourceNamesSubscribe: many(600, 'a'), resourceNamesUnsubscribe: many(600, 'b')}, status.INVALID_ARGUMENT, /names 1200/],
    [
      'initial versions',
      {initialResourceVersions: Object.fromEntries(many(1001, 'c').map(name => [name, '']))},
      status.INVALID_ARGUMENT,
      /has 1001 initial_resource_versions; at most 1000/,
    ],
  ]
  for (const [what, request, code, reason] of cases)
    it(`ends its stream with the reason: ${what}`, async () => {
      const [found, details] = await ended(request)
      expect(details).to.match(reason)
      expect(found).to.equal(code)
    })

  it('may be large on the stream of the observability Envoy, which has a version of each resource of the fleet', async () => {
    const stream = network.direct('atlas').delta()
    const versions = Object.fromEntries(many(50_000, 'cluster/').map(name => [name, 'a'.repeat(40)]))
    stream.send({node: nodeOf('atlas'), typeUrl: types.cluster, initialResourceVersions: versions})
    expect((await stream.next()).resources).not.to.have.length(0)
    stream.cancel()
  }).timeout(120_000)

  it('ends its stream when it is compressed, without being decompressed', async () => {
    const {session, open} = await rawConnection(network, 'paris', {'grpc-encoding': 'gzip'})
    const message = gzipSync(requestFrame({node: nodeOf('paris'), typeUrl: types.cluster}).subarray(5))
    const head = Buffer.from([1, 0, 0, 0, message.length])
    const stream = open()
    stream.resume()
    const answer = new Promise<string>(resolve => {
      for (const event of ['response', 'trailers'] as const)
        stream.on(event, (headers: IncomingHttpHeaders) => {
          if (headers['grpc-status'] !== undefined)
            resolve(`${String(headers['grpc-status'])} ${decodeURI(String(headers['grpc-message']))}`)
        })
    })
    stream.write(Buffer.concat([head, message]))
    expect(await answer).to.match(/^12 .*compressed requests are not accepted/)
    session.destroy()
  })

  it('of a cluster that has used up its bytes is handled later, and delays no other cluster', async () => {
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await stream.next()
    for (let count = 0; count < 60; count += 1) stream.send({typeUrl: types.cluster, errorDetail: {code: 1, message: 'x'.repeat(200_000)}})
    stream.send({typeUrl: types.listener})
    const answered = stream.next(1500).then(
      () => true,
      () => false,
    )
    const honest = network.direct('rome').delta()
    honest.send({node: nodeOf('rome'), typeUrl: types.cluster})
    expect((await honest.next()).resources).not.to.have.length(0)
    expect(await answered).to.equal(false)
    stream.cancel()
    honest.cancel()
  }).timeout(120_000)
})

describe('the CPU time that requests cost', () => {
  it('is charged to their cluster: its next request is handled later, its stream stays, and another cluster is answered', async () => {
    let cpu = 0
    // Each reading is 30 ms after the one before, so each request costs 30 ms.
    const network = await startNetwork(['paris', 'rome'], {cpuTime: () => (cpu += 30), limits: {cpuBurstMs: 100, cpuMsPerSecond: 50}})
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await stream.next()
    const throttled = async (): Promise<number> => {
      const metrics = await (await fetch(`${network.serving.adminAddress}/metrics`)).text()
      return Number(/^atlas_ads_throttled_total (\d+)$/m.exec(metrics)?.[1])
    }
    for (let count = 0; count < 6; count += 1) stream.send({typeUrl: types.secret, resourceNamesSubscribe: [`none${count}`]})
    const deadline = Date.now() + 25_000
    while ((await throttled()) === 0) expect(Date.now(), 'a request is delayed').to.be.below(deadline)
    const honest = network.direct('rome').delta()
    honest.send({node: nodeOf('rome'), typeUrl: types.cluster})
    expect((await honest.next()).resources).not.to.have.length(0)
    stream.send({typeUrl: types.listener})
    let typeUrl = ''
    while (typeUrl !== types.listener) typeUrl = (await stream.next(15_000)).typeUrl
    await network.stop()
  }).timeout(120_000)
})

describe('what the Envoys of one cluster cause', () => {
  const lines: string[] = []
  const write = (message: string): void => {
    lines.push(message)
  }
  let network: Network
  before(async () => {
    network = await startNetwork(['paris'], {log: {debug: () => undefined, info: write, warn: write, error: write}})
  })
  after(async () => network.stop())

  it('a storm of NACKs is a bounded number of log lines, and the last NACK is in the report', async () => {
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.secret, resourceNamesSubscribe: ['identity']})
    for (let count = 0; count < 300; count += 1) {
      const {nonce} = await stream.next()
      stream.send({typeUrl: types.secret, responseNonce: nonce, errorDetail: {code: 13, message: `no ${count}`}})
      if (count === 299) break
      stream.send({typeUrl: types.secret, resourceNamesUnsubscribe: ['identity']})
      stream.send({typeUrl: types.secret, resourceNamesSubscribe: ['identity']})
    }

    const nack = (): string | undefined => network.serving.report().proxies[0]?.types[0]?.nack
    await eventually(() => nack() === 'no 299', 'the last NACK is in the report')
    // The server's own lines may come between them.
    expect(lines.filter(line => /\bNACK\b|^stream /.test(line)).length).to.be.within(2, 20)
    stream.cancel()
  }).timeout(120_000)

  it('a refusal names the client behind the relay by the address that the relay has seen, and believes no other client', async () => {
    const forged = {'x-forwarded-for': '192.0.2.1, 203.0.113.9'}
    for (const connection of [network.relay('paris', undefined, forged), network.direct('paris', forged)]) {
      const stream = connection.delta()
      stream.send({node: nodeOf('rome'), typeUrl: types.cluster})
      await stream.status
    }

    const peers = network.serving.report().refusals.map(({peer}) => peer)
    expect(peers[0]).to.match(/^203\.0\.113\.9 through 127\.0\.0\.1:\d+$/)
    expect(peers[1]).to.match(/^127\.0\.0\.1:\d+$/)
  })

  it('refusals of one cluster push those of no other out of the report', async () => {
    const stranger = network.relay('paris', '')
    await stranger.delta().status
    const connection = network.direct('paris')
    for (let count = 0; count < 110; count += 1) connection.delta().send({node: nodeOf('rome'), typeUrl: types.cluster})
    const reasons = (): readonly string[] => network.serving.report().refusals.map(({reason}) => reason)
    await eventually(() => reasons().length === 100, 'as many refusals as the report holds')
    expect(reasons()).to.include('xfcc-missing')
  }).timeout(120_000)
})

describe('the scan of a request', () => {
  const downstream = requestBoundsOf(parseClusterName('paris'))

  it('counts the parts of a node that comes in several fields', () => {
    const part = toBinary(
      DeltaDiscoveryRequestSchema,
      create(DeltaDiscoveryRequestSchema, {node: {id: 'a', metadata: {text: 'x'.repeat(10_000)}}}),
    )
    expect(decodeRequest(part, 'delta', downstream).kind).to.equal('request')
    expect(decodeRequest(Buffer.concat([part, part]), 'delta', downstream)).to.deep.include({kind: 'invalid'})
  })

  it('never throws, and knows bytes that are no message', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 300}), fc.constantFrom('delta' as const, 'sotw' as const), (bytes, variant) => {
        expect(decodeRequest(bytes, variant, downstream).kind).to.be.oneOf(['invalid', 'request'])
      }),
    )
  })
})
