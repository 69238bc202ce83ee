/** Prometheus, Alertmanager and Thanos that have an external URL, a route prefix, or both, behind `lyon`, with the annotation that says where they answer. */
import {expect} from 'chai'
import type {BrowserContext, Page} from 'playwright-core'
import type {Running} from '../../src/demo/lab/processes.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {ask} from '../helpers/http1.js'
import {createSilence, openAlertmanager} from './support/alertmanager-ui.js'
import {newVisitor} from './support/browser.js'
import {namedIn, requestsOf, strays} from './support/crawl.js'
import {startAlertmanager, startPrometheus, startThanosQuery, startThanosRule} from './support/programs.js'
import {openPrometheus, query, untilRow} from './support/prometheus-ui.js'
import {type Pages, askAt, byPath, sharedPages, ways} from './support/scene.js'

interface Mix {
  readonly externalUrl?: string
  readonly routePrefix?: string
  /** Where it answers, which is the annotation; without, at the root. */
  readonly at?: string
}

/** Each kind of mix that users of reverse proxies had trouble with: one alone, both, a slash at the end or none, two different paths. */
const mixes: readonly Mix[] = [
  {},
  {externalUrl: byPath('prom', 'lyon'), routePrefix: '/'},
  {externalUrl: byPath('prom', 'lyon').slice(0, -1), routePrefix: '/'},
  {externalUrl: byPath('prom', 'lyon'), at: '/prom/lyon'},
  {externalUrl: 'http://other.example/outer', at: '/outer'},
  {externalUrl: 'http://other.example/outer/', at: '/outer'},
  {externalUrl: 'http://other.example/outer/', routePrefix: '/'},
  {routePrefix: '/inner', at: '/inner'},
  {routePrefix: 'inner/', at: '/inner'},
  {externalUrl: 'http://other.example/outer', routePrefix: '/inner', at: '/inner'},
  {externalUrl: 'http://other.example/a/b/', routePrefix: '/a/', at: '/a'},
]

/** What the page of Debian's Prometheus 2 is without the files of its package. */
const NO_TEMPLATES = 'error reading base template: open /usr/share/prometheus/web/templates/_base.html: no such file or directory\n'

