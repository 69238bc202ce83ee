/** What a real Prometheus, Alertmanager and Thanos are not asked for, in every spelling of its path, and what a registration allows. */
import {expect} from 'chai'
import {edit, files} from '../e2e/edit.js'
import {newVisitor} from './support/browser.js'
import {namedIn, requestsOf, strays} from './support/crawl.js'
import {startAlertmanager, startPrometheus, startThanosQuery} from './support/programs.js'
import {type Pages, askAt, byHost, byPath, sharedPages, ways} from './support/scene.js'
import {until} from '../e2e/look.js'

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
] as const

/** Spellings of a path that mean the same to some server, with what the Envoys answer. The path has two parts at least. */
const spellings: readonly (readonly [string, (path: string) => string, readonly number[]])[] = [
  ['as it is', path => path, [403]],
  ['with a slash at the end', path => `${path}/`, [403]],
  ['with a query', path => `${path}?x=1`, [403]],
  ['with a fragment', path => `${path}#f`, [400, 403]],
  ['with a slash more in front', path => `/${path}`, [403]],
  ['with doubled slashes', path => path.replaceAll('/', '//'), [403]],
  ['with a dot segment', path => path.replaceAll('/', '/./'), [403]],
  ['with a way back', path => `/x/..${path}`, [403]],
  ['with an escaped way back', path => `/x/%2e%2e${path}`, [403]],
  ['with a way back in capitals', path => `/x/%2E.${path}`, [403]],
  ['with its first letter escaped', path => path.replace(/[a-z]/, escaped), [403]],
  ['with its last letter escaped', path => path.replace(/[a-z](?=[^a-z]*$)/, escaped), [403]],
  ['with "-" escaped', path => path.replace('-', '%2d'), [403]],
  ['with backslashes', path => path.replaceAll(/(?<=.)\//g, '\\'), [403]],
  ['with an escaped slash', path => path.replace(/(?<=.)\//, '%2F'), [400]],
  ['with an escaped slash and a way back', path => `/x%2f..%2f${path.slice(1)}`, [400]],
  ['with an escaped backslash', path => path.replace(/(?<=.)\//, '%5c'), [400]],
  ['with an escaped zero', path => `${path}%00`, [400]],
  ['out of the page and back', path => `/../paris${path}`, [403, 404]],
]

/** Spellings that no server takes for the path: they reach the program, which has nothing there. */
const others: readonly ((path: string) => string)[] = [
  path => `${path};a=b`,
  path => path.replace(/[a-z](?=[^a-z]*$)/, letter => escaped(letter).replace('%', '%25')),
  path => `${path}%20`,
]

function escaped(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`
}

describe('pages: what is denied, on the real programs', function () {
  this.timeout(120_000)
  let pages: Pages

  before(async () => {
    pages = await sharedPages()
  })

  for (const [way, at] of ways)
    it(`${way}, no spelling of a dangerous path gets through`, async () => {
      for (const [kind, method, path] of dangerous)
        for (const [spelled, spell, expected] of spellings) {
          const base = at(kind, 'paris').slice(0, -1)
          const {status} = await askAt(pages, `${base}${spell(path)}`, {method, body: method === 'GET' ? '' : '{}'})
          expect(status, `${kind} ${method} ${path} ${spelled}`).to.be.oneOf(expected)
        }

      for (const [kind, method, path] of dangerous.filter(([kind]) => kind === 'prom'))
        expect((await askAt(pages, `${at(kind, 'paris')}1${path}`, {method, body: ''})).status, `replica: ${path}`).to.equal(403)
    })

  it('other spellings reach the program, which does not know them', async () => {
    // All below these is denied, whatever it is called.
    const wholes = ['/api/v1/admin/', '/api/v1/otlp/', '/debug/']
    for (const [kind, method, path] of dangerous.filter(([, , path]) => !wholes.some(whole => path.startsWith(whole))))
      for (const spell of others) {
        const {status} = await askAt(pages, `${byPath(kind, 'paris').slice(0, -1)}${spell(path)}`, {method, body: '{}'})
        expect(status, `${kind} ${method} ${spell(path)}`).to.equal(404)
      }
  })

  it('Prometheus redirects from a spelling in capitals to the path itself, which is denied', async () => {
    const base = byPath('prom', 'paris')
    for (const [spelled, path] of [
      ['-/Quit', '-/quit'],
      ['-/RELOAD', '-/reload'],
    ] as const) {
      const {status, headers} = await askAt(pages, `${base}${spelled}`, {method: 'POST', body: '{}'})
      expect([status, headers.location], spelled).to.deep.equal([307, `/prom/paris/${path}`])
      expect((await askAt(pages, `${base}${path}`, {method: 'POST', body: '{}'})).status).to.equal(403)
    }
  })

  it('neither Prometheus has ended, nor has it read its configuration again', async () => {
    for (const replica of [0, 1]) {
      const {body} = await askAt(pages, `${byPath('prom', 'paris')}${replica}/api/v1/status/runtimeinfo`)
      const {data} = JSON.parse(body) as {data: {startTime: string; lastConfigTime: string}}
      expect(Date.parse(data.lastConfigTime) - Date.parse(data.startTime)).to.be.lessThan(10_000)
    }
    expect(pages.network.crashed.aborted).to.equal(false)
  })

  it('a registration allows what administers Prometheus', async () => {
    const listen = pages.spare(9090)
    await startPrometheus(pages.ground, {name: 'prometheus-lyon-admin', listen, version: 3})
    const base = byPath('prom', 'lyon')
    const reload = async (): Promise<number> => (await askAt(pages, `${base}-/reload`, {method: 'POST', body: ''})).status
    const config = async (): Promise<string> => (await askAt(pages, `${base}api/v1/status/config`)).body
    await pages.behindLyon({prometheus: listen}, {}, async () => (await config()).includes('prometheus-lyon-admin'))
    expect(await reload()).to.equal(403)
    await pages.behindLyon({}, {allowAdmin: true}, async () => (await reload()) === 200)
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

  it('a target on the machine of its Envoy is refused, and the page says how to allow it', async () => {
    const base = byPath('prom', 'lyon')
    const restore = await edit(pages.network, files.registration('lyon'), text =>
      text.replace(/\n *goatlas.io\/allow-local-targets: .*/, ''),
    )
    const refused = async (): Promise<boolean> => (await askAt(pages, base)).body.includes('goatlas.io/allow-local-targets')
    await until(pages.network, 'the page to be refused', refused)
    expect((await askAt(pages, base)).status).to.equal(403)
    await restore()
    await until(pages.network, 'the page to be there', async () => !(await refused()))
  })
})
