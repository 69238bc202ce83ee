/** Prometheus 3's own web pages through both Envoys, in a real browser, by path and by host name. */
import {expect} from 'chai'
import type {BrowserContext, Page} from 'playwright-core'
import {newVisitor} from './support/browser.js'
import {namedIn, requestsOf, strays} from './support/crawl.js'
import {ALERT} from './support/programs.js'
import {openGraph, openPrometheus, query, untilAt, untilRow, walkMenu} from './support/prometheus-ui.js'
import {type Pages, askAt, byPath, sharedPages, ways} from './support/scene.js'

describe('pages: Prometheus 3', function () {
  this.timeout(300_000)
  let pages: Pages
  let visitor: BrowserContext
  let page: Page
  let errors: string[]

  before(async () => {
    pages = await sharedPages()
  })
  beforeEach(async () => {
    visitor = await newVisitor(pages.browser)
    page = await visitor.newPage()
    errors = []
    page.on('pageerror', error => errors.push(String(error)))
    page.on('response', response => {
      if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`)
    })
  })
  afterEach(async () => {
    await visitor.close()
    expect(errors).to.deep.equal([])
  })

  for (const [way, at] of ways)
    describe(way, () => {
      const base = at('prom', 'paris')

      it('open on the query page, answer a query and draw a graph', async () => {
        await openPrometheus(page, base)
        await query(page, 'up')
        await untilRow(page, /^up\{.*job="itself".*\}1$/)
        await query(page, 'vector(42)')
        await openGraph(page)
        await untilAt(page, base, /^query\?g0\.expr=vector%2842%29&.*g0\.tab=graph/)
      })

      it('show all that is in the menu, ask for nothing outside and link to nothing outside', async () => {
        const asked = requestsOf(page)
        const named = new Set<string>()
        await openPrometheus(page, base)
        await walkMenu(page, base, async () => {
          for (const url of await namedIn(page)) named.add(url)
        })
        expect(asked).to.include(`${base}api/v1/notifications/live`)
        expect(strays(asked, base)).to.deep.equal([])
        // A target and an Alertmanager are shown with their own addresses, as links.
        const {hostname} = new URL(`http://${pages.network.spareAddress(0)}`)
        const own = [`http://${hostname.replace(/200$/, '10')}:9090/metrics`, `http://${hostname}:9093/api/v2/alerts`]
        expect(strays([...named], base).filter(url => !url.startsWith('https://prometheus.io/'))).to.have.members(own)
      })

      it('open at a deep link, and are the same after a reload and after going back', async () => {
        await page.goto(`${base}query?g0.expr=vector%287%29&g0.tab=table`)
        await untilRow(page, /7$/)
        await page.reload()
        await untilRow(page, /7$/)
        await page.getByRole('banner').getByRole('link', {name: 'Alerts'}).click()
        await page.getByText(ALERT, {exact: true}).first().waitFor()
        await page.reload()
        await page.getByText(ALERT, {exact: true}).first().waitFor()
        await page.goBack()
        await untilRow(page, /7$/)
        await untilAt(page, base, /^query\?g0\.expr=vector%287%29/)
      })

      it('of each replica are at its number, and go on there', async () => {
        for (const replica of [0, 1]) {
          const own = `${base}${replica}/`
          await openPrometheus(page, own)
          await page.goto(`${own}config`)
          await page.getByText(`prometheus: prometheus-paris-${replica}`).first().waitFor()
          await page.getByRole('banner').getByRole('link', {name: 'Alerts'}).click()
          await page.getByText(ALERT, {exact: true}).first().waitFor()
          await untilAt(page, own, 'alerts')
        }
      })
    })

  it('keep old links, and their query', async () => {
    const base = byPath('prom', 'paris')
    for (const [from, to] of [
      [base, `/prom/paris/query`],
      [`${base}graph?g0.expr=up`, `/prom/paris/query?g0.expr=up`],
      [`${base}1/graph?g0.expr=up`, `/prom/paris/1/query?g0.expr=up`],
      [base.slice(0, -1), '/prom/paris/'],
    ] as const) {
      const {status, headers} = await askAt(pages, from)
      expect([status, headers.location], from).to.deep.equal([302, to])
    }
  })
})
