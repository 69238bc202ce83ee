/** Alerts through both Envoys, with recording servers as Alertmanagers: how they are announced, who may send what, and who is told of it. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {init} from '../../src/lib/ops/init.js'
import {type PageAnswer, type PageRequest, type RecordingServer, ask, serveRecording} from '../helpers/http1.js'
import {until, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: alerts', function () {
  this.timeout(240_000)
  let network: Network
  const alertmanagers: {at: HostPort; server: RecordingServer}[] = []
  const alerts: PageRequest = {method: 'POST', headers: {'content-type': 'application/json'}, body: '[{"labels":{"alertname":"x"}}]'}

  const send = (cluster: string, path: string, request: PageRequest = alerts): Promise<PageAnswer> =>
    ask({host: network.member(cluster).address, port: 10_903}, path, request)

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'lyon']})
    const block = network.spareAddress(0).replace(/\.200$/, '')
    for (const number of [0, 1, 2]) {
      const at = {host: `${block}.15${number}`, port: 9093}
      const server = await serveRecording(at, `am${number}`)
      network.onClose(server.close)
      alertmanagers.push({at, server})
    }

    await init(network.store, {alertmanagers: alertmanagers.slice(0, 2).map(({at}) => at)}, dependencies)
    await untilReachable(network)
    for (const cluster of ['paris', 'lyon'])
      await until(network, 'the Alertmanagers to be announced', async () => (await announced(cluster)).length === 2)
    for (const number of [0, 1])
      await until(network, 'the way of alerts', async () => (await send('paris', `/am/alertmanager${number}/api/v2/alerts`)).status === 200)
  })
  after(() => closeNetwork(network))

  async function announced(cluster: string): Promise<readonly {targets: readonly string[]; labels: Record<string, string>}[]> {
    const {body, headers} = await send(cluster, '/sd/alertmanagers', {})
    expect(headers['content-type']).to.equal('application/json')
    return JSON.parse(body) as Awaited<ReturnType<typeof announced>>
  }

  it('are announced with the address of the Envoy and a path for each Alertmanager', async () => {
    const targets = [`${network.member('lyon').address}:10903`]
    expect(await announced('lyon')).to.deep.equal(
      [0, 1].map(number => ({
        targets,
        labels: {am_path: `/am/alertmanager${number}/api/v2/alerts`, alertmanager: `alertmanager${number}`},
      })),
    )
  })

  it('reach each Alertmanager by its path, and by the host name of 2021, with the name of the sender and no login', async () => {
    for (const [number, {server}] of alertmanagers.slice(0, 2).entries()) {
      for (const [path, headers] of [
        [`/am/alertmanager${number}/api/v2/alerts`, {}],
        ['/api/v2/alerts', {host: `alertmanager${number}`}],
        ['/api/v2/alerts', {host: `alertmanager${number}.monitoring.svc:9093`}],
      ] as const) {
        const login = {
          authorization: 'Bearer x',
          'proxy-authorization': 'Basic x',
          cookie: 'x=1',
          'x-atlas-sender': 'spiffe://atlas.internal/downstream/other/1',
        }
        const before = server.requests.length
        expect(await send('lyon', path, {...alerts, headers: {...alerts.headers, ...login, ...headers}})).to.include({
          status: 200,
          body: `am${number}`,
        })
        expect(server.requests).to.have.length(before + 1)
        const request = server.requests.at(-1)
        expect(request).to.deep.include({method: 'POST', path: '/api/v2/alerts'})
        expect(request?.headers).to.include({
          'x-atlas-sender': 'spiffe://atlas.internal/downstream/lyon/1',
          'content-type': 'application/json',
        })
        expect(request?.headers).to.not.have.any.keys('authorization', 'cookie', 'proxy-authorization')
      }
    }
  })

  it('have a line each in the access log of the observability Envoy, with the cluster that has sent them', async () => {
    // Lines of the tests before may still come: these requests are told by their length.
    const request = {...alerts, body: '[{"labels":{"alertname":"a line in the access log"}}]'}
    for (const cluster of ['paris', 'lyon', 'paris', 'paris'])
      expect((await send(cluster, '/am/alertmanager0/api/v2/alerts', request)).status).to.equal(200)
    const peers = (): readonly string[] =>
      network.observability
        .logged('request')
        .filter(({listener, bytes_received: bytes}) => listener === 'alerts' && Number(bytes) === request.body.length)
        .map(({peer = '', status}) => `${status} ${peer}`)
    const [paris, lyon] = ['paris', 'lyon'].map(cluster => `200 spiffe://atlas.internal/downstream/${cluster}/1`)
    await until(network, 'four lines', () => peers().length === 4)
    expect(peers()).to.have.members([paris, lyon, paris, paris])
  })

  it('D6: are all that passes: no silence, no page, no other path', async () => {
    const before = alertmanagers.map(({server}) => server.requests.length)
    for (const [method, path] of [
      ['GET', '/am/alertmanager0/api/v2/alerts'],
      ['POST', '/am/alertmanager0/api/v2/silences'],
      ['GET', '/am/alertmanager0/'],
      ['POST', '/am/alertmanager0/api/v2/alerts/'],
      ['POST', '/am/alertmanager0/../alertmanager0/api/v2/silences'],
      ['POST', '/am/alertmanager9/api/v2/alerts'],
      ['POST', '/api/v2/alerts'],
      ['POST', '/sd/alertmanagers'],
      ['GET', '/'],
    ] as const)
      expect((await send('paris', path, {...alerts, method})).status, `${method} ${path}`).to.equal(404)
    expect(alertmanagers.map(({server}) => server.requests.length)).to.deep.equal(before)
  })

  it('have a length, of 4 MiB at most', async () => {
    const path = '/am/alertmanager0/api/v2/alerts'
    expect((await send('paris', path, {...alerts, body: 'x'.repeat(4 * 1024 * 1024)})).status).to.equal(200)
    const before = alertmanagers[0]?.server.requests.length
    expect((await send('paris', path, {...alerts, body: 'x'.repeat(4 * 1024 * 1024 + 1)})).status).to.equal(413)
    expect((await send('paris', path, {...alerts, headers: {'transfer-encoding': 'chunked'}})).status).to.equal(411)
    expect(alertmanagers[0]?.server.requests).to.have.length(before ?? -1)
  })

  it('of a flooding cluster are refused with 429 and nothing else, and of no other', async () => {
    const path = '/am/alertmanager1/api/v2/alerts'
    const begun = Date.now()
    const others: Promise<PageAnswer>[] = []
    const flood = Promise.all(Array.from({length: 400}, async () => send('paris', path)))
    for (let turn = 0; turn < 10; turn += 1) others.push(send('lyon', path))
    const answers = await flood
    const seconds = (Date.now() - begun) / 1000
    const unexpected = answers.filter(({status}) => status !== 200 && status !== 429).map(({status, body}) => `${status}: ${body}`)
    expect(unexpected).to.deep.equal([])
    const passed = answers.filter(({status}) => status === 200).length
    // 100 at once and 20 a second; the tests before have used a few.
    expect(passed).to.be.within(80, 100 + 20 * (seconds + 1))
    expect((await Promise.all(others)).map(({status}) => status)).to.deep.equal(Array.from({length: 10}, () => 200))
    for (let turn = 0; turn < 10; turn += 1) expect((await send('lyon', path)).status).to.equal(200)
  })

  it('reach Alertmanagers that come, and no longer those that go', async () => {
    await init(network.store, {alertmanagers: alertmanagers.slice(1).map(({at}) => at)}, dependencies)
    await until(network, 'the new list', async () => (await send('lyon', '/am/alertmanager1/api/v2/alerts')).body === 'am2')
    await until(network, 'the whole new list', async () => (await send('lyon', '/am/alertmanager0/api/v2/alerts')).body === 'am1')
    await init(network.store, {alertmanagers: []}, dependencies)
    await until(network, 'the empty list', async () => (await announced('lyon')).length === 0)
    await init(network.store, {alertmanagers: alertmanagers.map(({at}) => at)}, dependencies)
    await until(network, 'the whole list', async () => (await send('lyon', '/am/alertmanager2/api/v2/alerts')).body === 'am2')
  })

  it('of a removed cluster are refused, also on connections that are open', async () => {
    await removeCluster(network.store, 'paris', dependencies)
    await until(network, 'the denial', async () => (await send('paris', '/am/alertmanager0/api/v2/alerts')).status === 403)
    expect((await send('lyon', '/am/alertmanager0/api/v2/alerts')).status).to.equal(200)
  })
})
