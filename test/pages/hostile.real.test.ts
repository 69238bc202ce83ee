/** A browser at the pages of a cluster that records what it is asked, and at those of a stolen one, which tries to act beyond them. */
import {expect} from 'chai'
import type {BrowserContext, Page} from 'playwright-core'
import type {RecordingServer} from '../helpers/http1.js'
import {newVisitor} from './support/browser.js'
import {type Pages, askAt, byHost, byPath, sharedPages, ways} from './support/scene.js'

/** What a login leaves in the browser, and what login proxies and clients add. */
const login = {name: '_login', value: 'secret'}
const identity = {
  authorization: 'Bearer secret',
  'remote-user': 'secret',
  'x-auth-request-access-token': 'secret',
  'x-auth-request-email': 'secret',
  'x-forwarded-access-token': 'secret',
  'x-forwarded-email': 'secret',
  'x-forwarded-groups': 'secret',
  'x-forwarded-host': 'secret.example',
  'x-forwarded-prefix': '//secret.example',
  'x-forwarded-user': 'secret',
  'x-id-token': 'secret',
  'x-real-ip': '203.0.113.7',
  'x-webauth-user': 'secret',
}

/** The list, what HTTP needs, and what Envoy sets itself. */
const passing = /^(accept|accept-encoding|accept-language|cache-control|content-.*|if-.*|range|user-agent|x-requested-with)$/
const ofEnvoy = /^(host|transfer-encoding|x-envoy-.*|x-forwarded-(for|prefix|proto)|x-request-id)$/

const acting = {
  'access-control-allow-credentials': 'true',
  'access-control-allow-origin': '*',
  'alt-svc': 'h3=":443"; ma=86400',
  'clear-site-data': '"*"',
  'content-type': 'text/html',
  refresh: '0; url=http://evil.example/',
  'service-worker-allowed': '/',
  'set-cookie': '_login=stolen; Path=/',
  'strict-transport-security': 'max-age=86400',
}

