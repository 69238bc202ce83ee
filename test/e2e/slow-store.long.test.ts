/**
 * `Series` above the 15 s that Envoy waits by default, through real Thanos Queries: one in front of the observability Envoy asks another one
 * behind the downstream Envoy, whose only store, a stand-in, answers late.
 */
import {createServer} from 'node:http2'
import {mkdir} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {frame} from '../../src/demo/lab/grpc.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {programAt} from '../pages/support/programs.js'
import {until} from './look.js'
import {openWithEndpoints} from './monitored.js'
import {type Network, closeNetwork} from './network.js'
import {untilAnswers} from './scene.js'

/** Seconds until the store answers. */
const LATE = 20

describe('e2e: a store that answers late', function () {
  this.timeout(180_000)
  let network: Network
  let query: HostPort

  before(async () => {
    const opened = await openWithEndpoints(['paris'])
    network = opened.network
    const at = (last: number, port: number): HostPort => ({host: network.spareAddress(0).replace(/200$/, String(last)), port})
    await serveLateStore(at(60, 10_901))
    await startQuery('downstream', at(61, 10_901), [`--endpoint=${renderHostPort(at(60, 10_901))}`])
    const target = {...at(61, 10_901), replicas: 1, health: 'grpc'} as const
    const request = {replicas: 0, targets: new Map([['query', target]])}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    const flags = [`--endpoint.sd-config-file=${opened.endpoints}`, '--endpoint.sd-config-reload-interval=1s']
    query = await startQuery('central', at(62, 10_901), flags)
  })
  after(() => closeNetwork(network))

  /** @returns its HTTP address */
  async function startQuery(name: string, grpc: HostPort, flags: readonly string[]): Promise<HostPort> {
    const http = {...grpc, port: 10_902}
    const cwd = path.join(network.folder, 'data', name)
    await mkdir(cwd, {recursive: true})
    const args = ['query', `--grpc-address=${renderHostPort(grpc)}`, `--http-address=${renderHostPort(http)}`, ...flags]
    await network.startProcess({name: `query-${name}`, program: programAt('thanos'), args, cwd})
    await untilAnswers(http, '/-/ready', network.crashed, 60_000)
    return http
  }

  async function serveLateStore({host, port}: HostPort): Promise<void> {
    const server = createServer()
    server.on('stream', (stream, headers) => {
      const message =
        headers[':path'] === '/thanos.info.Info/Info' ? info : headers[':path'] === '/thanos.Store/Series' ? series : undefined
      stream.on('error', () => undefined).on('wantTrailers', () => stream.sendTrailers({'grpc-status': message === undefined ? '12' : '0'}))
      stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true})
      const timer = setTimeout(() => stream.end(message && frame(message)), message === series ? LATE * 1000 : 0)
      stream.on('close', () => clearTimeout(timer))
    })
    await new Promise<void>(resolve => server.listen({host, port}, resolve))
    network.onClose(async () => {
      server.close()
    })
  }

  it('is waited for through both Envoys and both Thanos Queries', async () => {
    await until(network, 'the store', async () => (await get('/api/v1/stores')).includes('paris-thanos-sidecar-query-0'), 60)
    await until(network, 'its label', async () => (await get('/api/v1/stores')).includes('"late"'), 60)
    const begin = performance.now()
    const answer = await get('/api/v1/series?match[]=slow&partial_response=false')
    expect(performance.now() - begin, 'milliseconds').to.be.at.least(LATE * 1000)
    expect(JSON.parse(answer)).to.deep.equal({status: 'success', data: [{__name__: 'slow', store: 'late'}]})
  })

  async function get(page: string): Promise<string> {
    const response = await fetch(`http://${renderHostPort(query)}${page}`, {signal: AbortSignal.timeout(2 * LATE * 1000)})
    return response.text()
  }
})

/** A field of a protobuf message: a text, or a message, of less than 128 bytes. */
function bytes(field: number, value: Buffer | string): Buffer {
  const content = Buffer.from(value as string)
  return Buffer.concat([Buffer.from([field * 8 + 2, content.length]), content])
}

const label = (name: string, value: string): Buffer => Buffer.concat([bytes(1, name), bytes(2, value)])

/** InfoResponse {label_sets, component_type, store: {max_time}}: a store with every time until 2^55. */
const info = Buffer.concat([
  bytes(1, bytes(1, label('store', 'late'))),
  bytes(2, 'store'),
  bytes(3, Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
])

/** SeriesResponse {series: {labels}}. */
const series = bytes(1, Buffer.concat([bytes(1, label('__name__', 'slow')), bytes(1, label('store', 'late'))]))
