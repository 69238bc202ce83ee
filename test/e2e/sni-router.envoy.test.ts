/**
 * Several downstream clusters behind one address and port: a third real Envoy that routes by the TLS server name and passes TLS through, which
 * is what implementations of Gateway API's TLSRoute program.
 */
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {parseClusterName, sni} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {envoyProgram} from '../helpers/envoy-program.js'
import {ask, serveRecording} from '../helpers/http1.js'
import {inSteps} from '../helpers/steps.js'
import {call, until, untilReachable, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const names = ['paris', 'lyon'] as const
/** The port of the router, by the port of the downstream Envoys that it leads to. */
const routed = {11_901: 8443, 11_904: 8444} as const

describe('e2e: an SNI router in front of downstream Envoys', function () {
  this.timeout(240_000)
  inSteps()
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: names, settings: {webDomain: 'web.example', pagesByPath: true}})
    await untilReachable(network)
    await startRouter(network.spareAddress(0), name => name)
    await startRouter(network.spareAddress(1), name => (name === 'paris' ? 'lyon' : 'paris'))
    for (const [index, name] of names.entries()) {
      const page = await serveRecording({host: network.spareAddress(index).replace(/200$/, '100'), port: 9090}, `the page of ${name}`)
      network.onClose(page.close)
      await leadThrough(name, network.spareAddress(0), {host: network.spareAddress(index).replace(/200$/, '100'), port: 9090})
    }
  })
  after(() => closeNetwork(network))

  async function startRouter(address: string, to: (name: (typeof names)[number]) => string): Promise<void> {
    const file = path.join(network.folder, `router-${address}.json`)
    await writeFile(file, JSON.stringify(routerOf(address, name => network.member(to(name)).address)))
    const args = ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'warning']
    await network.startProcess({name: `router-${address}`, program: await envoyProgram(), args})
  }

  async function leadThrough(name: string, address: string, prometheus?: {host: string; port: number}): Promise<void> {
    const ports = new Map(Object.entries(routed).map(([from, to]) => [Number(from) as keyof typeof routed, to]))
    const request = {
      ...{addresses: parseAddresses(address), ports, pages: {allowLocalTargets: true}},
      ...(prometheus !== undefined && {services: {prometheus}}),
    }
    await addCluster(network.store, name, {request, defaults: targetsOf(defaultStack)}, dependencies)
  }

  const clusters = async (): Promise<string> => network.observability.page('/clusters')
  const pageOf = async (name: string): Promise<string> => (await ask({host: network.address, port: 10_904}, `/prom/${name}/`)).body

  it('leads to each by its name, for Thanos and for pages, and the health checks of both pass', async () => {
    for (const name of names) {
      const host = `${network.spareAddress(0)}:8443`
      await until(network, `${name} through the router`, async () =>
        (await clusters()).includes(`thanos/${name}::${host}::health_flags::healthy`),
      )
      await until(network, `an answer of ${name}`, async () => (await whoAnswers(network, name)) === `${name}/0`)
      await until(network, `the page of ${name}`, async () => (await pageOf(name)) === `the page of ${name}`)
    }
  })

  it('an Envoy that dies behind it is unhealthy, and the other one is not', async () => {
    const {envoy} = network.member('paris')
    await envoy.kill()
    await until(network, 'paris to be unhealthy', async () => (await call(network, 'paris')).grpcMessage === 'no healthy upstream')
    expect(await whoAnswers(network, 'lyon')).to.equal('lyon/0')
    await envoy.start()
    await until(network, 'paris again', async () => (await whoAnswers(network, 'paris')) === 'paris/0')
  })

  it('one that leads to the wrong cluster gets no request: the certificate has another name', async () => {
    await leadThrough('paris', network.spareAddress(1))
    await until(network, 'paris to be unavailable', async () => (await whoAnswers(network, 'paris')) === 'gRPC status 14')
    const {backends} = network.member('lyon')
    const before = backends[0]?.requests()
    for (let turn = 0; turn < 5; turn += 1) expect(await whoAnswers(network, 'paris')).to.equal('gRPC status 14')
    expect(backends[0]?.requests()).to.equal(before)
    await until(network, 'the page of paris to be unavailable', async () => !(await pageOf('paris')).includes('the page of'))
    await leadThrough('paris', network.spareAddress(0))
    await until(network, 'paris again', async () => (await whoAnswers(network, 'paris')) === 'paris/0')
  })

  it('a removed cluster is cut off behind it, and the other one is not', async () => {
    await removeCluster(network.store, parseClusterName('paris'), dependencies)
    await until(network, 'the end of paris', async () => !(await clusters()).includes('thanos/paris::'))
    expect(await whoAnswers(network, 'paris')).to.match(/^gRPC status (12|14)$/)
    expect(await whoAnswers(network, 'lyon')).to.equal('lyon/0')
    expect(await pageOf('lyon')).to.equal('the page of lyon')
  })
})

/** A bootstrap: a listener for each routed port, with a chain for each server name that passes the bytes on. */
function routerOf(address: string, to: (name: (typeof names)[number]) => string): object {
  const ports = Object.entries(routed)
  const at = (host: string, port: number): object => ({socket_address: {address: host, port_value: port}})
  return {
    static_resources: {
      listeners: ports.map(([port, listened]) => ({
        name: port,
        address: at(address, listened),
        listener_filters: [typed('envoy.filters.listener.tls_inspector', 'listener.tls_inspector.v3.TlsInspector')],
        filter_chains: names.map(name => ({
          filter_chain_match: {server_names: [sni.downstream(defaultSettings.trustDomain, parseClusterName(name))]},
          filters: [
            typed('envoy.filters.network.tcp_proxy', 'network.tcp_proxy.v3.TcpProxy', {stat_prefix: name, cluster: `${name}-${port}`}),
          ],
        })),
      })),
      clusters: ports.flatMap(([port]) =>
        names.map(name => ({
          name: `${name}-${port}`,
          connect_timeout: '1s',
          load_assignment: {
            cluster_name: `${name}-${port}`,
            endpoints: [{lb_endpoints: [{endpoint: {address: at(to(name), Number(port))}}]}],
          },
        })),
      ),
    },
  }
}

function typed(name: string, type: string, fields: object = {}): object {
  return {name, typed_config: {'@type': `type.googleapis.com/envoy.extensions.filters.${type}`, ...fields}}
}
