/** Every kind of Thanos endpoint behind both Envoys, as Thanos Query sees it: labels, health, all services, what dies and what freezes. */
import http2 from 'node:http2'
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import {type GrpcReply, frame, grpcCodes, openPlain} from '../../src/demo/lab/grpc.js'
import {startLoad} from '../../src/demo/lab/load.js'
import {healthCall, isServing} from '../../src/demo/lab/health.js'
import {queryInstant} from '../../src/demo/lab/query-api.js'
import {renderHostPort} from '../../src/lib/model/address.js'
import {parseClusterName, sidecarName} from '../../src/lib/model/names.js'
import {TRACED, pushExemplar} from './exemplars.js'
import {queryAddress, until} from './look.js'
import {type Monitored, kinds, openMonitored} from './monitored.js'
import {type Network, closeNetwork} from './network.js'
import {endpointsIn, unhealthyIn, upIn} from './thanos-query.js'

interface QueryAnswer {
  readonly data?: {readonly result?: readonly unknown[]}
}

interface MetadataAnswer {
  readonly data: Readonly<Record<string, readonly {readonly type: string}[]>>
}

interface ExemplarsAnswer {
  readonly data: readonly {
    readonly seriesLabels: Readonly<Record<string, string>>
    readonly exemplars: readonly {readonly labels: Readonly<Record<string, string>>}[]
  }[]
}

