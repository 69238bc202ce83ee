/** Web pages of clusters whose names look like another's replica, and a page that answers later than Envoy's own limit of 15 s. */
import http from 'node:http'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {ask, serveRecording} from '../helpers/http1.js'
import {until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const DOMAIN = 'web.example'
const SLOW_MS = 17_000

describe('e2e: pages of clusters with names like those of replicas', function () {
  this.timeout(240_000)
  let network: Network
  let slow: Promise<{readonly status: number; readonly body: string; readonly ms: number}>

  const get = async (path: string, host = 'x') => ask({host: network.address, port: 10_904}, path, {headers: {host}})

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'paris-0', 'a--0'], settings: {webDomain: DOMAIN, pagesByPath: true}})
    for (const [index, name] of ['paris', 'paris-0', 'a--0'].entries()) {
      const block = network.spareAddress(0).replace(/\.200$/, '')
      const replicas = name === 'paris' ? 2 : 1
      for (let replica = 0; replica < replicas; replica += 1) {
        const server = await serveRecording({host: `${block}.1${index}${replica}`, port: 9090}, `${name}/${replica}`)
        network.onClose(server.close)
      }

      const services = {prometheus: {host: `${block}.1${index}{replica}`, port: 9090}}
      const request = {services, replicas, pages: {allowLocalTargets: true}}
      await addCluster(network.store, name, {request, defaults: targetsOf(defaultStack)}, dependencies)
    }

    await serveSlowly()
    await untilReachable(network)
    for (const name of ['paris', 'paris-0', 'a--0'])
      await until(network, `the page of ${name}`, async () => (await get(`/prom/${name}/`)).body === `${name}/0`)
    await until(network, 'the slow page', async () => (await get('/alertmanager/a--0/soon')).body === 'soon')
    slow = askSlowly('/alertmanager/a--0/slow')
  })
  after(() => closeNetwork(network))

  /** The Alertmanager of a--0: `/slow` takes longer than Envoy waits for a route by default. */
  async function serveSlowly(): Promise<void> {
    const host = network.spareAddress(0)
    const server = http.createServer((request, response) => {
      if (request.url === '/soon') response.end('soon')
      else setTimeout(() => response.end('slow'), SLOW_MS)
    })
    await new Promise<void>(resolve => server.listen(9093, host, resolve))
    network.onClose(() => {
      server.closeAllConnections()
      server.close()
    })
    const request = {services: {alertmanager: {host, port: 9093}}}
    await addCluster(network.store, 'a--0', {request, defaults: targetsOf(defaultStack)}, dependencies)
  }

  async function askSlowly(path: string): Promise<{status: number; body: string; ms: number}> {
    const begun = Date.now()
    return new Promise((resolve, reject) => {
      http
        .get({host: network.address, port: 10_904, path, agent: false}, response => {
          let body = ''
          response.on('data', (chunk: Buffer) => (body += chunk.toString()))
          response.once('end', () => {
            resolve({status: response.statusCode ?? 0, body, ms: Date.now() - begun})
          })
        })
        .once('error', reject)
    })
  }

  it('are those of the cluster that is named, by path', async () => {
    for (const [path, body] of [
      ['/prom/paris/', 'paris/0'],
      ['/prom/paris/0/', 'paris/0'],
      ['/prom/paris/1/', 'paris/1'],
      ['/prom/paris-0/', 'paris-0/0'],
      ['/prom/a--0/', 'a--0/0'],
    ] as const)
      expect(await get(path), path).to.deep.include({status: 200, body})
    // Behind one address for all replicas there would be no page of a replica; here each has its own.
    expect((await get('/prom/paris-0/0/')).body).to.equal('paris-0/0')
    for (const path of ['/prom/paris-1/', '/prom/paris-0/1/', '/prom/a--1/', '/prom/a-/0/', '/prom/a/'])
      expect((await get(path)).status, path).to.equal(404)
  })

  it('are those of the cluster that is named, by host name', async () => {
    for (const [name, path, body] of [
      ['paris', '/', 'paris/0'],
      ['paris', '/0/', 'paris/0'],
      ['paris', '/1/', 'paris/1'],
      ['paris-0', '/', 'paris-0/0'],
      ['paris-0', '/0/', 'paris-0/0'],
      ['a--0', '/', 'a--0/0'],
    ] as const)
      expect(await get(path, `${name}.prom.${DOMAIN}`), name + path).to.deep.include({status: 200, body})
    for (const [name, path] of [
      ['paris-1', '/'],
      ['a', '/'],
      ['a-', '/'],
      ['a--0', '/1/'],
    ] as const)
      expect((await get(path, `${name}.prom.${DOMAIN}`)).status, name + path).to.equal(404)
  })

  it('may take longer than 15 s', async () => {
    const {status, body, ms} = await slow
    expect({status, body}).to.deep.equal({status: 200, body: 'slow'})
    expect(ms).to.be.at.least(SLOW_MS - 100)
  })
})
