/** oauth2-proxy in front of 10904: without a login no page is seen, with one pages work, and no cluster learns who logged in. Alerts need no login. */
import {expect} from 'chai'
import type {Browser, BrowserContext, Page} from 'playwright-core'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {init} from '../../src/lib/ops/init.js'
import {until} from '../e2e/look.js'
import {type RecordingServer, ask} from '../helpers/http1.js'
import {inSteps} from '../helpers/steps.js'
import {createSilence, openAlertmanager} from './support/alertmanager-ui.js'
import {newVisitor, openBrowser} from './support/browser.js'
import {ALERT, VISITOR, startLoginProxy} from './support/programs.js'
import {openPrometheus, query, untilRow} from './support/prometheus-ui.js'
import {type Pages, byHost, byPath, sharedPages} from './support/scene.js'

describe('pages: behind a login proxy', function () {
  this.timeout(300_000)
  inSteps()
  let pages: Pages
  let proxy: HostPort
  let recorded: RecordingServer
  let browser: Browser
  let visitor: BrowserContext
  let page: Page

  before(async () => {
    pages = await sharedPages()
    proxy = {host: pages.network.address, port: 4180}
    await startLoginProxy(pages.ground, proxy, pages.door)
    recorded = await pages.recordedBehindLyon()
    recorded.requests.splice(0)
    browser = await openBrowser(proxy)
    pages.network.onClose(() => browser.close())
    visitor = await newVisitor(browser)
    page = await visitor.newPage()
  })

  async function login(): Promise<void> {
    await page.locator('input[name=username]').fill(VISITOR.name)
    await page.locator('input[name=password]').fill(VISITOR.password)
    await page
      .locator('form', {has: page.locator('input[name=password]')})
      .locator('button')
      .click()
  }

  it('without a login nothing is seen, and nothing reaches a cluster', async () => {
    for (const base of [byPath('prom', 'lyon'), byHost('prom', 'lyon'), byPath('alertmanager', 'paris'), byHost('thanos', 'lyon')]) {
      const answer = await page.goto(base)
      expect(answer?.status(), base).to.equal(403)
      await page.locator('input[name=password]').waitFor()
    }

    for (const [path, headers] of [
      ['/prom/lyon/', {authorization: `Basic ${Buffer.from('kim:wrong').toString('base64')}`}],
      ['/prom/lyon/api/v1/query?query=up', {cookie: '_oauth2_proxy=forged', 'x-forwarded-user': 'kim', 'x-forwarded-email': 'kim'}],
      ['//prom/lyon/', {'x-auth-request-redirect': '/prom/lyon/'}],
      ['/oauth2/../prom/lyon/', {}],
    ] as const)
      expect((await ask(proxy, path, {headers})).status, path).to.be.oneOf([301, 401, 403, 404])
    expect(recorded.requests).to.deep.equal([])
  })

  it('alerts pass without a login', async () => {
    const {alertmanager} = pages
    await init(pages.network.store, {alertmanagers: [alertmanager]}, dependencies)
    const own = {host: pages.network.member('lyon').address, port: 10_903}
    const alert = {method: 'POST', headers: {'content-type': 'application/json'}, body: '[{"labels":{"alertname":"FromLyon"}}]'}
    const path = '/am/alertmanager0/api/v2/alerts'
    await until(pages.network, 'the alert to be accepted', async () => (await ask(own, path, alert)).status === 200)
    await until(pages.network, 'the alert', async () => (await ask(alertmanager, '/api/v2/alerts')).body.includes('FromLyon'))
  })

  it('a login at the form leads to the page that was asked for, and Prometheus works', async () => {
    const base = byPath('prom', 'paris')
    await page.goto(base)
    await login()
    await page.waitForURL(`${base}query`)
    await query(page, 'vector(3)')
    await untilRow(page, /3$/)
    await page.reload()
    await untilRow(page, /3$/)
    await openPrometheus(page, `${base}1/`)
  })

  it('each host name asks for a login of its own', async () => {
    const base = byHost('prom', 'paris')
    expect((await page.goto(`${base}alerts`))?.status()).to.equal(403)
    await login()
    await page.waitForURL(`${base}alerts`)
    await page.getByText(ALERT, {exact: true}).first().waitFor()
  })

  it('Alertmanager works, too, and takes a silence', async () => {
    const base = byPath('alertmanager', 'paris')
    await openAlertmanager(page, base, ALERT)
    const id = await createSilence(page, base, 'FromLyon')
    expect((await ask(pages.alertmanager, `/api/v2/silence/${id}`, {method: 'DELETE'})).status).to.equal(200)
  })

  it('the cluster does not learn who logged in', async () => {
    await page.goto(byPath('prom', 'lyon'))
    expect(recorded.requests.length).to.be.greaterThan(0)
    for (const {headers} of recorded.requests) {
      expect(headers).to.not.have.any.keys('cookie', 'authorization', 'x-forwarded-user', 'x-forwarded-email', 'x-forwarded-access-token')
      expect(JSON.stringify(headers)).to.not.match(/kim|oauth2/i)
    }
  })

  it('the page of a cluster cannot end the login', async () => {
    const acting = {'set-cookie': '_oauth2_proxy=; Max-Age=0; Path=/', 'clear-site-data': '"*"', 'content-type': 'text/html'}
    recorded.answer(200, acting, '<h1>stolen</h1>')
    await page.goto(byPath('prom', 'lyon'))
    await openPrometheus(page, byPath('prom', 'paris'))
  })

  it('after signing out nothing is seen any more', async () => {
    await page.goto(`${new URL(byPath('prom', 'paris')).origin}/oauth2/sign_out`)
    expect((await page.goto(byPath('prom', 'paris')))?.status()).to.equal(403)
  })
})