describe('pages: cleaned in both directions, in a browser', function () {
  this.timeout(300_000)
  let pages: Pages
  let server: RecordingServer
  let visitor: BrowserContext
  let page: Page

  before(async () => {
    pages = await sharedPages()
    server = await pages.recordedBehindLyon()
  })
  beforeEach(async () => {
    server.requests.splice(0)
    visitor = await newVisitor(pages.browser)
    await visitor.addCookies(ways.map(([, at]) => ({...login, url: at('prom', 'lyon')})))
    page = await visitor.newPage()
  })
  afterEach(() => visitor.close())

  /** Runs a script in the page. @returns what it returns, or how it failed */
  async function inPage(script: string): Promise<unknown> {
    return page.evaluate(`(async () => { ${script} })().catch(error => error.name)`)
  }

  for (const [way, at] of ways) {
    const base = at('prom', 'lyon')

    it(`${way}, the cluster sees no cookie, no authorization and no identity`, async () => {
      server.answer(200, {'content-type': 'text/html'}, '<h1>recorded</h1>')
      await visitor.setExtraHTTPHeaders(identity)
      await page.goto(base)
      const headers = {'content-type': 'text/plain', 'x-requested-with': 'XMLHttpRequest', 'x-custom': 'secret'}
      expect(
        await inPage(`return (await fetch('api', {method: 'POST', body: 'query=up', headers: ${JSON.stringify(headers)}})).status`),
      ).to.equal(200)
      const posted = server.requests.find(({method}) => method === 'POST')?.headers
      expect(posted).to.include({'content-type': 'text/plain', 'content-length': '8', 'x-requested-with': 'XMLHttpRequest'})
      expect(server.requests.length).to.be.greaterThan(1)
      for (const request of server.requests) {
        expect(Object.keys(request.headers).filter(name => !passing.test(name) && !ofEnvoy.test(name))).to.deep.equal([])
        expect(JSON.stringify(request)).to.not.match(/secret|203\.0\.113\.7|localhost|_login/)
      }
    })

    it(`${way}, the answer of a stolen cluster leaves cookies, browser and other pages as they were`, async () => {
      server.answer(200, acting, '<h1>stolen</h1>')
      const answer = await page.goto(base)
      const got = await answer?.allHeaders()
      expect(got).to.include({'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin', 'content-type': 'text/html'})
      for (const name of Object.keys(acting).filter(each => each !== 'content-type')) expect(got, name).to.not.have.property(name)
      const cookies = await visitor.cookies(base)
      expect(cookies.map(({name, value}) => ({name, value}))).to.deep.equal([login])
    })

    it(`${way}, a stolen cluster can't keep a service worker in the browser`, async () => {
      server.answer(200, {...acting, 'content-type': 'text/javascript'}, '/* a service worker */')
      await page.goto(base)
      for (const scope of ['/', './'])
        expect(await inPage(`return (await navigator.serviceWorker.register('sw.js', {scope: '${scope}'})).scope`), scope).to.be.oneOf([
          'SecurityError',
          'TypeError',
        ])
      expect(await inPage('return (await navigator.serviceWorker.getRegistrations()).length')).to.equal(0)
    })

    it(`${way}, its redirects lead nowhere else`, async () => {
      for (const location of [
        'http://evil.example/',
        '//evil.example/x',
        '/\\evil.example/x',
        '\\\\evil.example/x',
        '/\t/evil.example/x',
        'http:evil.example/x',
        'http:/\\evil.example/x',
        ...(at === byPath ? ['/prom/paris/', '../paris/', '/prom/lyon/../paris/', '%2e%2e/paris/', '/x/..%5c..%5cparis/'] : []),
      ]) {
        server.answer(302, {location})
        const chain: string[] = []
        page.on('request', request => chain.push(request.url()))
        // The page it leads to redirects again, until the browser gives up.
        await page.goto(`${base}start`).catch(() => undefined)
        page.removeAllListeners('request')
        expect(chain.length, location).to.be.greaterThan(1)
        expect(
          chain.filter(url => !url.startsWith(base)),
          JSON.stringify(location),
        ).to.deep.equal([])
      }
    })
  }

  it('by host name, the page of a stolen cluster shows no other one in a frame', async () => {
    const other = byHost('alertmanager', 'paris')
    server.answer(200, {'content-type': 'text/html', 'content-security-policy': 'frame-src *'}, `<iframe src="${other}"></iframe>`)
    const answered = page.waitForResponse(other)
    await page.goto(byHost('prom', 'lyon'))
    expect((await answered).status()).to.equal(200)
    const frame = page.frames()[1] ?? expect.fail('no frame')
    await frame.waitForURL(/^chrome-error:/, {waitUntil: 'commit'})
    expect(frame.url()).to.match(/^chrome-error:/)

    // The same frame is shown in a page of its own host, so that the refusal above is one.
    await page.goto(other)
    const own = await inPage(
      `const frame = document.createElement('iframe'); frame.src = '${other}'; const loaded = new Promise(resolve => { frame.onload = resolve }); document.body.append(frame); await loaded; return frame.contentDocument?.location.href ?? 'blocked'`,
    )
    expect(own).to.include(other)
  })

  it('by host name, the page of a stolen cluster neither reads nor writes at another one', async () => {
    server.answer(200, {'content-type': 'text/html'}, '<h1>stolen</h1>')
    await page.goto(byHost('prom', 'lyon'))
    const other = `${byHost('prom', 'paris')}api/v1/query?query=up`
    expect(await inPage(`return (await fetch('${other}')).status`)).to.equal('TypeError')
    expect(await inPage(`return (await fetch('${other}', {mode: 'no-cors'})).type`)).to.equal('opaque')

    const silences = `${byHost('alertmanager', 'paris')}api/v2/silences`
    const before = (await askAt(pages, silences)).body
    const silence = {
      matchers: [{name: 'alertname', value: 'x', isRegex: false}],
      startsAt: new Date().toISOString(),
      endsAt: '2100-01-01T00:00:00Z',
      createdBy: 'x',
      comment: 'x',
    }
    const sent = `{method: 'POST', mode: 'no-cors', body: new Blob([${JSON.stringify(JSON.stringify(silence))}])}`
    expect(await inPage(`return (await fetch('${silences}', ${sent})).type`)).to.equal('opaque')
    expect((await askAt(pages, silences)).body).to.equal(before)
    // The same is accepted from the page itself, so that the refusal above is one.
    await page.goto(byHost('alertmanager', 'paris'))
    const own = `{method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(${JSON.stringify(silence)})}`
    expect(await inPage(`return (await fetch('${silences}', ${own})).status`)).to.equal(200)
  })
})
