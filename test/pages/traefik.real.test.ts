/**
 * A real Traefik in front of 10904, which asks a real oauth2-proxy about each request, with the Middleware and the flags that
 * docs/how-to/login-proxy.md prints. Routes come from a file: an API server accepts no Service whose endpoints are loopback addresses.
 */
import {createHash, randomBytes} from 'node:crypto'
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {pageKinds} from '../../src/lib/model/names.js'
import {chartOf, examplesOf} from '../docs/examples.js'
import {until} from '../e2e/look.js'
import {untilAnswers} from '../e2e/scene.js'
import {type PageAnswer, type RecordingServer, ask} from '../helpers/http1.js'
import {type OutsideCa, makeCa} from '../helpers/outside-ca.js'
import {inSteps} from '../helpers/steps.js'
import {VISITOR, programAt} from './support/programs.js'
import {type Pages, sharedPages} from './support/scene.js'

interface Printed {
  readonly kind: string
  readonly spec: {
    readonly forwardAuth?: {readonly address: string}
    readonly template?: {readonly spec: {readonly containers: readonly {readonly args: readonly string[]}[]}}
  }
}

const DOMAIN = 'web.localhost'
const printed = examplesOf('login-proxy.md')
  .filter(block => chartOf(block) === undefined)
  .flatMap(block => loadAll(block) as Printed[])

