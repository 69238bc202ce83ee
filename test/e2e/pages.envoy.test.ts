/** Web pages through both Envoys, with recording servers behind them: prefixes, host names, replicas, denials, headers, redirects. */
import http2 from 'node:http2'
import {expect} from 'chai'
import {tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {type PageKind, pageKinds, parseClusterName} from '../../src/lib/model/names.js'
import {defaultPages, pagePorts} from '../../src/lib/model/page.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {type ClusterRequest, addCluster} from '../../src/lib/ops/cluster/add.js'
import {type PageAnswer, type PageRequest, type RecordingServer, ask, connect, serveRecording} from '../helpers/http1.js'
import {statusOn} from '../helpers/http2.js'
import {spellings as pathSpellings} from '../helpers/path-spellings.js'
import {everyPort} from './every-port.js'
import {until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const DOMAIN = 'web.example'

/** Every kind of page at every port that has it: port, prefix, the server behind it. */
const everyPage = [
  [10_904, '/prom/paris', 'prom0'],
  [10_904, '/alertmanager/paris', 'alertmanager'],
  [10_904, '/thanos/paris', 'sidecar'],
  [10_902, '/thanos/paris', 'sidecar'],
] as const

describe('e2e: web pages', function () {
  this.timeout(240_000)
  let network: Network
  let pages: HostPort
  const servers: Record<'alertmanager' | 'prom0' | 'prom1' | 'sidecar', RecordingServer> = {} as typeof servers

  const get = (path: string, request?: PageRequest): Promise<PageAnswer> => ask(pages, path, request)
  const last = (server: RecordingServer) => server.requests.at(-1) ?? {method: 'none', path: 'none', headers: {}}

  before(async () => {
    network = await openNetwork({clusters: ['paris'], settings: {webDomain: DOMAIN, pagesByPath: true}})
    pages = {host: network.address, port: 10_904}
    const block = network.spareAddress(0).replace(/\.200$/, '')
    for (const [name, at] of Object.entries({
      prom0: {host: `${block}.100`, port: 9090},
      prom1: {host: `${block}.101`, port: 9090},
      alertmanager: {host: `${block}.102`, port: 9093},
      sidecar: {host: `${block}.10`, port: 10_902},
    })) {
      const server = await serveRecording(at, name)
      servers[name as keyof typeof servers] = server
      network.onClose(server.close)
    }

    await change({
      ...sidecars(),
      services: {
        ...sidecars().services,
        prometheus: {host: `${block}.10{replica}`, port: 9090},
        alertmanager: {host: `${block}.102`, port: 9093},
      },
      pages: {allowLocalTargets: true},
      replicas: 2,
    })
    await untilReachable(network)
    await until(network, 'the pages', async () => (await get('/prom/paris/')).body === 'prom0')
    await until(network, 'the page of replica 1', async () => (await get('/prom/paris/1/')).body === 'prom1')
    await until(network, 'the page of Alertmanager', async () => (await get('/alertmanager/paris/')).body === 'alertmanager')
  })
  after(() => closeNetwork(network))

  function sidecars(): ClusterRequest {
    return {services: {thanos: {host: `${network.spareAddress(0).replace(/\.200$/, '')}.1{replica}`, port: 10_901}}}
  }

  async function change(request: ClusterRequest): Promise<void> {
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
  }

  it('are found by path, each replica by its number, and by host name with any port', async () => {
    const found: readonly [string, string, string, string][] = [
      // path, host, server, path at the server
      ['/prom/paris/query?g0.expr=up%20%2F%201', 'x', 'prom0', '/query?g0.expr=up%20%2F%201'],
      ['/prom/paris/0/', 'x', 'prom0', '/'],
      ['/prom/paris/1/a/b', 'x', 'prom1', '/a/b'],
      ['/alertmanager/paris/', 'x', 'alertmanager', '/'],
      ['/thanos/paris/metrics', 'x', 'sidecar', '/metrics'],
      ['/graph', `paris.prom.${DOMAIN}`, 'prom0', '/graph'],
      ['/1/graph', `paris.prom.${DOMAIN}:8443`, 'prom1', '/graph'],
      ['/', `paris.alertmanager.${DOMAIN}:1`, 'alertmanager', '/'],
      ['/', `paris.thanos.${DOMAIN}`, 'sidecar', '/'],
    ]
    for (const [path, host, server, arrived] of found) {
      const {status, body} = await get(path, {headers: {host}})
      expect({status, body}, `${host}${path}`).to.deep.equal({status: 200, body: server})
      expect(last(servers[server as keyof typeof servers]).path, path).to.equal(arrived)
    }
  })

  it('are not found by any other path or name', async () => {
    const missing: readonly [string, string][] = [
      ['/prom/lyon/', 'x'],
      ['/prom/paris/2/', 'x'],
      ['/prom/', 'x'],
      ['/Prom/paris/', 'x'],
      ['/prom/paris;a/', 'x'],
      ['/page/prom/paris/', 'x'],
      [`/host/-/`, 'x'],
      [`/host/paris.prom.${DOMAIN}/`, 'x'],
      ['/', `lyon.prom.${DOMAIN}`],
      ['/graph', `paris.prom.${DOMAIN}.evil.example`],
      ['/graph', `paris.web.${DOMAIN}`],
      ['/prom/paris/', `paris.prom.${DOMAIN}`.replace('paris', 'nobody')],
    ]
    for (const [path, host] of missing) {
      const headers = {host, 'x-atlas-page': '/prom/paris', 'x-atlas-page-host': `paris.prom.${DOMAIN}`}
      expect((await get(path, {headers})).status, `${host}${path}`).to.equal(404)
    }
  })

  it('get a slash at the end of their prefix, and keep the query', async () => {
    for (const [path, location] of [
      ['/prom/paris', '/prom/paris/'],
      ['/prom/paris?x=1&y', '/prom/paris/?x=1&y'],
      ['/prom/paris/1', '/prom/paris/1/'],
    ] as const) {
      const {status, headers} = await get(path)
      expect({status, location: headers.location}).to.deep.equal({status: 302, location})
    }

    expect((await get('/1', {headers: {host: `paris.prom.${DOMAIN}`}})).headers.location).to.equal('/1/')
  })

  it('10902 has the pages of Thanos alone', async () => {
    const thanos = {...pages, port: 10_902}
    expect((await ask(thanos, '/thanos/paris/')).body).to.equal('sidecar')
    expect((await ask(thanos, '/', {headers: {host: `paris.thanos.${DOMAIN}`}})).body).to.equal('sidecar')
    for (const [path, host] of [
      ['/prom/paris/', 'x'],
      ['/alertmanager/paris/', 'x'],
      ['/', 'x'],
      ['/', `paris.prom.${DOMAIN}`],
      ['/thanos/../prom/paris/', 'x'],
    ] as const)
      expect((await ask(thanos, path, {headers: {host}})).status, `${host}${path}`).to.equal(404)
  })

  it('get no header of a login, and what they ask for arrives', async () => {
    const secret = {cookie: 'session=1', authorization: 'Bearer x', 'proxy-authorization': 'Basic x'}
    const identity = {'x-forwarded-email': 'a@b', 'x-auth-request-user': 'a', 'x-forwarded-user': 'a', 'x-id-token': 't'}
    const steering = {
      'x-forwarded-prefix': '//evil',
      'x-forwarded-host': 'evil',
      'x-forwarded-for': '203.0.113.9',
      'x-envoy-upstream-rq-timeout-ms': '1',
      origin: 'http://x',
    }
    const wanted = {
      accept: 'a/b',
      'accept-encoding': 'gzip',
      'accept-language': 'de',
      'cache-control': 'no-cache',
      'content-type': 'application/x-www-form-urlencoded',
      'content-language': 'de',
      'if-match': '"2"',
      'if-modified-since': 'Sat, 29 Oct 1994 19:43:31 GMT',
      'if-none-match': '"1"',
      'if-range': '"3"',
      'if-unmodified-since': 'Sat, 29 Oct 1994 19:43:31 GMT',
      range: 'bytes=0-1',
      'user-agent': 'test',
      'x-requested-with': 'XMLHttpRequest',
    }
    const request = {
      method: 'POST',
      headers: {...secret, ...identity, ...steering, ...wanted, 'x-custom': '1', host: 'door'},
      body: 'query=up',
    }
    for (const [port, prefix, server] of everyPage) {
      expect((await ask({...pages, port}, `${prefix}/api/v1/query`, request)).status, `${port}${prefix}`).to.equal(200)
      const {headers} = last(servers[server])
      expect(headers).to.include({...wanted, 'content-length': '8', 'x-forwarded-prefix': prefix})
      const rest = Object.keys(headers).filter(name => !(name in wanted) && name !== 'content-length')
      const ofEnvoy = ['x-envoy-external-address', 'x-envoy-original-host', 'x-forwarded-for', 'x-forwarded-proto', 'x-request-id']
      expect(rest, `${port}${prefix}`).to.have.members(['host', 'x-forwarded-prefix', ...ofEnvoy])
      expect(JSON.stringify(headers)).to.not.include('203.0.113.9')
      expect(headers.host).to.match(/^127\..*:(9090|9093|10902)$/)
    }
  })

  it('cannot act on the login, on other pages or on the browser', async () => {
    const acting = {
      'set-cookie': 'session=evil',
      'clear-site-data': '"*"',
      'service-worker-allowed': '/',
      'strict-transport-security': 'max-age=1',
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': '*',
      'access-control-allow-methods': 'PUT',
      'access-control-allow-private-network': 'true',
      'access-control-expose-headers': 'etag',
      'access-control-max-age': '86400',
      'alt-svc': 'h3=":1"',
      refresh: '0; url=http://evil',
      'www-authenticate': 'Basic',
      'x-accel-redirect': '/prom/lyon/',
      'x-accel-expires': '3600',
      'x-sendfile': '/etc/passwd',
    }
    for (const [port, prefix, server] of everyPage) {
      servers[server].answer(200, {...acting, 'content-type': 'text/html', etag: '"1"', 'referrer-policy': 'unsafe-url'})
      const {headers} = await ask({...pages, port}, `${prefix}/`)
      servers[server].answer(200, {})
      expect(headers, `${port}${prefix}`).to.not.have.any.keys(...Object.keys(acting))
      expect(headers, `${port}${prefix}`).to.include({
        'content-type': 'text/html',
        etag: '"1"',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
      })
    }
  })

  it('are shown in frames of their own host alone, beside what their own policy says', async () => {
    for (const [own, policy] of [
      [{}, "frame-ancestors 'self'"],
      [
        {'x-frame-options': 'ALLOWALL', 'content-security-policy': "frame-ancestors *; img-src 'self'"},
        "frame-ancestors *; img-src 'self', frame-ancestors 'self'",
      ],
    ] as const) {
      servers.prom0.answer(200, own)
      const {headers} = await get('/prom/paris/')
      expect(headers).to.include({'x-frame-options': 'SAMEORIGIN', 'content-security-policy': policy})
    }

    servers.prom0.answer(200, {})
    expect((await get('/')).headers['x-frame-options'], 'the start page').to.equal('DENY')
  })

  it('redirect only to themselves', async () => {
    const P = '/prom/paris'
    const redirects: readonly [string, string][] = [
      ['/query', `${P}/query`],
      ['/query?a=/b', `${P}/query?a=/b`],
      [`${P}/query`, `${P}/query`],
      [P, P],
      ['/prom/parisien', `${P}/prom/parisien`],
      ['/outer/query?g0.expr=up', `${P}/query?g0.expr=up`],
      ['http://prom.example/outer/classic/graph', `${P}/classic/graph`],
      ['/outer/queries', `${P}/outer/queries`],
      ['query', 'query'],
      ['?a=b', '?a=b'],
      ['http://127.0.0.1:9090/query', `${P}/query`],
      ['http://evil.example', `${P}/`],
      ['https://evil.example?x', `${P}/?x`],
      ['//evil.example/x', `${P}/x`],
      ['///evil.example/x', `${P}/x`],
      ['http:////evil.example//x', `${P}/x`],
      ['http://a//evil.example', `${P}/evil.example`],
      ['/\\evil.example', `${P}/`],
      ['\\\\evil.example/x', `${P}/x`],
      ['/\t/evil.example', `${P}/`],
      ['javascript:alert(1)', `${P}/`],
      ['data:text/html,x', `${P}/`],
      ['/../lyon/', `${P}/`],
      ['../../lyon/', `${P}/`],
      ['/x/%2e%2e/%2E./lyon', `${P}/`],
      ['/x/..%2f..%5clyon', `${P}/`],
      [`${P}/../lyon`, `${P}/`],
    ]
    for (const [location, expected] of redirects) {
      servers.prom0.answer(302, {location})
      expect((await get('/prom/paris/')).headers.location, location).to.equal(expected)
    }

    servers.prom1.answer(302, {location: '/query'})
    expect((await get('/prom/paris/1/')).headers.location).to.equal('/prom/paris/1/query')
    const byHost = {headers: {host: `paris.prom.${DOMAIN}`}}
    expect((await get('/1/', byHost)).headers.location).to.equal('/1/query')
    servers.prom0.answer(302, {location: 'http://evil.example//evil.example/x'})
    expect((await get('/', byHost)).headers.location).to.equal('/evil.example/x')
    await change({pages: {paths: {...defaultPages.paths, prom: '/own'}, allowLocalTargets: true}})
    servers.prom0.answer(302, {location: '/own/x'})
    await until(network, "the page's own path", async () => (await get('/', byHost)).headers.location === '/x')
    for (const location of ['/own//evil.example', '/own///evil.example', 'http://x/own//evil.example', '/own/\\evil.example']) {
      servers.prom0.answer(302, {location})
      expect((await get('/', byHost)).headers.location, location).to.equal('/evil.example')
    }

    await change({pages: {...defaultPages, allowLocalTargets: true}})
    servers.prom0.answer(302, {location: '/own/x'})
    await until(network, 'no path of its own', async () => (await get('/', byHost)).headers.location === '/own/x')
    servers.prom0.answer(200, {})
    servers.prom1.answer(200, {})
  })

  it('are not written to by the pages of other sites and clusters', async () => {
    for (const site of ['cross-site', 'same-site', 'same-origin, cross-site'])
      expect((await get('/alertmanager/paris/api/v2/silences', {method: 'POST', headers: {'sec-fetch-site': site}})).status).to.equal(403)
    for (const site of ['same-origin', 'none', undefined]) {
      const headers = site === undefined ? {} : {'sec-fetch-site': site}
      expect((await get('/alertmanager/paris/api/v2/silences', {method: 'POST', headers})).status).to.equal(200)
    }

    expect((await get('/alertmanager/paris/', {headers: {'sec-fetch-site': 'cross-site'}})).status, 'a link').to.equal(200)
  })

  it('have no service worker', async () => {
    const before = servers.prom0.requests.length
    expect((await get('/prom/paris/sw.js', {headers: {'service-worker': 'script'}})).status).to.equal(403)
    expect(servers.prom0.requests).to.have.length(before)
  })

  it('refuse at once what has no path', async () => {
    expect(await connect(pages, `paris.prom.${DOMAIN}:443`)).to.equal(400)
  })

  it('have limits on headers and bodies', async () => {
    expect((await get('/prom/paris/', {headers: {'user-agent': 'x'.repeat(70_000)}})).status).to.equal(431)
    const many = Object.fromEntries(Array.from({length: 120}, (_, index) => [`x-${index}`, '1']))
    expect((await get('/prom/paris/', {headers: many})).status).to.equal(431)
    expect((await get('/prom/paris/api/v1/query', {method: 'POST', body: 'x'.repeat(5 * 1024 * 1024)})).status).to.equal(413)
    expect((await get('/prom/paris/api/v1/query', {method: 'POST', body: 'x'.repeat(3 * 1024 * 1024)})).status).to.equal(200)
  })

  /** How many requests each server has had. */
  const arrived = (): Readonly<Record<string, number>> =>
    Object.fromEntries(Object.entries(servers).map(([name, {requests}]) => [name, requests.length]))

  describe('what administers, stops, profiles or writes', () => {
    const spellings = (path: string): readonly string[] => [
      path,
      `${path}/`,
      `${path}?x=1`,
      `/${path}`,
      path.replaceAll('/', '//'),
      `/.${path}`,
      `/x/..${path}`,
      path.replace(/[a-z]/, letter => `%${letter.charCodeAt(0).toString(16)}`),
      path.replaceAll('/', '\\'),
      `/x/%2e%2e${path}`,
      `/prometheus${path}`,
    ]
    const paths: readonly [PageKind, string, string][] = [
      ['prom', 'GET', '/api/v1/admin/tsdb/snapshot'],
      ['prom', 'PUT', '/-/quit'],
      ['prom', 'POST', '/-/reload'],
      ['prom', 'GET', '/debug/pprof/heap'],
      ['prom', 'POST', '/api/v1/write'],
      ['prom', 'POST', '/api/v1/otlp/v1/metrics'],
      ['prom', 'POST', '/api/v1/read'],
      ['alertmanager', 'POST', '/-/reload'],
      ['alertmanager', 'GET', '/debug/pprof/'],
      ['alertmanager', 'POST', '/api/v2/alerts'],
      ['alertmanager', 'POST', '/api/v1/alerts'],
      ['thanos', 'POST', '/-/reload'],
      ['thanos', 'GET', '/debug/pprof/'],
      ['thanos', 'POST', '/api/v1/blocks/mark'],
      ['thanos', 'POST', '/api/v1/blocks/cleanup'],
    ]

    it('is not what only reads beside it', async () => {
      for (const path of ['/alertmanager/paris/api/v1/alerts', '/alertmanager/paris/api/v2/alerts', '/thanos/paris/api/v1/blocks'])
        expect((await get(path)).status, path).to.equal(200)
    })

    it('is denied in every spelling', async () => {
      const before = arrived()
      for (const [kind, method, path] of paths) {
        for (const spelling of spellings(path)) {
          const {status, body} = await get(`/${kind}/paris${spelling}`, {method})
          expect(status, `${kind}: ${method} ${spelling}`).to.equal(403)
          expect(body).to.include('goatlas.io/allow-admin')
        }

        for (const spelling of [path.replace(/.(?=[a-z]+$)/, '%2F'), path.replace(/^\//, '/x%2f..%2f'), `/x%5c..${path}`])
          if (spelling !== path) expect((await get(`/${kind}/paris${spelling}`, {method})).status, spelling).to.equal(400)
      }

      expect(arrived()).to.deep.equal(before)
    })

    it('is denied by the downstream Envoy itself, to which the observability Envoy is only a client', async () => {
      const ports = everyPort(network, await network.store.load(), {cluster: parseClusterName('paris')})
      for (const kind of pageKinds) {
        const at = ports.find(({port}) => port === pagePorts[kind]) ?? expect.fail(`no port of ${kind}`)
        const session = http2.connect(`https://${at.host}:${at.port}`, tlsOptions(at, {certificate: at.admits}))
        session.on('error', () => undefined)
        const before = arrived()
        for (const [, method, path] of paths.filter(([each]) => each === kind)) {
          for (const [spelled, spell, expected] of pathSpellings)
            expect(await statusOn(session, spell(path), {method}), `${kind}: ${method} ${path} ${spelled}`).to.be.oneOf(expected)
          const ofReplica = await statusOn(session, path, {method, authority: 'page-0'})
          expect(ofReplica, `replica, ${path}`).to.equal(kind === 'alertmanager' ? 404 : 403)
        }

        expect(arrived()).to.deep.equal(before)
        expect(await statusOn(session, '/'), 'the page itself').to.equal(200)
        session.destroy()
      }
    })

    it('is passed on where the registration allows it; silences are denied where it says so', async () => {
      await change({pages: {allowAdmin: true, allowSilences: false}})
      await until(network, 'the new rules', async () => (await get('/prom/paris/-/reload', {method: 'POST'})).status === 200)
      expect(last(servers.prom0)).to.include({method: 'POST', path: '/-/reload'})
      const silences = {method: 'POST', body: '{}'}
      await until(network, 'silences to be denied', async () => (await get('/alertmanager/paris/api/v2/silences', silences)).status === 403)
      // Alertmanager before 0.27 serves version 1 of its API too.
      for (const version of ['v1', 'v2']) {
        expect((await get(`/alertmanager/paris/api/${version}/silences`)).status).to.equal(200)
        for (const path of spellings(`/api/${version}/silences`))
          expect((await get(`/alertmanager/paris${path}`, silences)).status, path).to.equal(403)
        for (const path of spellings(`/api/${version}/silence/1`)) {
          expect((await get(`/alertmanager/paris${path}`, {method: 'DELETE'})).status, path).to.equal(403)
          expect((await get(`/alertmanager/paris${path}`)).status, path).to.equal(200)
        }

        expect((await get(`/alertmanager/paris/api/${version}/alerts`, silences)).status).to.equal(200)
      }

      expect((await get('/thanos/paris/api/v1/blocks/mark', silences)).status).to.equal(200)
      await change({pages: {...defaultPages, allowLocalTargets: true}})
      await until(network, 'the old rules', async () => (await get('/prom/paris/-/reload', {method: 'POST'})).status !== 200)
    })
  })
})
