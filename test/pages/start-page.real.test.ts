/** The start page in a browser without JavaScript: its links lead to the pages of each cluster and replica, by both ways. */
import {expect} from 'chai'
import type {PageKind} from '../../src/lib/model/names.js'
import {until} from '../e2e/look.js'
import {newVisitor} from './support/browser.js'
import {namedIn} from './support/crawl.js'
import {type Pages, askAt, byHost, byPath, sharedPages} from './support/scene.js'

describe('pages: the start page', function () {
  this.timeout(240_000)
  let pages: Pages
  const start = new URL('/', byPath('prom', 'paris')).href

  before(async () => {
    pages = await sharedPages()
    await until(pages.network, 'the start page', async () => (await askAt(pages, start)).status === 200)
  })

  it('shows every cluster without JavaScript, and its link leads to the replica', async () => {
    const visitor = await newVisitor(pages.browser, {javaScriptEnabled: false})
    const page = await visitor.newPage()
    await page.goto(start)
    for (const name of ['observability cluster', 'lyon', 'paris']) await page.getByText(name, {exact: true}).first().waitFor()
    await page.getByRole('link', {name: 'Prometheus of paris, replica 1'}).first().click()
    await page.waitForURL(`${byHost('prom', 'paris')}1/query`, {waitUntil: 'commit'})
    await visitor.close()
  })

  it('has a link to each page, and the pages are there', async () => {
    const visitor = await newVisitor(pages.browser)
    const page = await visitor.newPage()
    await page.goto(start)
    const linked = (await namedIn(page)).filter(url => url !== start)
    await visitor.close()
    const of = (kind: PageKind): readonly string[] => [byHost(kind, 'paris'), byPath(kind, 'paris')]
    const replicas = [0, 1].map(replica => `${byHost('prom', 'paris')}${replica}/`)
    const answered = [...of('prom'), ...replicas, ...of('alertmanager'), `${start}status.json`]
    const metrics = of('thanos').map(url => `${url}metrics`)
    expect(linked).to.include.members([...answered, ...metrics])
    for (const url of answered) expect((await askAt(pages, url)).status, url).to.be.oneOf([200, 302])
    // The sidecars of this network have no HTTP port: Envoy says so.
    for (const url of metrics) expect((await askAt(pages, url)).status, url).to.equal(503)
  })
})