describe('e2e: Thanos behind both Envoys', function () {
  this.timeout(240_000)
  let scene: Monitored
  let network: Network | undefined

  before(async () => {
    scene = await openMonitored()
    network = scene.network
  })
  after(() => closeNetwork(network))

  const authority = (cluster: string, replica: number, target?: string): string =>
    `${sidecarName(parseClusterName(cluster), replica, target)}.atlas.svc.cluster.local:10901`

  async function calls(
    host: string,
    path: string,
    count = 1,
    message: Uint8Array = new Uint8Array(),
    timeoutMs = 10_000,
  ): Promise<readonly GrpcReply[]> {
    const channel = openPlain(queryAddress(scene.network))
    try {
      const replies: GrpcReply[] = []
      for (let call = 0; call < count; call += 1)
        replies.push(await channel.call({authority: host, path, message, timeoutMs, until: 'end'}))
      return replies
    } finally {
      channel.close()
    }
  }

  const endpoints = async (): Promise<Readonly<Record<string, string>>> => endpointsIn(scene)
  const unhealthy = async (): Promise<readonly string[]> => unhealthyIn(scene)
  const upOf = async (selector: string): Promise<readonly string[]> => upIn(scene, selector)
  const untilUnhealthy = async (...names: readonly string[]): Promise<void> =>
    until(scene.network, `unhealthy endpoints: ${names.join() || 'none'}`, async () => isDeepStrictEqual(await unhealthy(), names), 60)
  const untilUp = async (selector: string, ...names: readonly string[]): Promise<void> =>
    until(scene.network, `series of ${names.join()} alone`, async () => isDeepStrictEqual(await upOf(selector), names), 60)

  it('1,000 Info calls to replica 0 return its labels alone, and those to replica 1 its own (D20)', async () => {
    for (const replica of [0, 1]) {
      const replies = await calls(authority('paris', replica), '/thanos.info.Info/Info', 1000)
      const found = replies.flatMap(({messages}) => messages.join('').match(/paris-\d+/g) ?? ['none'])
      expect([...new Set(found)]).to.deep.equal([`paris-${replica}`])
      expect(found.length).to.be.at.least(1000)
    }
  })

  it('each kind of target is an endpoint of its own, healthy, and says SERVING: Prometheus, Ruler, Store gateway, Receive, Query', async () => {
    await until(scene.network, 'all endpoints', async () => Object.keys(await endpoints()).length === 8, 60)
    await untilUnhealthy()
    for (const kind of Object.keys(kinds)) {
      const [reply] = await calls(authority('paris', 0, kind), healthCall('').path)
      expect(isServing(reply?.messages[0]), kind).to.equal(true)
    }
  })

  it('all of them answer: a query deduplicates the replicas and finds what Ruler, Receive and the stacked Query have', async () => {
    await until(
      scene.network,
      'samples of all',
      async () => (await queryInstant(scene.query, 'up{cluster="paris",shard="edge",receiver="paris"}')).length > 0,
      60,
    )
    await until(scene.network, 'the rule', async () => (await queryInstant(scene.query, 'ruled{ruler="paris"}')).length === 1, 60)
    const replicas = 'up{cluster="paris",prometheus_replica!=""}'
    await untilUp('{cluster="paris",prometheus_replica!=""}', 'paris-0', 'paris-1')
    expect(await queryInstant(scene.query, replicas)).to.have.length(1)
  })

  it('the Store gateway answers from the blocks of its object store', async () => {
    const {at} = scene.bucket
    const asked = async (): Promise<unknown> =>
      ((await scene.get(`/api/v1/query?query=old&time=${at}`)) as {data: {result: readonly unknown[]}}).data.result
    await until(scene.network, 'the block', async () => ((await asked()) as unknown[]).length > 0, 60)
    expect(await asked()).to.deep.equal([{metric: {__name__: 'old', bucket: 'paris'}, value: [at, '2']}])
  })

  it('every service of Thanos passes: Rules, Targets, Metadata, Store, Query, Status', async () => {
    const rules = JSON.stringify(await scene.get('/api/v1/rules'))
    for (const group of ['of-prometheus', 'of-ruler']) expect(rules).to.include(group)
    expect(JSON.stringify(await scene.get('/api/v1/targets'))).to.include('"job":"itself"')
    const {data: metadata} = (await scene.get('/api/v1/metadata?metric=prometheus_build_info')) as MetadataAnswer
    expect(Object.keys(metadata)).to.deep.equal(['prometheus_build_info'])
    expect(metadata['prometheus_build_info']?.[0]).to.include({type: 'gauge'})
    expect(Object.keys(((await scene.get('/api/v1/metadata?limit=5')) as MetadataAnswer).data)).to.have.length(5)
    expect(JSON.stringify(await scene.get('/api/v1/label/prometheus_replica/values'))).to.include('lyon-0')
    expect(JSON.stringify(await scene.get('/api/v1/series?match[]=up'))).to.include('"shard":"edge"')
    // The sample is 0 where Prometheus could not scrape itself within its second.
    const value = Buffer.alloc(8)
    value.writeDoubleLE(42)
    await until(scene.network, 'the value of the sample', async () => {
      // Query {query, time_seconds}, which a Thanos Query serves to another one; the one behind paris reads from the shard alone.
      const message = Buffer.concat([bytes(1, 'up{shard="edge"} * 42'), Buffer.from([0x10, ...varint(Math.floor(Date.now() / 1000))])])
      const [reply] = await calls(authority('paris', 0, 'query'), '/thanos.Query/Query', 1, message)
      expect(reply?.grpcStatus, reply?.grpcMessage).to.equal(0)
      const answer = Buffer.concat(reply?.messages ?? [])
      return answer.toString('latin1').includes('edge') && answer.includes(value)
    })
    // Statistics name the metrics that have most series.
    const [status] = await calls(authority('paris', 0), '/thanos.Status/TSDBStatistics')
    expect(status?.grpcStatus, status?.grpcMessage).to.equal(0)
    expect(Buffer.concat(status?.messages ?? []).toString('latin1')).to.match(/prometheus_[a-z_]+/)
  })

  it('so does Exemplars: the exemplar of each Prometheus is found, those of two replicas under one series', async () => {
    const traces = new Map([...scene.replicas.keys()].map((name, index) => [name, String(index + 1).repeat(32)]))
    expect([...traces.keys()].sort()).to.deep.equal(['lyon-0', 'paris-0', 'paris-1'])
    for (const [name, trace] of traces) await pushExemplar(scene.replicas.get(name) ?? expect.fail(name), trace)
    const now = Math.floor(Date.now() / 1000)
    const page = `/api/v1/query_exemplars?${String(new URLSearchParams({query: TRACED, start: String(now - 600), end: String(now + 600)}))}`
    const found = async (): Promise<Readonly<Record<string, readonly string[]>>> => {
      const {data} = (await scene.get(page)) as ExemplarsAnswer
      return Object.fromEntries(
        data.map(({seriesLabels, exemplars}) => [
          `${seriesLabels['cluster'] ?? ''}/${seriesLabels['prometheus_replica'] ?? ''}`,
          exemplars.map(({labels}) => labels['trace_id'] ?? '').sort(),
        ]),
      )
    }
    const of = (name: string): string => traces.get(name) ?? ''
    const wanted = {'lyon/': [of('lyon-0')], 'paris/': [of('paris-0'), of('paris-1')].sort()}
    await until(scene.network, 'the exemplars', async () => isDeepStrictEqual(await found(), wanted), 60)
  })

  it('compression passes through: a sidecar answers as the caller asks', async () => {
    const session = http2.connect(`http://${renderHostPort(queryAddress(scene.network))}`)
    try {
      const headers = await new Promise<http2.IncomingHttpHeaders>((resolve, reject) => {
        session.once('error', reject)
        const stream = session.request({
          ':method': 'POST',
          ':path': '/thanos.info.Info/Info',
          ':authority': authority('paris', 0),
          'content-type': 'application/grpc',
          te: 'trailers',
          'grpc-encoding': 'snappy',
          'grpc-accept-encoding': 'snappy',
        })
        stream.once('error', reject).once('response', resolve).resume().end(frame(new Uint8Array()))
      })
      expect(headers['grpc-encoding']).to.equal('snappy')
    } finally {
      session.destroy()
    }
  })

  it('200 queries at the same time are answered', async () => {
    const answers = await Promise.all(
      Array.from({length: 200}, async () => queryInstant(scene.query, 'up{cluster="paris",prometheus_replica!=""}')),
    )
    expect(answers.map(series => series.length)).to.deep.equal(Array.from({length: 200}, () => 1))
  })

  it('replicas are added and removed under load: no query that another replica answers fails, and none answers in part', async () => {
    /** Thanos Query asks only replicas that may have such series, and answers with an error where one of them fails. */
    const whole = async (replica: string): Promise<void> => {
      const parameters = {query: `up{prometheus_replica="${replica}"}`, dedup: 'false', partial_response: 'false'}
      const answer = (await scene.get(`/api/v1/query?${String(new URLSearchParams(parameters))}`)) as QueryAnswer
      if (answer.data?.result?.length !== 1) throw new Error(`${replica}: ${JSON.stringify(answer)}`)
    }
    /** Asks all replicas. Those that come or go may be missing, and no other. */
    const every = async (): Promise<void> => {
      const replicas = await upOf('{prometheus_replica!=""}')
      for (const replica of ['lyon-0', 'paris-0']) if (!replicas.includes(replica)) throw new Error(`only ${replicas.join(', ')}`)
    }
    const running = startLoad([async () => whole('paris-0'), async () => whole('lyon-0'), every], 50)
    try {
      const has = async (replica: number): Promise<boolean> => `paris-thanos-sidecar${replica}` in (await endpoints())
      const statusOf = async (replica: number): Promise<number | undefined> =>
        (await calls(authority('paris', replica), healthCall('').path))[0]?.grpcStatus
      await scene.change('paris', {replicas: 1})
      await until(scene.network, 'the end of replica 1', async () => !(await has(1)), 60)
      // Nothing answers for the third one, as where its pod does not run yet.
      await scene.change('paris', {replicas: 3})
      await until(scene.network, 'replica 2', async () => (await statusOf(2)) === grpcCodes.unavailable, 60)
      await until(scene.network, 'an answer of replica 1', async () => (await upOf('{prometheus_replica="paris-1"}')).length === 1, 60)
      await scene.change('paris', {replicas: 2})
      await until(scene.network, 'the end of replica 2', async () => (await statusOf(2)) === grpcCodes.unimplemented, 60)
    } finally {
      const {requests, ...result} = await running.stop()
      expect(result).to.include({failures: 0, firstFailure: undefined})
      expect(requests).to.be.greaterThan(100)
    }
    await untilUnhealthy()
  })

  it('a killed sidecar is unhealthy in Thanos Query with the reason, and no other endpoint is', async () => {
    await scene.programs.get('paris-1-sidecar')?.kill()
    await untilUnhealthy('paris-thanos-sidecar1')
    // Until the next health check the reason is that the connection was refused.
    const reason = async (): Promise<string> => (await endpoints())['paris-thanos-sidecar1'] ?? ''
    await until(scene.network, 'the reason', async () => /Unavailable.*no healthy upstream/.test(await reason()), 60)
    await untilUnhealthy('paris-thanos-sidecar1')
    await untilUp('{cluster="paris",prometheus_replica!=""}', 'paris-0')
  })

  it('replicas come and go without the others', async () => {
    await scene.change('paris', {replicas: 1})
    await until(scene.network, 'the end of replica 1', async () => !('paris-thanos-sidecar1' in (await endpoints())), 60)
    await untilUnhealthy()
    await untilUp('{cluster="paris",prometheus_replica!=""}', 'paris-0')
  })

  it('a frozen sidecar, and a frozen downstream Envoy: the others answer within 15 seconds, and the endpoint is reported (D21)', async () => {
    for (const [name, pid] of [
      ['sidecar', scene.programs.get('lyon-0-sidecar')?.pid],
      ['Envoy', scene.network.member('lyon').envoy.pid()],
    ] as const) {
      if (pid === undefined) throw new Error(`there is no ${name}`)
      process.kill(pid, 'SIGSTOP')
      try {
        // Asked before any health check can have noticed: `--store.response-timeout=5s` ends the wait at the latest.
        const asked = performance.now()
        expect(await upOf('{prometheus_replica!=""}'), name).to.deep.equal(['paris-0'])
        expect(performance.now() - asked, `milliseconds with the frozen ${name}`).to.be.below(15_000)
        await untilUnhealthy('lyon-thanos-sidecar0')
        expect((await endpoints())['lyon-thanos-sidecar0']).to.match(/Unavailable|DeadlineExceeded|deadline/)
        expect(await upOf('{prometheus_replica!=""}'), name).to.deep.equal(['paris-0'])
      } finally {
        process.kill(pid, 'SIGCONT')
      }
      await until(scene.network, `${name} to be back`, async () => (await upOf('{cluster="lyon"}')).length === 1, 60)
    }
  })

  it('an answer of 200 MB passes', async () => {
    await scene.change('lyon', {targets: new Map([['large', {...scene.large, replicas: 1, health: 'grpc'}]])})
    const host = authority('lyon', 0, 'large')
    await until(scene.network, 'the target', async () => (await calls(host, healthCall('').path))[0]?.grpcStatus === 0, 60)
    const [reply] = await calls(host, '/thanos.Store/Series', 1, everySeries(), 200_000)
    expect(reply?.grpcStatus, reply?.grpcMessage).to.equal(0)
    expect(reply?.messages.reduce((sum, {length}) => sum + length, 0)).to.be.greaterThan(200_000_000)
  })
})

/** SeriesRequest {max_time: in an hour, matchers: [{type: RE, name: "__name__", value: ".+"}], skip_chunks: true}. */
function everySeries(): Uint8Array {
  const matcher = Buffer.concat([Buffer.from([8, 2]), bytes(2, '__name__'), bytes(3, '.+')])
  const maxTime = Buffer.from([0x10, ...varint(Date.now() + 3_600_000)])
  return Buffer.concat([maxTime, Buffer.from([0x1a, matcher.length]), matcher, Buffer.from([0x40, 1])])
}

/** A field of a protobuf message, with a text of less than 128 bytes. */
function bytes(field: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([field * 8 + 2, text.length]), Buffer.from(text)])
}

function varint(value: number): readonly number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
}
