/** What a real Prometheus, Alertmanager and Thanos are not asked for, in every spelling of its path, and what a registration allows. */
import {expect} from 'chai'
import {STATS_PORT} from '../../src/lib/envoy/admin.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {type PageKind, pageKinds} from '../../src/lib/model/names.js'
import {edit, files} from '../e2e/edit.js'
import {until} from '../e2e/look.js'
import {others, spellings} from '../helpers/path-spellings.js'
import {rejectedBy} from '../helpers/thrown.js'
import {newVisitor} from './support/browser.js'
import {namedIn, requestsOf, strays} from './support/crawl.js'
import {ALERT, startAlertmanager, startPrometheus, startThanosQuery, startThanosRule} from './support/programs.js'
import {type Pages, askAt, byHost, byPath, sharedPages, ways} from './support/scene.js'

/** Kind, method, path; each of them changes, stops or profiles the program when it is asked directly. */
const dangerous = [
  ['prom', 'PUT', '/-/quit'],
  ['prom', 'POST', '/-/reload'],
  ['prom', 'POST', '/api/v1/admin/tsdb/snapshot'],
  ['prom', 'PUT', '/api/v1/admin/tsdb/delete_series'],
  ['prom', 'GET', '/debug/pprof/cmdline'],
  ['prom', 'POST', '/api/v1/write'],
  ['prom', 'POST', '/api/v1/otlp/v1/metrics'],
  ['prom', 'POST', '/api/v1/read'],
  ['alertmanager', 'POST', '/-/reload'],
  ['alertmanager', 'GET', '/debug/pprof/cmdline'],
  ['alertmanager', 'POST', '/api/v2/alerts'],
  ['thanos', 'POST', '/-/reload'],
  ['thanos', 'GET', '/debug/pprof/cmdline'],
  ['thanos', 'GET', '/debug/pprof/goroutine'],
] as const

/** Spellings in capitals, which no program takes for the path: what it answers, where it sends the client below the page's prefix, and what is answered there. */
const capitals: readonly (readonly [PageKind, string, number, string?, number?])[] = [
  ['prom', '/-/Quit', 307, '/-/quit', 403],
  ['prom', '/-/RELOAD', 307, '/-/reload', 403],
  ['prom', '/api/v1/Write', 307, '/write', 404],
  ['prom', '/API/v1/write', 404],
  ['alertmanager', '/-/Reload', 307, '/-/reload', 403],
  ['alertmanager', '/api/V2/alerts', 404],
  ['alertmanager', '/api/v2/Alerts', 404],
  ['thanos', '/-/Reload', 307, '/-/reload', 403],
]

/** The clusters whose programs are asked: a Thanos Ruler stands behind `lyon`, until a test puts something else there. */
const clusters: Readonly<Record<PageKind, string>> = {prom: 'paris', alertmanager: 'paris', thanos: 'lyon'}

/** What is sent: an alert, to whatever takes one. */
const FORGED = 'Forged'
const body = JSON.stringify([{labels: {alertname: FORGED}}])
const headers = {'content-type': 'application/json'}

