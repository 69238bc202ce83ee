/** How the downstream Envoy finds out that one Thanos endpoint is dead or frozen, and that a change of an endpoint fails no request. */
import {execFile} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {promisify} from 'node:util'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {NamedTarget} from '../../src/lib/model/cluster.js'
import {envoyNames, parseClusterName, sidecarName} from '../../src/lib/model/names.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {serveDnsRecords} from '../helpers/dns-server.js'
import {type GrpcReply, callOnce, grpcCodes, openPlain} from '../../src/demo/lab/grpc.js'
import {ANSWERED_BY, type Backend, oneCall, serveBackend} from './backend.js'
import {call, queryAddress, statOf, statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const run = promisify(execFile)

/** Milliseconds: four of the scene's check intervals; the time limit of these calls is 5 s and more. */
const AT_ONCE = 2000

describe('e2e: health of each Thanos endpoint', function () {
  this.timeout(240_000)
  let network: Network
  let block: string

  before(async () => {
    network = await openNetwork({clusters: [], spare: 2})
    block = network.spareAddress(0).replace(/\.200$/, '')
    await network.join('paris', {replicas: 2})
    await untilReachable(network)
    await untilSynced(network)
  })
  after(() => closeNetwork(network))

  async function serve(last: string, name: string): Promise<Backend> {
    const backend = await serveBackend({host: `${block}.${last}`, port: 10_901}, name)
    network.onClose(backend.close)
    return backend
  }

  async function register(name: string, target: Partial<NamedTarget>): Promise<void> {
    const targets = new Map([[name, {host: `${block}.120`, port: 10_901, replicas: 1, health: 'grpc' as const, ...target}]])
    await addCluster(network.store, 'paris', {request: {targets}, defaults: targetsOf(defaultStack)}, dependencies)
  }

  const host = (target: string): string => `${sidecarName(parseClusterName('paris'), 0, target)}.atlas.svc.cluster.local:10901`

  async function ask(target: string, timeoutMs = 20_000): Promise<GrpcReply> {
    return callOnce(openPlain(queryAddress(network)), oneCall(host(target), timeoutMs))
  }

  async function answerOf(target: string): Promise<string> {
    const {headers, grpcStatus} = await ask(target)
    return grpcStatus === 0 ? String(headers[ANSWERED_BY]) : `gRPC status ${grpcStatus ?? 'none'}`
  }

  /** The gRPC status of a call that must be answered within some milliseconds. */
  async function refusedWithin(milliseconds: number, make: () => Promise<GrpcReply>): Promise<number | undefined> {
    const begin = performance.now()
    const {grpcStatus} = await make()
    expect(performance.now() - begin, 'milliseconds').to.be.below(milliseconds)
    return grpcStatus
  }

  /** What the downstream Envoy counts for a target, on one page: failed checks, and whether it is healthy. */
  async function checksOf(target: string): Promise<{readonly failed: number; readonly healthy: number}> {
    const page = await network.member('paris').envoy.page(`/stats?filter=^cluster\\.${envoyNames.sidecar(0, target)}\\.`)
    const stat = (name: string): number => Number(new RegExp(`\\.${name}: (\\d+)$`, 'm').exec(page)?.[1] ?? NaN)
    return {failed: stat('health_check.failure'), healthy: stat('membership_healthy')}
  }

  it('a dead one is UNAVAILABLE at once, with the reason; the other replica, and the cluster, are as before', async () => {
    const [, second] = network.member('paris').backends
    await second?.close()
    // The first call comes before any health check can have noticed; both of its connections are refused.
    expect(await refusedWithin(AT_ONCE, async () => call(network, 'paris', 1))).to.equal(grpcCodes.unavailable)
    await until(network, 'replica 1 to be unhealthy', async () => (await call(network, 'paris', 1)).grpcMessage.includes('no healthy'))
    const {grpcStatus, grpcMessage} = await call(network, 'paris', 1)
    expect({grpcStatus, grpcMessage}).to.deep.equal({grpcStatus: grpcCodes.unavailable, grpcMessage: 'no healthy upstream'})
    expect(await refusedWithin(AT_ONCE, async () => call(network, 'paris', 1))).to.equal(grpcCodes.unavailable)
    expect(await whoAnswers(network, 'paris', 0)).to.equal('paris/0')
    expect(await statOf(network.observability, 'cluster.thanos/paris.membership_healthy')).to.equal(1)
  })

  it('the dead one is in no finding of `status`, and the command of docs/how-to/troubleshoot.md names it', async () => {
    expect((await statusIn(network)).findings).to.deep.equal([])
    const page = await readFile(new URL('../../docs/how-to/troubleshoot.md', import.meta.url), 'utf8')
    const [, command = ''] = /^## A sidecar does not answer\n[^#]*?```sh\n(.*?)```/ms.exec(page) ?? []
    expect(command).to.include('http://127.0.0.1:9902/')
    const {stdout} = await run('sh', ['-c', command.replace('127.0.0.1', network.member('paris').address)])
    expect(stdout.split('\n').filter(line => line.includes('"sidecar/'))).to.have.members([
      'envoy_cluster_membership_healthy{envoy_cluster_name="sidecar/0"} 1',
      'envoy_cluster_membership_healthy{envoy_cluster_name="sidecar/1"} 0',
      'envoy_cluster_membership_total{envoy_cluster_name="sidecar/0"} 1',
      'envoy_cluster_membership_total{envoy_cluster_name="sidecar/1"} 1',
    ])
  })

  it('a frozen one is UNAVAILABLE at once after two checks, and is back when it answers', async () => {
    const backend = await serve('120', 'ruler/0')
    await register('ruler', {})
    await until(network, 'the ruler', async () => (await answerOf('ruler')) === 'ruler/0')
    const {failed: before} = await checksOf('ruler')
    backend.freeze()
    const seen: {readonly failed: number; readonly healthy: number}[] = []
    await until(network, 'the end of the ruler by its checks', async () => {
      const {failed, healthy} = await checksOf('ruler')
      seen.push({failed: failed - before, healthy})
      return healthy === 0
    })
    for (const {failed, healthy} of seen) expect(healthy, `after ${failed} failed checks`).to.equal(failed < 2 ? 1 : 0)
    await until(network, 'the ruler to be unhealthy', async () => {
      const reply = await ask('ruler', 1000).catch(() => undefined)
      return reply?.grpcMessage === 'no healthy upstream'
    })
    expect(await refusedWithin(AT_ONCE, async () => ask('ruler'))).to.equal(grpcCodes.unavailable)
    expect(await whoAnswers(network, 'paris', 0)).to.equal('paris/0')
    backend.thaw()
    await until(network, 'the ruler again', async () => (await answerOf('ruler')) === 'ruler/0')
  })

  it('one without the health service is reached with health "tcp", and not with "grpc"', async () => {
    const backend = await serve('121', 'other/0')
    backend.freeze('checks')
    await register('other', {host: `${block}.121`, health: 'tcp'})
    await until(network, 'the target', async () => (await answerOf('other')) === 'other/0')
    await register('strict', {host: `${block}.121`})
    await until(network, 'an unhealthy target', async () => (await ask('strict')).grpcMessage === 'no healthy upstream')
  })

  it('of two addresses behind one name the living one answers every call, from the death of the other on (thanos#6810)', async () => {
    const lyon = parseClusterName('lyon')
    const name = 'stores.test.internal'
    const nameServer = {host: network.spareAddress(0), port: 1053}
    const dns = await serveDnsRecords(nameServer)
    network.onClose(async () => {
      dns.close()
    })
    dns.set(name, {A: {addresses: ['130', '131'].map(last => `${block}.${last}`), ttl: 60}})
    const [living, dying] = [await serve('130', 'living'), await serve('131', 'dying')]
    const {addresses = []} = network.requestFor(lyon)
    const targets = new Map([['stores', {host: name, port: 10_901, replicas: 1, health: 'grpc' as const}]])
    const request = {addresses, replicas: 0, targets}
    await addCluster(network.store, lyon, {request, defaults: targetsOf(defaultStack)}, dependencies)
    const envoy = await network.makeEnvoy(lyon, {address: addresses[0]?.host ?? '', nameServer})
    await envoy.start()
    const authority = `${sidecarName(lyon, 0, 'stores')}.atlas.svc.cluster.local:10901`
    const answer = async (): Promise<string> => {
      const {headers, grpcStatus, grpcMessage} = await callOnce(openPlain(queryAddress(network)), oneCall(authority, 20_000))
      return grpcStatus === 0 ? String(headers[ANSWERED_BY]) : `gRPC status ${grpcStatus ?? 'none'}: ${grpcMessage}`
    }
    const first = new Set<string>()
    await until(network, 'both addresses', async () => first.add(await answer()).has('living') && first.has('dying'))

    const healthy = async (): Promise<string> =>
      envoy.page(`/stats?filter=^cluster\\.${envoyNames.sidecar(0, 'stores')}\\.membership_healthy`)
    await until(network, 'two healthy ones', async () => /: 2$/m.test(await healthy()))
    await dying.close()
    const before = living.requests()
    let calls = 0
    await until(network, 'the dead one to be found out', async () => {
      expect(await answer()).to.equal('living')
      calls += 1
      return /: 1$/m.test(await healthy())
    })
    for (let call = 0; call < 20; call += 1) expect(await answer()).to.equal('living')
    expect(living.requests() - before).to.equal(calls + 20)
  })

  it('an endpoint that moves to another address fails no request, and a new one answers with its first check', async () => {
    await serve('122', 'moving/0')
    await serve('123', 'moving/1')
    await register('moving', {host: `${block}.122`})
    await until(network, 'the target', async () => (await answerOf('moving')) === 'moving/0')
    const answers = new Set<string>()
    const asking = (async () => {
      while (!answers.has('moving/1')) answers.add(await answerOf('moving'))
    })()
    await until(network, 'the old address', () => answers.has('moving/0'))
    await register('moving', {host: `${block}.123`})
    await until(network, 'the new address', () => answers.has('moving/1'))
    await asking
    expect([...answers]).to.deep.equal(['moving/0', 'moving/1'])
  })
})
