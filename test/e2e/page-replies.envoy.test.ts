/** What Envoys answer themselves at the ports of web pages: no page, no server behind it, no Envoy, no Atlas server; and that gRPC is answered as before. */
import http2 from 'node:http2'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {type RecordingServer, ask, serveRecording} from '../helpers/http1.js'
import {statusOn} from '../helpers/http2.js'
import {call, until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const DOMAIN = 'web.example'
const HTML = {accept: 'text/html,application/xhtml+xml,*/*;q=0.8'}

describe('e2e: replies of Envoys in place of a web page', function () {
  this.timeout(240_000)
  let network: Network
  let pages: HostPort
  let prometheus: RecordingServer

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'lyon'], settings: {webDomain: DOMAIN, pagesByPath: true}})
    pages = {host: network.address, port: 10_904}
    const at = {host: network.spareAddress(0), port: 9090}
    prometheus = await serveRecording(at, 'prometheus')
    network.onClose(prometheus.close)
    const request = {services: {prometheus: at}, pages: {allowLocalTargets: true}}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    await untilReachable(network)
    await until(network, 'the page', async () => (await ask(pages, '/prom/paris/')).body === 'prometheus')
    await until(network, 'the start page', async () => (await ask(pages, '/')).status === 200)
  })
  after(() => closeNetwork(network))

  /** The reply to a browser and to any other client. Both say the same. */
  async function replies(
    path: string,
    expected: {readonly status: number; readonly says: string},
    at = pages,
    host = 'x',
  ): Promise<{readonly html: string; readonly text: string}> {
    const plain = await ask(at, path, {headers: {host, accept: '*/*'}})
    expect(plain.status, path).to.equal(expected.status)
    expect(plain.headers['content-type'], path).to.equal('text/plain; charset=utf-8')
    expect(plain.body.split('\n')[0]).to.equal(expected.says)
    const html = await ask(at, path, {headers: {host, ...HTML}})
    expect(html.status, path).to.equal(expected.status)
    expect(html.headers).to.include({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none', frame-ancestors 'self'",
    })
    expect(html.body).to.include(`<h1>${expected.says}</h1>`)
    return {html: html.body, text: plain.body}
  }

  it('no page: says why, and leads to the start page', async () => {
    const noPage = {status: 404, says: 'There is no page at this address.'}
    for (const path of ['/prom/nowhere/', '/nothing', '/prom/paris<script>/']) {
      const {html, text} = await replies(path, noPage)
      expect(html).to.include(`<a href="//${DOMAIN}/">`).and.include('<a href="/">').and.not.include('script')
      expect(startPagesIn(text)).to.deep.equal([`//${DOMAIN}/`, '/'])
    }

    const elsewhere = await replies('/prom/paris/', noPage, {...pages, port: 10_902})
    expect(elsewhere.html, '10902 has no start page').to.include(`<a href="//${DOMAIN}/">`).and.not.include('href="/"')
    expect(startPagesIn(elsewhere.text)).to.deep.equal([`//${DOMAIN}/`])
  })

  it('no page: the start page is named with the port of the request, for browsers and as text', async () => {
    const nowhere = `nowhere.prom.${DOMAIN}`
    for (const [path, host, port] of [
      ['/', nowhere, ''],
      ['/', `${nowhere}:8443`, ':8443'],
      ['/nothing', 'x:10904', ':10904'],
    ] as const) {
      const {html, text} = await replies(path, {status: 404, says: 'There is no page at this address.'}, pages, host)
      expect(html, host).to.include(`<a href="//${DOMAIN}${port}/">Start page //${DOMAIN}${port}/</a>`)
      expect(startPagesIn(text), host).to.deep.equal([`//${DOMAIN}${port}/`, '/'])
    }
  })

  it('no such replica', async () => {
    await replies('/prom/paris/7/', {status: 404, says: 'There is no such replica.'})
  })

  it('more requests at a time than a connection takes wait at the client, and none of them is refused', async () => {
    const session = http2.connect(`http://${pages.host}:${pages.port}`)
    session.on('error', () => undefined)
    const statuses = async (count: number): Promise<ReadonlySet<number>> =>
      new Set(await Promise.all(Array.from({length: count}, async () => statusOn(session, '/prom/paris/'))))
    expect([...(await statuses(1))]).to.deep.equal([200])
    const limit = session.remoteSettings.maxConcurrentStreams ?? 0
    expect(limit).to.equal(1024)
    expect([...(await statuses(limit + 100))]).to.deep.equal([200])
    session.destroy()
    for (const [envoy, clusters] of [
      [network.observability, ['page/prom/paris', 'page/alertmanager/paris', 'page/thanos/paris']],
      [network.member('paris').envoy, ['page/prom', 'page/alertmanager', 'page/thanos']],
    ] as const) {
      const text = await envoy.page('/clusters')
      for (const cluster of clusters)
        for (const breaker of ['max_connections::10000', 'max_pending_requests::100000', 'max_requests::100000'])
          expect(text).to.include(`${cluster}::default_priority::${breaker}`)
    }
  })

  it('a path that is denied: says which annotation allows it', async () => {
    const {status, body} = await ask(pages, '/prom/paris/-/quit', {method: 'POST', headers: HTML})
    expect({status, body}).to.deep.equal({
      status: 403,
      body: 'Atlas does not pass this path on; the registration allows it with goatlas.io/allow-admin: "true".\n',
    })
  })

  it('no server behind the Envoy of the cluster', async () => {
    await prometheus.close()
    const {html} = await replies('/prom/paris/', {status: 503, says: 'The Prometheus behind this page does not answer.'})
    expect(html)
      .to.include('<code>atlas cluster show</code>')
      .and.match(/\(U[A-Z]+(,[A-Z]+)*\)/)
    expect(html, 'no address').to.not.match(/127\.|9090/)
  })

  it('no Envoy of the cluster, while gRPC calls get the answer that they got before', async () => {
    await network.member('lyon').envoy.kill()
    await replies('/prom/lyon/', {status: 503, says: 'The Envoy of this cluster does not answer.'})
    await until(network, 'the call to fail', async () => (await call(network, 'lyon')).grpcStatus === 14)
    const {headers, grpcStatus} = await call(network, 'nowhere')
    expect({grpcStatus, type: headers['content-type']}).to.deep.equal({grpcStatus: 12, type: 'application/grpc'})
    expect(headers).to.not.have.property('content-security-policy')
  })

  it('no Atlas server', async () => {
    await network.server().stop()
    await replies('/', {status: 503, says: 'The Atlas server does not answer.'})
  })
})

function startPagesIn(text: string): readonly string[] {
  return [...text.matchAll(/^Start page: (.*)$/gm)].map(([, address = '']) => address)
}
