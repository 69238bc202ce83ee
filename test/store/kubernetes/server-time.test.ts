/** The clock of an API server, by the `Date` header of its responses. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {type Server, createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {openCluster} from '../../../src/lib/store/open.js'
import type {StateStore} from '../../../src/lib/store/store.js'

describe('the time of an API server', () => {
  let [folder, date] = ['', '']
  let server: Server
  let store: StateStore

  before(async () => {
    server = createServer((_, response) => {
      response.sendDate = false
      if (date !== '') response.setHeader('date', date)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({metadata: {resourceVersion: '1'}, items: []}))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-time-'))
    const kubeconfig = path.join(folder, 'config')
    const {port} = server.address() as AddressInfo
    const clusters = [{name: 'c', cluster: {server: `http://127.0.0.1:${port}`}}]
    const contexts = [{name: 'c', context: {cluster: 'c', user: 'u'}}]
    await writeFile(kubeconfig, JSON.stringify({clusters, contexts, users: [{name: 'u', user: {}}], 'current-context': 'c'}))
    store = await openCluster({cluster: {kubeconfig, namespace: 'atlas'}})
  })
  after(async () => {
    store.close()
    server.closeAllConnections()
    server.close()
    await rm(folder, {recursive: true})
  })

  it('is unknown before its first response, and where a response has no date', async () => {
    expect(store.serverTime()).to.equal(undefined)
    await store.load()
    expect(store.serverTime()).to.equal(undefined)
  })

  it('is that of its newest response, and goes on', async () => {
    date = 'Mon, 23 Nov 2026 00:00:00 GMT'
    await store.load()
    const time = store.serverTime() ?? 0
    expect(time - Date.parse(date)).to.be.within(0, 60_000)
    date = 'Tue, 24 Nov 2026 00:00:00 GMT'
    await store.load()
    expect((store.serverTime() ?? 0) - Date.parse(date)).to.be.within(0, 60_000)
    date = 'tomorrow'
    await store.load()
    expect(store.serverTime() ?? 0).to.be.at.least(Date.parse('2026-11-24'))
  })
})
