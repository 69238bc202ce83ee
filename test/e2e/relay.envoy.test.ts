/** Refused and reset ADS streams, however many, do not end the connection between the relay and the server, which carries the whole fleet. */
import {once} from 'node:events'
import {type ClientHttp2Session, type IncomingHttpHeaders, connect, constants} from 'node:http2'
import {create, toBinary} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {credentialIn} from '../../src/demo/lab/certificates.js'
import {frame} from '../../src/demo/lab/grpc.js'
import {tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {DeltaDiscoveryRequestSchema} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {proxyIn, statOf, until, untilReachable, untilSynced} from './look.js'
import {type EnvoyPort, adsPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Clusters whose credentials attack; 10900 lets 256 openings of each through at once, and Node's HTTP/2 server would end the connection at 1,000 resets. */
const attackers = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const OPENINGS = 250
/** The server answers most refused openings up to 5 s later: others go on meanwhile, on connections of few streams as 10900 allows. */
const [CONNECTIONS, AT_A_TIME] = [6, 8]

/** A stream meets the end of so many connections at most. */
const TRIES = 20

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const RESOURCE_EXHAUSTED = '8'

describe('e2e: the connection between relay and server', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['lyon'], spare: attackers.length})
    await untilReachable(network)
    for (const name of attackers) await network.register(name)
    await untilSynced(network)
  })
  after(() => closeNetwork(network))

  it('outlives 1,750 refused and reset streams, and 1,400 openings of one credential; the streams of other clusters go on', async () => {
    const fleet = await network.store.load()
    const target = adsPort(network, fleet)
    const before = await connections()
    const since = (await proxyIn(network, 'lyon'))?.connectedSince
    const outcomes = await Promise.all(attackers.map(async name => attack(target, name, OPENINGS)))
    const passed = outcomes.flat().filter(outcome => outcome !== RESOURCE_EXHAUSTED)
    expect(passed.length, 'streams that reached the server').to.be.greaterThan(1500)
    const eager = await attack(target, 'a', 1400)
    expect(eager.filter(outcome => outcome === RESOURCE_EXHAUSTED).length, 'openings that 10900 refused').to.be.greaterThan(1000)

    expect(await connections()).to.deep.equal(before)
    expect((await proxyIn(network, 'lyon'))?.connectedSince).to.equal(since)
    await network.register('lyon', {replicas: 2})
    await until(network, 'a change to reach lyon', async () => (await network.member('lyon').envoy.page('/clusters')).includes('sidecar/1'))
  })

  /** Connections to the server so far, and how many of them the server asked to leave. */
  async function connections(): Promise<readonly number[]> {
    const names = ['upstream_cx_total', 'upstream_cx_destroy', 'upstream_cx_close_notify']
    return Promise.all(names.map(async name => statOf(network.observability, `cluster.ads-servers.${name}`)))
  }

  /**
   * Opens streams with the credential of cluster `name`: half of them as a node of another cluster, which the server refuses, half of them
   * reset by the client. @returns how each ended
   */
  async function attack(target: EnvoyPort, name: string, count: number): Promise<readonly string[]> {
    const certificate = credentialIn(await network.store.load(), parseClusterName(name))
    const open = (): ClientHttp2Session => connect(`https://${target.host}:${target.port}`, tlsOptions(target, {certificate}))
    const sessions = Array.from({length: CONNECTIONS}, open)
    const outcomes: string[] = []
    let opened = 0
    // A refused client is asked to connect again (GOAWAY): it does, as an Envoy would.
    const usable = async (place: number): Promise<ClientHttp2Session> => {
      const session = sessions[place]
      if (session !== undefined && !session.closed && !session.destroyed) return session
      const next = open()
      sessions[place] = next
      await once(next, 'connect')
      return next
    }
    /** A stream that meets the end of its connection was not processed (RFC 9113, 6.8): it is opened again, on the next connection, which may end as well. */
    const untilProcessed = async (place: number, isReset: boolean): Promise<string> => {
      for (let tries = 1; ; tries += 1)
        try {
          return await openOne(await usable(place), target, {isReset})
        } catch (error) {
          if (tries === TRIES) throw error
        }
    }
    const openSome = async (place: number): Promise<void> => {
      while (opened < count) {
        opened += 1
        const isReset = opened % 2 === 0
        outcomes.push(await untilProcessed(place, isReset))
      }
    }

    try {
      await Promise.all(sessions.map(async session => once(session, 'connect')))
      await Promise.all(sessions.flatMap((_, place) => Array.from({length: AT_A_TIME}, async () => openSome(place))))
      return outcomes
    } finally {
      for (const session of sessions) session.destroy()
    }
  }
})

const request = create(DeltaDiscoveryRequestSchema, {node: {cluster: 'lyon', id: 'stolen'}, typeUrl: typeUrls.cluster})

async function openOne(session: ClientHttp2Session, {servername}: EnvoyPort, {isReset}: {readonly isReset: boolean}): Promise<string> {
  const stream = session.request({
    ':method': 'POST',
    ':path': METHOD,
    ':authority': servername,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  let status = 'none'
  for (const event of ['response', 'trailers'])
    stream.on(event, (headers: IncomingHttpHeaders) => (status = headers['grpc-status']?.toString() ?? status))
  let refused: Error | undefined
  stream.on('error', (error: NodeJS.ErrnoException) => (refused = error.code === 'ERR_HTTP2_STREAM_ERROR' ? error : refused)).resume()
  stream.write(frame(toBinary(DeltaDiscoveryRequestSchema, request)))
  if (isReset) setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 5)
  await new Promise<void>(resolve => void stream.once('close', resolve))
  if (refused !== undefined && status === 'none' && !isReset) throw refused
  return status
}