/** What a program counts, in its own metrics, of requests that Envoy denies: those to their handlers, and when it has read its configuration. */
const counted: Readonly<Record<PageKind, RegExp>> = {
  prom: /^(process_start_time_seconds|prometheus_config_last_reload_success_timestamp_seconds|prometheus_http_requests_total\{.*handler="\/(-\/(quit|reload)|api\/v1\/(admin|write|read|otlp)|debug).*) /,
  alertmanager: /^(process_start_time_seconds|alertmanager_config_last_reload_success_timestamp_seconds) /,
  thanos: /^(process_start_time_seconds|thanos_rule_config_last_reload_success_timestamp_seconds) /,
}

describe('pages: what is denied, on the real programs', function () {
  this.timeout(300_000)
  let pages: Pages
  let ruler: HostPort
  let untouched: readonly string[]

  before(async () => {
    pages = await sharedPages()
    const listen = pages.spare(10_902)
    ruler = {...listen, port: 10_901}
    await startThanosRule(pages.ground, {name: 'ruler-lyon-denied', listen, query: pages.spare(9090)})
    const ready = async (): Promise<boolean> => (await askAt(pages, `${byPath('thanos', 'lyon')}api/v1/rules`)).status === 200
    await pages.behindLyon({thanos: ruler}, {}, ready)
    untouched = await traces()
  })

  /** One request to the page of its kind. */
  async function send(base: string, path: string, method = 'POST'): ReturnType<typeof askAt> {
    return askAt(pages, `${base.slice(0, -1)}${path}`, {method, headers, body: method === 'GET' ? '' : body})
  }

  /** What the programs themselves have seen of such requests so far. */
  async function traces(): Promise<readonly string[]> {
    const found: string[] = []
    for (const kind of pageKinds)
      for (const replica of kind === 'prom' ? ['0/', '1/'] : [''])
        found.push(...(await tracesAt(kind, `${byPath(kind, clusters[kind])}${replica}`)))
    return found
  }

  async function tracesAt(kind: PageKind, base: string): Promise<readonly string[]> {
    const lines = (await askAt(pages, `${base}metrics`)).body.split('\n').filter(line => counted[kind].test(line))
    expect(lines, base).to.have.length.at.least(2)
    return lines.map(line => `${base} ${line}`)
  }

  for (const [way, at] of ways) {
    it(`${way}, no spelling of a dangerous path gets through`, async () => {
      for (const [kind, method, path] of dangerous)
        for (const [spelled, spell, expected] of spellings) {
          const {status} = await send(at(kind, clusters[kind]), spell(path), method)
          expect(status, `${kind} ${method} ${path} ${spelled}`).to.be.oneOf(expected)
        }

      for (const [kind, method, path] of dangerous.filter(([kind]) => kind === 'prom'))
        expect((await send(`${at(kind, 'paris')}1/`, path, method)).status, `replica: ${path}`).to.equal(403)
    })

    it(`${way}, other spellings reach the program, which does not know them`, async () => {
      // All below these is denied, whatever it is called.
      const wholes = ['/api/v1/admin/', '/api/v1/otlp/', '/debug/']
      for (const [kind, method, path] of dangerous.filter(([, , path]) => !wholes.some(whole => path.startsWith(whole))))
        for (const spell of others) {
          const {status} = await send(at(kind, clusters[kind]), spell(path), method)
          expect(status, `${kind} ${method} ${spell(path)}`).to.equal(404)
        }
    })

    it(`${way}, the programs do not take a spelling in capitals for the path; some redirect to it, and it is denied`, async () => {
      for (const [kind, spelled, expected, to, there] of capitals) {
        const base = at(kind, clusters[kind])
        const {status, headers: answered} = await send(base, spelled)
        const location = answered.location === undefined ? undefined : new URL(answered.location, base).href
        expect([status, location], spelled).to.deep.equal([expected, to === undefined ? undefined : `${base.slice(0, -1)}${to}`])
        if (to !== undefined) expect((await send(base, to)).status, `${kind} ${to}`).to.equal(there)
      }
    })
  }

  it('none of these requests has reached what it was meant for', async () => {
    expect(await traces()).to.deep.equal(untouched)
    expect((await askAt(pages, `${byPath('alertmanager', 'paris')}api/v2/alerts`)).body)
      .to.include(ALERT)
      .and.not.include(FORGED)
    expect(pages.network.crashed.aborted).to.equal(false)
  })

  it('a registration allows what administers Thanos', async () => {
    const base = byPath('thanos', 'lyon')
    const own = await tracesAt('thanos', base)
    await pages.behindLyon({thanos: ruler}, {allowAdmin: true}, async () => (await send(base, '/-/reload')).status === 200)
    expect(await tracesAt('thanos', base)).to.not.deep.equal(own)
    expect((await send(base, '/debug/pprof/goroutine?debug=1', 'GET')).body).to.include('goroutine profile')
  })

  it('a registration allows what administers Prometheus', async () => {
    const listen = pages.spare(9090)
    await startPrometheus(pages.ground, {name: 'prometheus-lyon-admin', listen, version: 3})
    const base = byPath('prom', 'lyon')
    const reload = async (): Promise<number> => (await askAt(pages, `${base}-/reload`, {method: 'POST', body: ''})).status
    const config = async (): Promise<string> => (await askAt(pages, `${base}api/v1/status/config`)).body
    await pages.behindLyon({prometheus: listen}, {}, async () => (await config()).includes('prometheus-lyon-admin'))
    expect(await reload()).to.equal(403)
    const own = await tracesAt('prom', base)
    await pages.behindLyon({}, {allowAdmin: true}, async () => (await reload()) === 200)
    expect(await tracesAt('prom', base)).to.not.deep.equal(own)
    const {status, body} = await askAt(pages, `${byHost('prom', 'lyon')}api/v1/admin/tsdb/snapshot`, {method: 'POST', body: ''})
    expect([status, (JSON.parse(body) as {status: string}).status]).to.deep.equal([200, 'success'])
    await pages.behindLyon({}, {}, async () => (await reload()) === 403)
  })

  it('a registration allows what administers Alertmanager, and denies silences', async () => {
    const listen = pages.spare(9093)
    await startAlertmanager(pages.ground, {name: 'alertmanager-lyon-admin', listen})
    const base = byPath('alertmanager', 'lyon')
    const headers = {'content-type': 'application/json'}
    const send = async (method: string, path: string, body: unknown = ''): Promise<Awaited<ReturnType<typeof askAt>>> =>
      askAt(pages, `${base}${path}`, {method, headers, body: body === '' ? '' : JSON.stringify(body)})
    const alerts = [{labels: {alertname: 'Sent'}}]
    const matchers = [{name: 'alertname', value: 'Sent', isRegex: false, isEqual: true}]
    const silence = {matchers, startsAt: new Date().toISOString(), endsAt: '2100-01-01T00:00:00Z', createdBy: 'kim', comment: 'test'}

    await pages.behindLyon({alertmanager: listen}, {}, async () => (await send('GET', 'api/v2/status')).status === 200)
    const created = await send('POST', 'api/v2/silences', silence)
    expect(created.status).to.equal(200)
    expect((await send('POST', 'api/v2/alerts', alerts)).status).to.equal(403)

    const isAllowed = async (): Promise<boolean> => (await send('POST', 'api/v2/alerts', alerts)).status === 200
    await pages.behindLyon({}, {allowAdmin: true, allowSilences: false}, isAllowed)
    expect((await send('POST', '-/reload')).status).to.equal(200)
    await until(pages.network, 'silences to be denied', async () => (await send('POST', 'api/v2/silences', silence)).status === 403)
    const {silenceID} = JSON.parse(created.body) as {silenceID: string}
    expect((await send('DELETE', `api/v2/silence/${silenceID}`)).status).to.equal(403)
    expect((await send('GET', `api/v2/silence/${silenceID}`)).body).to.include('"state":"active"')
    await pages.behindLyon({}, {}, async () => (await send('DELETE', `api/v2/silence/${silenceID}`)).status === 200)
  })

  it('Thanos Query shows its own pages, and is not asked for what it may not be', async () => {
    const listen = pages.spare(10_902)
    await startThanosQuery(pages.ground, 'thanos-query-lyon', listen)
    const ready = async (): Promise<boolean> => (await askAt(pages, `${byPath('thanos', 'lyon')}api/v1/status/buildinfo`)).status === 200
    await pages.behindLyon({thanos: {...listen, port: 10_901}}, {}, ready)
    const visitor = await newVisitor(pages.browser)
    for (const [, at] of ways) {
      // A page of its own: what the page before still asks for is none of this one's.
      const page = await visitor.newPage()
      const base = at('thanos', 'lyon')
      const asked = requestsOf(page)
      await page.goto(base)
      await page.getByText('Thanos').first().waitFor()
      await page.getByRole('link', {name: 'Endpoints'}).first().click()
      await page.waitForURL(`${base}stores`)
      expect(strays(await namedIn(page), base).filter(url => !url.startsWith('https://'))).to.deep.equal([])
      expect(strays(asked, base)).to.deep.equal([])
      for (const path of ['-/reload', '-/quit', 'debug/pprof/cmdline', '//debug/pprof/cmdline', 'x/../debug/pprof'])
        expect((await askAt(pages, `${base}${path}`, {method: 'POST', body: ''})).status, path).to.equal(403)
    }

    await visitor.close()
  })

  it('a target on the machine of its Envoy, or at a port of it, is refused, and the page says how to allow it', async () => {
    const {address} = pages.network.member('lyon')
    for (const [prometheus, path, whereAllowed] of [
      [{host: '127.0.0.1', port: 9090}, '/', /./],
      [{host: '169.254.169.254', port: 80}, '/', /./],
      [{host: 'localhost', port: 9090}, '/', /./],
      [{host: 'x', port: 11_904}, '/', /./],
      [{host: 'x', port: STATS_PORT}, '/', /./],
      // The Envoy's own statistics, which stand on the address that clusters are reached at.
      [{host: address, port: STATS_PORT}, '/ready', /^LIVE/],
    ] as const) {
      const what = renderHostPort(prometheus)
      const ask = async (): ReturnType<typeof askAt> => send(byPath('prom', 'lyon'), path, 'GET')
      const isRefused = async (): Promise<boolean> => (await ask()).body.includes('goatlas.io/allow-local-targets')
      const isAllowed = async (): Promise<boolean> => !(await isRefused()) && whereAllowed.test((await ask()).body)
      await pages.behindLyon({prometheus}, {}, isAllowed)
      const restore = await edit(pages.network, files.registration('lyon'), text =>
        text.replace(/\n *goatlas.io\/allow-local-targets: .*/, ''),
      )
      await until(pages.network, `the page at ${what} to be refused`, isRefused)
      expect((await ask()).status, what).to.equal(403)
      await restore()
      await until(pages.network, `the page at ${what} to be allowed`, isAllowed)
    }
  })
  it('a link-local address of IPv6 is no target at all, in a registration made by hand either', async () => {
    const target = {host: 'fe80::1', port: 9090}
    const message = 'fe80::1 is a link-local address'
    expect((await rejectedBy(pages.behindLyon({prometheus: target}, {}, async () => Promise.resolve(true)))).message).to.include(message)
    const restore = await edit(pages.network, files.registration('lyon'), text =>
      text.replace(/(goatlas.io\/prometheus-service: ).*/, "$1'[fe80::1]'"),
    )
    const messages = async (): Promise<string> => JSON.stringify((await pages.network.status()).faults)
    await until(pages.network, 'the fault', async () => (await messages()).includes(message))
    await restore()
    await until(pages.network, 'no fault', async () => !(await messages()).includes(message))
  })
})
