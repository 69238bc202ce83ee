/** Uses the web pages of Alertmanager as a person does. They are one document, whose pages are fragments: `#/alerts`. */
import {expect} from 'chai'
import type {Locator, Page} from 'playwright-core'

/** Opens the start page, and waits until it shows the alert. */
export async function openAlertmanager(page: Page, base: string, alert: string): Promise<void> {
  await page.goto(base)
  await page.getByText(`alertname="${alert}"`).first().waitFor()
  // The browser tells of a new address on its own: it may be known later than what is shown there.
  await page.waitForURL(`${base}#/alerts`, {waitUntil: 'commit'})
}

/** Silences an alert by its own link, and the form behind it. @returns the silence's identifier */
export async function createSilence(page: Page, base: string, alert: string): Promise<string> {
  await page.locator(`a[href*="silences/new?filter"][href*="${alert}"]`).first().click()
  await page.waitForURL(url => url.href.startsWith(`${base}#/silences/new?filter`), {waitUntil: 'commit'})
  await page.getByText(`alertname="${alert}"`).first().waitFor()
  const field = (label: string): Locator => page.locator('.form-group', {hasText: label}).locator('input, textarea')
  await field('Creator').fill('kim')
  await field('Comment').fill('for a test')
  await page.getByRole('button', {name: 'Create'}).click()
  await page.waitForURL(/#\/silences\/[0-9a-f-]{36}$/)
  await page.getByText('for a test').first().waitFor()
  expect(page.url().startsWith(base)).to.equal(true)
  return page.url().replace(/.*\//, '')
}

/** Ends the silence that is shown, and waits for the answer. */
export async function expireSilence(page: Page): Promise<void> {
  await page.getByRole('button', {name: 'Expire'}).click()
  const answer = page.waitForResponse(response => response.request().method() === 'DELETE')
  await page.getByRole('button', {name: 'Confirm'}).click()
  await answer
}
