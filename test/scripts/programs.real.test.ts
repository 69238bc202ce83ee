/** The programs for tests of web pages run here, and Chromium shows the pages that are compiled into Prometheus 3 and Alertmanager. */
import {execFile} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {promisify} from 'node:util'
import {expect} from 'chai'
import type {Browser} from 'playwright-core'
import {programs} from '../../src/demo/lab/catalogue.js'
import {reserveSites} from '../../src/demo/lab/free-addresses.js'
import {openSupervisor} from '../../src/demo/lab/processes.js'
import {renderHostPort} from '../../src/lib/model/address.js'
import {newVisitor, openBrowser} from '../pages/support/browser.js'
import {ALERT, type Ground, programAt, startAlertmanager, startPrometheus} from '../pages/support/programs.js'

describe('programs for web pages', function () {
  this.timeout(300_000)
  const undo: (() => Promise<unknown> | void)[] = []
  let ground: Ground
  let browser: Browser
  let address: string

  before(async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'atlas-programs-'))
    undo.push(() => rm(folder, {recursive: true, force: true, maxRetries: 3}))
    const {sites, release} = await reserveSites('own', 0)
    undo.push(release)
    const supervisor = await openSupervisor(folder, {removeFolder: true})
    undo.push(() => supervisor.stopAll(500))
    ground = {folder, crashed: supervisor.crashed, startProcess: spec => supervisor.start(spec)}
    address = sites.observability.address
    browser = await openBrowser({host: address, port: 9090})
    undo.push(() => browser.close())
  })
  after(async () => {
    for (const act of undo.reverse()) await act()
  })

  it('Prometheus 3 shows the alerts of its rules, also by a name that no name server knows', async () => {
    await startPrometheus(ground, {name: 'prometheus', listen: {host: address, port: 9090}, version: 3})
    const page = await (await newVisitor(browser)).newPage()
    await page.goto('http://prometheus.example/alerts')
    await page.getByText(ALERT, {exact: true}).first().waitFor()
  })

  it('Alertmanager shows what it was sent', async () => {
    const listen = {host: address, port: 9093}
    await startAlertmanager(ground, {name: 'alertmanager', listen})
    const body = JSON.stringify([{labels: {alertname: 'Sent'}}])
    const headers = {'content-type': 'application/json'}
    expect((await fetch(`http://${renderHostPort(listen)}/api/v2/alerts`, {method: 'POST', headers, body})).status).to.equal(200)
    const own = await openBrowser(listen)
    undo.push(() => own.close())
    const page = await (await newVisitor(own)).newPage()
    await page.goto('http://alertmanager.example/')
    await page.getByText('alertname="Sent"').first().waitFor()
  })

  it('oauth2-proxy is the version that is built', async () => {
    const {stdout} = await promisify(execFile)(programAt('oauth2-proxy'), ['--version'])
    expect(stdout).to.match(new RegExp(`^oauth2-proxy v${programs['oauth2-proxy'].version.replaceAll('.', String.raw`\.`)} `))
  })
})
