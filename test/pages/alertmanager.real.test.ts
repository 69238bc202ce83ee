/** Alertmanager's own web pages through both Envoys, in a real browser, by path and by host name. */
import {expect} from 'chai'
import type {BrowserContext, Page} from 'playwright-core'
import {createSilence, expireSilence, openAlertmanager} from './support/alertmanager-ui.js'
import {newVisitor} from './support/browser.js'
import {namedIn, requestsOf, strays} from './support/crawl.js'
import {ALERT} from './support/programs.js'
import {type Pages, askAt, byHost, sharedPages, ways} from './support/scene.js'

/** The alert's source is where its Prometheus says that it is; scene.ts gives it its host name at Atlas. */
const source = `${byHost('prom', 'paris')}graph?g0.expr=vector%281%29&g0.tab=1`

/** Those that lead out of the page, but for the manual. */
function elsewhere(urls: readonly string[], base: string): readonly string[] {
  return strays(urls, base).filter(url => !url.startsWith('https://prometheus.io/'))
}

describe('pages: Alertmanager', function () {
  this.timeout(300_000)
  let pages: Pages
  let visitor: BrowserContext
  let page: Page

  before(async () => {
    pages = await sharedPages()
  })
  beforeEach(async () => {
    visitor = await newVisitor(pages.browser)
    page = await visitor.newPage()
  })
  afterEach(async () => {
    await visitor.close()
  })

  for (const [way, at] of ways)
    describe(way, () => {
      const base = at('alertmanager', 'paris')

      it('show the alert that Prometheus sent, ask for nothing outside and link to nothing outside', async () => {
        const asked = requestsOf(page)
        const named = new Set<string>()
        await openAlertmanager(page, base, ALERT)
        for (const [entry, shows] of [
          ['Silences', 'New Silence'],
          ['New Silence', 'Creator'],
          ['Status', 'Uptime'],
          ['Settings', 'First day of the week'],
          ['Alerts', ALERT],
        ] as const) {
          await page.getByRole('link', {name: entry, exact: true}).first().click()
          await page.getByText(shows).first().waitFor()
          for (const url of await namedIn(page)) named.add(url)
        }

        expect(strays(asked, base)).to.deep.equal([])
        expect(elsewhere([...named], base)).to.deep.equal([source])
      })

      it('create a silence, and end it', async () => {
        const asked = requestsOf(page)
        await openAlertmanager(page, base, ALERT)
        const id = await createSilence(page, base, ALERT)
        const silence = async (): Promise<string> => (await askAt(pages, `${base}api/v2/silence/${id}`)).body
        expect(await silence())
          .to.include('"state":"active"')
          .and.to.include('for a test')
        await page.reload()
        await page.getByText('for a test').first().waitFor()
        expect(elsewhere(await namedIn(page), base).filter(url => url !== source)).to.deep.equal([])
        expect(strays(asked, base)).to.deep.equal([])
        await expireSilence(page)
        expect(await silence()).to.include('"state":"expired"')
      })
    })
})