describe('pages: external URLs and route prefixes', function () {
  this.timeout(300_000)
  let pages: Pages
  let visitor: BrowserContext
  let page: Page
  let running: Running | undefined

  before(async () => {
    pages = await sharedPages()
    visitor = await newVisitor(pages.browser)
    page = await visitor.newPage()
  })
  after(() => visitor.close())
  afterEach(async () => running?.stop(500))

  /** Follows redirects. @returns what is answered at the last address, and every address on the way */
  async function follow(url: string): Promise<{status: number; body: string; way: readonly string[]}> {
    const way = [url]
    for (;;) {
      const {status, headers, body} = await askAt(pages, way.at(-1) ?? url)
      if (status < 300 || status > 399 || way.length > 5) return {status, body, way}
      way.push(new URL(headers.location ?? 'nowhere', way.at(-1)).href)
    }
  }

  /** Puts a program behind `lyon`. @param owns where it answers with `name` */
  async function behindLyon(kind: 'alertmanager' | 'prom', {at = ''}: Mix, target: HostPort, {owns, name}: Own): Promise<void> {
    const service = kind === 'prom' ? {prometheus: target} : {alertmanager: target}
    const isThere = async (): Promise<boolean> => (await askAt(pages, `${byPath(kind, 'lyon')}${owns}`)).body.includes(name)
    await pages.behindLyon(service, {paths: {[kind]: at}}, isThere)
  }

  for (const version of [3, 2] as const)
    for (const [index, mix] of mixes.entries())
      it(`Prometheus ${version} with ${described(mix)}`, async () => {
        const [listen, name] = [pages.spare(9090), `prometheus-${version}-lyon-${index}`]
        const ownPaths = flagsOf(mix)
        running = await startPrometheus(pages.ground, {name, listen, version, ...ownPaths})
        await behindLyon('prom', mix, listen, {owns: 'api/v1/status/config', name})
        for (const [, at] of ways) {
          const base = at('prom', 'lyon')
          for (const from of [base, `${base}graph?g0.expr=up`]) {
            const {status, body, way} = await follow(from)
            for (const url of way) expect(url.startsWith(base), way.join(' -> ')).to.equal(true)
            const last = way.at(-1)?.slice(base.length) ?? ''
            expect(last).to.match(version === 3 ? /^query(\?g0\.expr=up)?$/ : /^(classic\/)?graph(\?g0\.expr=up)?$/)
            // The page is what Prometheus answers at its own address. Debian's Prometheus 2 says so where its templates are not installed.
            const own = await ask(listen, `${ownPaths.at}${last}`)
            expect({status, body}, way.join(' -> ')).to.deep.equal({status: own.status, body: own.body})
            if (version === 3 || status === 200) expect([status, body.includes('<html')]).to.deep.equal([200, true])
            else expect([status, body]).to.deep.equal([500, NO_TEMPLATES])
          }
        }

        if (version === 3) {
          await openPrometheus(page, wayOf(index)('prom', 'lyon'))
          await query(page, 'vector(5)')
          await untilRow(page, /5$/)
        }
      })

  for (const [index, mix] of mixes.entries())
    it(`Alertmanager with ${described(mix)}`, async () => {
      const [listen, name, own] = [pages.spare(9093), `alertmanager-lyon-${index}`, flagsOf(mix)]
      running = await startAlertmanager(pages.ground, {name, listen, ...own})
      const [body, headers] = [JSON.stringify([{labels: {alertname: name}}]), {'content-type': 'application/json'}]
      await fetch(`http://${renderHostPort(listen)}${own.at}api/v2/alerts`, {method: 'POST', body, headers})
      await behindLyon('alertmanager', mix, listen, {owns: 'api/v2/alerts', name})
      const base = wayOf(index)('alertmanager', 'lyon')
      await openAlertmanager(page, base, name)
      const id = await createSilence(page, base, name)
      expect((await askAt(pages, `${base}api/v2/silence/${id}`)).body).to.include('"state":"active"')
    })

  /**
   * Thanos has no external URL, but a prefix of its links: from the header of Atlas, or a flag, which is then in force alone.
   * @param shown the ways in which the browser finds its pages
   */
  async function thanosBehindLyon(
    at: string,
    listen: HostPort,
    {first, then}: ThanosPages,
    shown: readonly (typeof ways)[number][] = ways,
  ) {
    const isThere = async (): Promise<boolean> => (await askAt(pages, `${byPath('thanos', 'lyon')}api/v1/rules`)).status === 200
    await pages.behindLyon({thanos: {...listen, port: 10_901}}, {paths: {thanos: at}}, isThere)
    for (const [, way] of shown) {
      const base = way('thanos', 'lyon')
      const own = await visitor.newPage()
      const asked = requestsOf(own)
      await own.goto(base)
      await own.waitForURL(`${base}${first}`)
      await own.getByRole('link', {name: then[0]}).first().click()
      await own.waitForURL(`${base}${then[1]}`)
      await own.getByText('Thanos').first().waitFor()
      expect(strays(await namedIn(own), base).filter(url => !url.startsWith('https://'))).to.deep.equal([])
      expect(strays(asked, base)).to.deep.equal([])
      await own.close()
    }
  }

  for (const [index, prefix] of ['', '/inner', 'inner'].entries())
    it(`Thanos Query with ${prefix === '' ? 'no route prefix' : `route prefix ${prefix}`}`, async () => {
      const listen = pages.spare(10_902)
      const flags = prefix === '' ? [] : [`--web.route-prefix=${prefix}`]
      running = await startThanosQuery(pages.ground, `thanos-query-lyon-${index}`, listen, flags)
      await thanosBehindLyon(prefix === '' ? '' : '/inner', listen, {first: 'graph', then: ['Endpoints', 'stores']})
    })

  it('a prefix in the header of a client reaches no page of Thanos', async () => {
    const listen = pages.spare(10_902)
    running = await startThanosQuery(pages.ground, 'thanos-query-lyon-forged', listen)
    await thanosBehindLyon('', listen, {first: 'graph', then: ['Endpoints', 'stores']}, [])
    const prefixIn = ({body}: {readonly body: string}): string | undefined =>
      /GLOBAL_PATH_PREFIX="([^"]*)"/.exec(body)?.[1]?.replaceAll(String.raw`\/`, '/')
    for (const forged of ['//evil', '/evil', 'http://evil.example/evil']) {
      const headers = {'x-forwarded-prefix': forged}
      for (const [, at] of ways) {
        const answer = await askAt(pages, `${at('thanos', 'lyon')}graph`, {headers})
        expect(answer.status, forged).to.equal(200)
        expect(prefixIn(answer), forged).to.equal(at === byPath ? '/thanos/lyon' : '')
        expect(answer.body, forged).to.not.include('evil')
      }
    }

    // Asked without Atlas it believes the header, so that the refusal above is Envoy's.
    expect(prefixIn(await ask(listen, '/graph', {headers: {'x-forwarded-prefix': '/evil'}}))).to.equal('/evil')
  })

  it('Thanos Query with an external prefix, which is that of its page by path', async () => {
    const listen = pages.spare(10_902)
    const flags = ['--web.external-prefix=/thanos/lyon', '--web.route-prefix=/']
    running = await startThanosQuery(pages.ground, 'thanos-query-lyon-external', listen, flags)
    await thanosBehindLyon('', listen, {first: 'graph', then: ['Endpoints', 'stores']}, [ways[0]])
  })

  it('Thanos Ruler with an external prefix, which is that of its page by path', async () => {
    const [listen, query] = [pages.spare(10_902), pages.spare(9090)]
    const flags = ['--alert.query-url=https://query.example', '--web.external-prefix=/thanos/lyon', '--web.route-prefix=/']
    running = await startThanosRule(pages.ground, {name: 'ruler-lyon-external', listen, query, flags})
    await thanosBehindLyon('', listen, {first: 'alerts', then: ['Rules', 'rules']}, [ways[0]])
  })

  for (const at of ['', '/inner'])
    it(`Thanos Ruler with ${at === '' ? 'no route prefix' : `route prefix ${at}`}`, async () => {
      const [listen, query] = [pages.spare(10_902), pages.spare(9090)]
      // Its links to queries lead to a Thanos Query, wherever its flag says that it is.
      const flags = ['--alert.query-url=https://query.example', ...(at === '' ? [] : [`--web.route-prefix=${at}`])]
      running = await startThanosRule(pages.ground, {name: `ruler-lyon${at.replace('/', '-')}`, listen, query, flags})
      await thanosBehindLyon(at, listen, {first: 'alerts', then: ['Rules', 'rules']})
    })
})

interface ThanosPages {
  /** Where the page leads a browser first, and a link to follow then: its name, and where it leads. */
  readonly first: string
  readonly then: readonly [string, string]
}

/** The browser takes turns between the two ways. */
function wayOf(index: number): (typeof ways)[number][1] {
  return (ways[index % ways.length] ?? ways[0])[1]
}

interface Own {
  readonly owns: string
  readonly name: string
}

function flagsOf({externalUrl, routePrefix, at = ''}: Mix): {readonly flags: readonly string[]; readonly at: string} {
  const flags = [
    ...(externalUrl === undefined ? [] : [`--web.external-url=${externalUrl}`]),
    ...(routePrefix === undefined ? [] : [`--web.route-prefix=${routePrefix}`]),
  ]
  return {flags, at: `${at}/`}
}

function described(mix: Mix): string {
  return `${mix.externalUrl ?? 'no external URL'}, ${mix.routePrefix === undefined ? 'no route prefix' : `route prefix ${mix.routePrefix}`}`
}
