/** Uses the web pages of Prometheus 3 as a person does. Works wherever they are: what is compared is their path below `base`. */
import {expect} from 'chai'
import type {Page} from 'playwright-core'
import {ALERT, RECORDED} from './programs.js'

/** Waits until the page is at this place, the path, query and fragment of its address below `base`: the browser may tell of it later than of what it shows. */
export async function untilAt(page: Page, base: string, place: RegExp | string): Promise<void> {
  const at = (): string => (page.url().startsWith(base) ? page.url().slice(base.length) : page.url())
  const isThere = (): boolean => (typeof place === 'string' ? at() === place : place.test(at()))
  await page.waitForURL(isThere, {waitUntil: 'commit'}).catch(() => undefined)
  expect(at()).to.match(typeof place === 'string' ? new RegExp(`^${place}$`) : place)
}

/** Opens the start page, which sends to `query`. */
export async function openPrometheus(page: Page, base: string): Promise<void> {
  await page.goto(base)
  await page.waitForURL(`${base}query`)
  await page.getByRole('button', {name: 'Execute'}).waitFor()
}

/** Types a query, and executes it. */
export async function query(page: Page, expression: string): Promise<void> {
  const editor = page.locator('.cm-content').first()
  await editor.fill(expression)
  // Closes the list of completions, which lies over what is below.
  await editor.press('Escape')
  await page.getByRole('button', {name: 'Execute'}).click()
}

/** Waits until the table of results has such a row: the series and its value. */
export async function untilRow(page: Page, pattern: RegExp): Promise<void> {
  await page.locator('table tbody tr').filter({hasText: pattern}).first().waitFor()
}

/** Opens the tab `Graph`, and waits until something is drawn. */
export async function openGraph(page: Page): Promise<void> {
  await page.getByRole('tab', {name: 'Graph'}).click()
  await page.locator('.uplot canvas').first().waitFor()
}

/** Goes through the pages of the menu, and looks at what each shows. @param look called at each of them */
export async function walkMenu(page: Page, base: string, look: () => Promise<void>): Promise<void> {
  const banner = page.getByRole('banner')
  await banner.getByRole('link', {name: 'Alerts'}).click()
  await page.getByText(ALERT, {exact: true}).first().waitFor()
  await untilAt(page, base, 'alerts')
  await look()
  for (const [entry, at, shows] of [
    ['Target health', 'targets', '1 / 1 up'],
    ['Rule health', 'rules', RECORDED],
    ['Service discovery', 'service-discovery', 'itself'],
    ['Runtime & build information', 'status', '3.12.0'],
    ['TSDB status', 'tsdb-status', 'Number of Series'],
    ['Command-line flags', 'flags', '--web.enable-admin-api'],
    ['Configuration', 'config', 'scrape_interval'],
    ['Alertmanager discovery', 'alertmanager-discovery', '/api/v2/alerts'],
  ] as const) {
    await banner.getByText(/^Status/).click()
    await page.getByRole('menuitem', {name: entry}).click()
    await page.getByText(shows).first().waitFor()
    await untilAt(page, base, at)
    await look()
  }
}
