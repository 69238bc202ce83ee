/** Requests reach each replica through both Envoys. */
import {expect} from 'chai'
import {callOnce, grpcCodes, openPlain} from '../../src/demo/lab/grpc.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import {thanosCall, visit} from '../helpers/http2.js'
import {oneCall} from './backend.js'
import {call, hostOf, queryAddress, until, untilReachable, whoAnswers} from './look.js'
import {sidecarPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: paths', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'lyon'], spare: 1})
    await untilReachable(network)
    await network.join('oslo', {replicas: 11})
    for (const replica of [0, 1, 2, 10])
      await until(network, `replica ${replica} of oslo`, async () => (await whoAnswers(network, 'oslo', replica)) === `oslo/${replica}`)
  })
  after(() => closeNetwork(network))

  it('reach each replica by its own name, and distinguish 1 from 10 (D20)', async () => {
    for (const replica of [0, 1, 10, 2]) expect(await whoAnswers(network, 'oslo', replica)).to.equal(`oslo/${replica}`)
    const {backends} = network.member('oslo')
    const counted = backends.map(backend => backend.requests())
    for (let time = 0; time < 5; time += 1) await call(network, 'oslo', 10)
    expect(backends.map((backend, replica) => backend.requests() - (counted[replica] ?? 0))).to.deep.equal([
      ...Array<number>(10).fill(0),
      5,
    ])
  })

  it('are refused for an unknown replica, cluster or name: UNIMPLEMENTED for gRPC, with the name, 404 for others', async () => {
    for (const host of [hostOf('oslo', 11), hostOf('oslo', 100), hostOf('nice'), hostOf('paris', 1), 'oslo', 'atlas-health', '192.0.2.1']) {
      const {grpcStatus, grpcMessage, status, headers} = await callOnce(openPlain(queryAddress(network)), oneCall(host))
      expect({host, grpcStatus, status}).to.deep.equal({host, grpcStatus: grpcCodes.unimplemented, status: 200})
      expect(grpcMessage).to.match(new RegExp(`^Atlas has no Thanos endpoint "${host}": .*atlas cluster show`))
      expect(headers['content-type']).to.equal('application/grpc')
      const other = await visit(queryAddress(network), {authority: host})
      expect({host, status: other.status, body: other.body}).to.deep.equal({host, status: 404, body: ''})
    }
  })

  it('repeat no more than the beginning of a long name', async () => {
    const {grpcMessage} = await callOnce(openPlain(queryAddress(network)), oneCall('a'.repeat(500)))
    expect(grpcMessage).to.include(`"${'a'.repeat(200)}"`)
  })

  it('are refused by the downstream Envoy for a name that it does not know yet, with the name', async () => {
    const fleet = await network.store.load()
    const {host, port, servername, ca} = sidecarPort(network, fleet, 'paris')
    const tls = {ca, servername, shows: identityIn(fleet, OBSERVABILITY)}
    const call = {...thanosCall, path: '/thanos.info.Info/Info', tls}
    const {status, headers} = await visit({host, port}, {...call, authority: hostOf('paris', 1)})
    expect({status, grpcStatus: headers['grpc-status']}).to.deep.equal({status: 200, grpcStatus: '12'})
    expect(headers['grpc-message']).to.match(
      new RegExp(`^The Envoy of this cluster has no Thanos endpoint "${hostOf('paris', 1)}" yet.*atlas status`),
    )
    const other = await visit({host, port}, {authority: hostOf('paris', 1), tls})
    expect({status: other.status, body: other.body}).to.deep.equal({status: 404, body: ''})
  })

  it('carry only gRPC to the services of Thanos, health and reflection; nothing is written to a cluster', async () => {
    const backend = network.member('paris').backends[0] ?? expect.fail('no backend')
    const before = backend.requests()
    const call = async (path: string) => callOnce(openPlain(queryAddress(network)), {...oneCall(hostOf('paris')), path})
    for (const path of ['/other.Service/Call', '/quitquitquit', '/thanos', '/grpc.channelz.v1.Channelz/GetServers'])
      expect(await call(path), path).to.include({
        grpcStatus: grpcCodes.unimplemented,
        grpcMessage: `Only gRPC calls of Thanos, health and reflection pass here, not ${path}.`,
      })
    expect((await call('/thanos.WriteableStore/RemoteWrite')).grpcStatus).to.equal(grpcCodes.permissionDenied)
    for (const path of ['/', '/config_dump', '/thanos.info.Info/Info', '/thanos./../config_dump'])
      expect((await visit(queryAddress(network), {authority: hostOf('paris'), path})).status, path).to.equal(404)
    expect(backend.requests(), 'what reached the backend').to.equal(before)
    for (const path of [
      '/grpc.health.v1.Health/Check',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      '/thanos.Store/Series',
    ])
      await call(path)
    expect(backend.requests() - before, 'calls of the services that pass').to.equal(3)
  })
})