describe('pages: behind Traefik, which asks a login proxy', function () {
  this.timeout(300_000)
  inSteps()
  let pages: Pages
  let traefik: HostPort
  let recorded: RecordingServer
  let authority: OutsideCa
  let cookie = ''
  const secure = (): HostPort => ({...traefik, port: 8443})

  before(async () => {
    pages = await sharedPages()
    const login = {host: pages.network.address, port: 4181}
    traefik = {host: pages.network.address, port: 8080}
    await startLogin(login)
    await startTraefik(login)
    recorded = await pages.recordedBehindLyon()
    recorded.requests.splice(0)
  })

  /** With the flags of the page, but a form instead of an identity provider, and without TLS. */
  async function startLogin(listen: HostPort): Promise<void> {
    const file = path.join(pages.ground.folder, 'traefik-htpasswd')
    await writeFile(file, `${VISITOR.name}:{SHA}${createHash('sha1').update(VISITOR.password).digest('base64')}\n`)
    const [{args} = {args: []}] = printed.find(({kind}) => kind === 'Deployment')?.spec.template?.spec.containers ?? []
    const own = [
      '--http-address',
      '--trusted-proxy-ip',
      '--provider',
      '--oidc-issuer-url',
      '--email-domain',
      '--skip-provider-button',
      '--cookie-secure',
    ]
    const flags = args.filter(arg => !own.includes(arg.split('=')[0] ?? ''))
    expect(flags).to.include('--upstream=static://202').and.include('--reverse-proxy=true')
    await pages.ground.startProcess({
      name: 'oauth2-proxy-of-traefik',
      program: programAt('oauth2-proxy'),
      args: [
        ...flags.map(flag => flag.replace('https://web.example.com', `http://${DOMAIN}`).replace('.web.example.com', `.${DOMAIN}`)),
        `--http-address=${renderHostPort(listen)}`,
        '--trusted-proxy-ip=127.0.0.0/8',
        ...['--provider=github', '--client-id=none', '--client-secret=none', '--email-domain=*', '--cookie-secure=false'],
        `--htpasswd-file=${file}`,
        `--cookie-secret=${randomBytes(16).toString('hex')}`,
      ],
    })
    await untilAnswers(listen, '/ping', pages.network.crashed)
  }

  async function startTraefik(login: HostPort): Promise<void> {
    const {forwardAuth} = printed.find(({kind}) => kind === 'Middleware')?.spec ?? {}
    if (forwardAuth === undefined) throw new Error('the page has no Middleware')
    const server = (at: HostPort) => ({loadBalancer: {servers: [{url: `http://${renderHostPort(at)}`}]}})
    const address = forwardAuth.address.replace('oauth2-proxy.atlas.svc.cluster.local:4180', renderHostPort(login))
    // One route for each host, as Traefik makes them of an Ingress: the longer rule comes first.
    const hosts = [`Host(\`${DOMAIN}\`)`, ...pageKinds.map(kind => `HostRegexp(\`^[a-zA-Z0-9-]+[.]${kind}[.]web[.]localhost$\`)`)]
    const routers = hosts.map((rule, index) => ({
      name: `pages${index}`,
      router: {rule: `${rule} && PathPrefix(\`/\`)`, middlewares: ['login'], service: 'pages'},
    }))
    // Those of an Ingress with TLS beside them, with the one certificate that the page asks for.
    const all = routers.flatMap(({name, router}) => [
      [name, router],
      [`${name}-tls`, {...router, entryPoints: ['websecure'], tls: {}}],
    ])
    authority = makeCa(pages.ground.folder, 'web-ca')
    const certificate = makeCa(pages.ground.folder, 'web-pages', {
      signer: authority,
      isCa: false,
      usage: 'critical,digitalSignature',
      extensions: [`subjectAltName=${[DOMAIN, ...pageKinds.map(kind => `*.${kind}.${DOMAIN}`)].map(name => `DNS:${name}`).join()}`],
    })
    const file = path.join(pages.ground.folder, 'routes.yaml')
    const http = {
      middlewares: {login: {forwardAuth: {...forwardAuth, address}}},
      routers: {...Object.fromEntries(all), login: {rule: `Host(\`${DOMAIN}\`) && PathPrefix(\`/oauth2\`)`, service: 'login'}},
      services: {pages: server(pages.door), login: server(login)},
    }
    const certificates = [{certFile: certificate.files.certificate, keyFile: certificate.files.key}]
    await writeFile(file, JSON.stringify({http, tls: {certificates}}))
    await pages.ground.startProcess({
      name: 'traefik',
      program: programAt('traefik'),
      args: [
        `--entrypoints.web.address=${renderHostPort(traefik)}`,
        `--entrypoints.websecure.address=${renderHostPort(secure())}`,
        `--providers.file.filename=${file}`,
        '--ping=true',
        '--ping.entrypoint=web',
      ],
      cwd: pages.ground.folder,
    })
    // Its file is read after it answers pings.
    await untilAnswers(traefik, '/ping', pages.network.crashed)
    await until(pages.network, 'the routes', async () => (await get(DOMAIN)).status !== 404)
  }

  const get = async (host: string, page = '/', headers: Readonly<Record<string, string>> = {}): Promise<PageAnswer> =>
    ask(traefik, page, {headers: {host, ...headers}})

  it('without a login no page is seen, and nothing reaches a cluster', async () => {
    for (const host of [DOMAIN, `lyon.prom.${DOMAIN}`, `paris.alertmanager.${DOMAIN}`]) {
      const answer = await get(host, '/', {cookie: '_oauth2_proxy=forged', 'x-forwarded-user': 'kim', 'x-auth-request-email': 'kim'})
      expect(answer.status, host).to.be.oneOf([401, 403])
      expect(answer.body, host).to.include('password')
    }
    expect(recorded.requests).to.deep.equal([])
  })

  it('a login at the start page is one for the pages of every cluster', async () => {
    const body = new URLSearchParams({username: VISITOR.name, password: VISITOR.password}).toString()
    const headers = {host: DOMAIN, 'content-type': 'application/x-www-form-urlencoded'}
    const answer = await ask(traefik, '/oauth2/sign_in', {method: 'POST', headers, body})
    expect(answer.status, answer.body).to.equal(302)
    const [set = ''] = [answer.headers['set-cookie'] ?? []].flat()
    expect(set)
      .to.match(/Domain=\.?web\.localhost/i)
      .and.match(/HttpOnly/i)
    cookie = set.split(';')[0] ?? ''
    expect((await get(DOMAIN, '/', {cookie})).body).to.include('paris')
    expect((await get(`paris.prom.${DOMAIN}`, '/api/v1/query?query=vector(3)', {cookie})).body).to.include('"3"')
    expect((await get(`lyon.prom.${DOMAIN}`, '/', {cookie})).body).to.equal('recorded')
  })

  it('the cluster learns neither the cookie nor who logged in', async () => {
    expect(recorded.requests.length).to.be.greaterThan(0)
    for (const {headers} of recorded.requests) expect(JSON.stringify(headers)).not.to.match(/kim|oauth2|cookie|x-forwarded-user/i)
  })

  it('over TLS, each host name has the wildcard certificate of its kind, and the links of the start page stay with it', async () => {
    const overTls = async (url: URL): Promise<PageAnswer> =>
      ask(secure(), `${url.pathname}${url.search}`, {
        headers: {host: url.host, cookie},
        tls: {servername: url.hostname, ca: [authority.certificate]},
      })
    const start = new URL(`https://${DOMAIN}:${secure().port}/`)
    const {status, body} = await overTls(start)
    expect(status).to.equal(200)
    const links = [...body.matchAll(/href="([^"]+)"/g)].map(([, href = '']) => new URL(href, start)).filter(({host}) => host !== start.host)
    expect(links.map(({protocol, port}) => `${protocol}${port}`).filter(each => each !== `https:${secure().port}`)).to.deep.equal([])
    const prometheus = links.find(({hostname}) => hostname === `paris.prom.${DOMAIN}`) ?? expect.fail(body)
    expect((await overTls(new URL('/api/v1/query?query=vector(4)', prometheus))).body).to.include('"4"')
    const {headers} = await overTls(new URL('/', prometheus))
    expect(new URL(headers.location ?? '', prometheus).href).to.equal(new URL('/query', prometheus).href)
    expect(
      (
        await overTls(
          new URL(
            '/',
            links.find(({hostname}) => hostname === `lyon.prom.${DOMAIN}`),
          ),
        )
      ).body,
    ).to.equal('recorded')
    expect((await overTls(new URL(`https://paris.alertmanager.${DOMAIN}:${secure().port}/`))).body).to.include('Alertmanager')
  })

  it('another name in the way of the pages is not served', async () => {
    expect((await get('other.localhost', '/', {cookie})).status).to.equal(404)
  })
})
