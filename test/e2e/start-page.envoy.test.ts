/** The start page through the real observability Envoy: what a browser gets at 10904, also while no server runs. */
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import type {HostPort} from '../../src/lib/model/address.js'
import type {ShownStatus} from '../../src/lib/ops/status.js'
import {type PageAnswer, type PageRequest, ask} from '../helpers/http1.js'
import {atlasIn} from './by-hand.js'
import {edit, files} from './edit.js'
import {until, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const DOMAIN = 'web.example'

describe('e2e: the start page', function () {
  this.timeout(240_000)
  let network: Network
  let pages: HostPort
  const get = async (path: string, request?: PageRequest): Promise<PageAnswer> => ask(pages, path, request)

  before(async () => {
    network = await openNetwork({clusters: ['paris'], spare: 1, settings: {webDomain: DOMAIN}})
    pages = {host: network.address, port: 10_904}
    await until(network, 'the start page', async () => (await get('/')).status === 200)
  })
  after(() => closeNetwork(network))

  it('shows every cluster, whether its Envoy is connected, and links with the port that the browser uses', async () => {
    await network.register('lyon')
    const rowOf = (body: string, name: string): string => body.split('\n').find(line => line.includes(`<th scope="row">${name}<`)) ?? ''
    const host = `atlas.${DOMAIN}:8443`
    await until(network, 'lyon on the page, and both Envoys', async () => {
      const {body} = await get('/')
      return rowOf(body, 'lyon') !== '' && ['atlas', 'paris'].every(name => rowOf(body, name).includes('>connected<'))
    })
    const {headers, body} = await get('/', {headers: {host}})
    expect(headers['content-type']).to.equal('text/html; charset=utf-8')
    expect(rowOf(body, 'atlas')).to.include('>connected<')
    expect(rowOf(body, 'paris')).to.include('>connected<').and.to.include(`href="//paris.prom.${DOMAIN}:8443/"`)
    expect(rowOf(body, 'lyon')).to.include('>registered<')
    expect(body).to.include('Pages by path, such as <code>/prom/paris/</code>, are off').and.to.include('one origin')
  })

  it('comes with the headers of the server', async () => {
    const {headers} = await get('/')
    expect(headers['content-security-policy']).to.match(/^default-src 'none'; style-src 'sha256-/)
    expect(headers).to.include({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store',
    })
  })

  const statesIn = ({proxies}: ShownStatus): readonly string[] => proxies.map(({cluster, state}) => `${cluster} ${state}`)

  /** The document of the page and that of the command, of one state of the network: it may change between the two. */
  async function atOnce(): Promise<readonly [ShownStatus, ShownStatus]> {
    const ofPage = async (): Promise<ShownStatus> => JSON.parse((await get('/status.json')).body) as ShownStatus
    for (;;) {
      const before = await ofPage()
      const wanted = JSON.parse((await atlasIn(network, 'status', '--json')).stdout) as ShownStatus
      const shown = await ofPage()
      if (isDeepStrictEqual([statesIn(before), before.warnings], [statesIn(shown), shown.warnings])) return [shown, wanted]
    }
  }

  it('is there as JSON, the document of atlas status', async () => {
    await edit(network, files.registration('lyon'), text => text.replace(/^( *)annotations:\n/m, '$&$1  goatlas.io/adresses: x\n'))
    await until(network, 'a finding', async () => (await get('/status.json')).body.includes('goatlas.io/adresses'))
    // Until then the two may be asked at different moments of what this change, or the test before, has brought about.
    await untilSynced(network)
    const [shown, wanted] = await atOnce()
    expect(Object.keys(shown)).to.deep.equal(Object.keys(wanted))
    expect(statesIn(shown)).to.deep.equal(statesIn(wanted))
    const found = (status: ShownStatus): readonly string[] =>
      status.findings.map(({kind, cluster, message}) => `${kind} ${cluster}: ${message}`)
    expect(found(shown)).to.deep.equal(found(wanted))
    expect(found(shown).join()).to.include('registration lyon: ')
    for (const part of ['withoutProxy', 'faults', 'refusals', 'warnings'] as const) expect(shown[part], part).to.deep.equal(wanted[part])
    // The commands to run next name the store as the server knows it.
    expect(shown.findings.map(({next}) => next.split(' ').slice(0, 3))).to.deep.equal(
      wanted.findings.map(({next}) => next.split(' ').slice(0, 3)),
    )
  })

  it('is no other path, and is changed by no method', async () => {
    expect((await get('/status')).status).to.equal(404)
    expect((await get('/readyz')).status).to.equal(404)
    expect((await get('/', {method: 'POST'})).status).to.equal(405)
  })

  it('is 503 while no server runs, and there again afterwards', async () => {
    await network.server().stop(10_000)
    await until(network, 'a 503', async () => (await get('/')).status === 503)
    await network.startServer()
    await until(network, 'the start page', async () => (await get('/')).status === 200)
  })
})
