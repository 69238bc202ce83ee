/** The start page: every state of a cluster, its links, findings with their remedies, and text from outside, which stays text. */
import {createHash} from 'node:crypto'
import {expect} from 'chai'
import type {Cluster} from '../../../src/lib/model/cluster.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {type Owner, parseClusterName} from '../../../src/lib/model/names.js'
import {type Settings, defaultSettings} from '../../../src/lib/model/settings.js'
import type {ProxyStatus, ShownStatus} from '../../../src/lib/ops/status.js'
import {renderStartPage} from '../../../src/server/pages/render.js'
import {securityHeaders} from '../../../src/server/pages/style.js'
import {recordsOf} from '../../envoy/fixture.js'
import {testCluster} from '../../helpers/fleet.js'

const now = new Date('2026-11-23T12:00:00.000Z')
const ago = (seconds: number): string => new Date(now.getTime() - seconds * 1000).toISOString()
const server = {address: '10.0.0.1:6305', startedAt: ago(3600), ready: true, reasons: [], warnings: []}
const empty: ShownStatus = {servers: [server], proxies: [], withoutProxy: [], faults: [], refusals: [], warnings: [], findings: []}

const row = (cluster: string, differing: Partial<ProxyStatus> = {}): ProxyStatus => ({
  cluster: cluster as Owner,
  id: `${cluster}-0`,
  state: 'synced',
  types: [],
  connectedSince: ago(60),
  ...differing,
})

const absent = (cluster: string, state: 'not connected' | 'revoked' | 'suspended', remark?: string): ProxyStatus => ({
  cluster: cluster as Owner,
  id: '-',
  state,
  types: [],
  ...(remark !== undefined && {remark}),
})

function fleetOf(clusters: readonly Cluster[], settings: Partial<Settings> = {}): Fleet {
  return {
    ...emptyFleet,
    settings: {...defaultSettings, ...settings},
    registrations: new Map(clusters.map(cluster => [cluster.name, cluster])),
  }
}

function page(status: Partial<ShownStatus>, fleet: Fleet = fleetOf([])): string {
  const inStore = (command: string): string => `${command} --store /atlas`
  return [...renderStartPage(fleet, {...empty, ...status}, {now, inStore})].join('').replaceAll('\0', ':10904')
}

/** The table's row of a cluster. */
function rowOf(html: string, name: string): string {
  const found = html.split('\n').find(line => line.startsWith('<tr') && line.includes(`<th scope="row">${name}<`))
  if (found === undefined) throw new Error(`there is no row of ${name}`)
  return found
}

const textOf = (html: string): string =>
  html
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()

describe('the start page', () => {
  it('has a row for every cluster, with its state, and what is wrong', () => {
    const fleet = fleetOf(['fine', 'lags', 'nacks', 'frozen', 'fresh', 'missing', 'reissued', 'two'].map(name => testCluster(name)))
    const pending = {...testCluster('pending'), addresses: []}
    const stolen = testCluster('stolen')
    const html = page(
      {
        proxies: [
          row('atlas'),
          row('fine'),
          row('lags', {state: 'not acknowledged'}),
          row('nacks', {state: 'rejected', remark: 'Listener: address in use'}),
          row('frozen', {state: 'not updated', remark: 'its identity cannot be read'}),
          absent('fresh', 'not connected'),
          absent('missing', 'not connected'),
          absent('reissued', 'not connected'),
          row('two'),
          row('two', {id: 'two-1', state: 'rejected', remark: 'Cluster: no'}),
          absent('pending', 'not connected'),
          absent('gone', 'suspended', 'its registration is gone since then'),
          absent('stolen', 'revoked', 'it is revoked since then'),
        ],
        findings: [
          {kind: 'not connected', cluster: parseClusterName('missing'), message: 'no Envoy of missing is connected', next: 'look'},
          {kind: 'credential', cluster: parseClusterName('reissued'), message: 'no Envoy of reissued has its credential', next: 'look'},
          {kind: 'credential', cluster: parseClusterName('fine'), proxy: 'fine-0', message: 'fine-0 has an old one', next: 'apply'},
        ],
      },
      {
        ...fleet,
        registrations: new Map([...fleet.registrations, [pending.name, pending], [stolen.name, stolen]]),
        records: new Map([...fleet.records, ...recordsOf({owner: 'stolen', revokedSince: '2026-11-23T00:00:00.000Z'})]),
      },
    )
    const states = ['atlas', 'fine', 'lags', 'nacks', 'frozen', 'fresh', 'missing', 'reissued', 'two', 'pending', 'gone', 'stolen'].map(
      name => {
        const [, tone, state] = /<tr class="(\w+)">.*<span class="state">([^<]*)</.exec(rowOf(html, name)) ?? []
        return [name, state, tone]
      },
    )
    expect(states).to.deep.equal([
      ['atlas', 'connected', 'good'],
      ['fine', 'connected', 'good'],
      ['lags', 'not acknowledged', 'waiting'],
      ['nacks', 'rejected', 'wrong'],
      ['frozen', 'not updated', 'wrong'],
      ['fresh', 'registered', 'waiting'],
      ['missing', 'not connected', 'wrong'],
      ['reissued', 'not connected', 'wrong'],
      ['two', 'rejected', 'wrong'],
      ['pending', 'pending', 'waiting'],
      ['gone', 'suspended', 'off'],
      ['stolen', 'revoked', 'off'],
    ])
    expect(textOf(rowOf(html, 'nacks'))).to.include('nacks-0: Listener: address in use')
    expect(textOf(rowOf(html, 'two')))
      .to.include('2 Envoys')
      .and.to.include('two-1: Cluster: no')
    expect(textOf(rowOf(html, 'pending'))).to.include('atlas cluster add pending --address HOST')
    expect(textOf(rowOf(html, 'gone'))).to.include('its registration is gone')
    expect(textOf(html)).to.include('11 downstream clusters: 1 connected, 3 waiting, 5 with a problem, 2 cut off. 3 things need attention.')
  })

  it('names what cannot be read of a registration, whose last readable one stays in use', () => {
    const fleet = fleetOf([testCluster('paris')])
    const fault = {object: 'Service/paris', key: 'goatlas.io/addresses', message: 'must be an address'}
    const html = page({proxies: [row('atlas'), row('paris')]}, {...fleet, faults: new Map([['registration/paris', fault]])})
    expect(textOf(rowOf(html, 'paris')))
      .to.include('unreadable')
      .and.to.include('goatlas.io/addresses: must be an address')
  })

  it('has each finding with the command to run next, the first fifty, and warnings once', () => {
    const findings = Array.from({length: 60}, (_, index) => ({
      kind: 'warning' as const,
      message: `finding ${index}.`,
      next: `run ${index}`,
    }))
    const html = page({findings, warnings: ['finding 1.', 'no leader']})
    expect(textOf(html)).to.include('60 things need attention').and.to.include('finding 49. Next: run 49').and.to.include('And 10 more')
    expect(html).not.to.include('finding 50.')
    expect(html.split('finding 1.').length).to.equal(2)
    expect(html).to.include('<li>no leader</li>')
    expect(textOf(page({})))
      .to.include('Nothing needs attention, judged by what the Envoys have acknowledged; whether Thanos answers')
      .and.not.to.include('Needs attention')
  })

  it('does not say that nothing needs attention where a warning or a server that is not ready leaves that open', () => {
    const starting = {...server, ready: false, reasons: ['starting']}
    for (const unsure of [{warnings: ['no right to read Leases']}, {servers: [server, starting]}])
      expect(textOf(page(unsure)))
        .to.include('Whether something needs attention is not fully known: this page says why.')
        .and.not.to.include('Nothing needs attention')
    const finding = {kind: 'warning' as const, message: 'a finding', next: 'look'}
    expect(textOf(page({servers: [starting], findings: [finding]}))).to.include('1 thing needs attention.')
  })

  it('names the servers, the leader, and the latest refused connections', () => {
    const refusal = {at: ago(120), reason: 'generation', message: 'an old credential', peer: ''}
    const html = textOf(
      page({servers: [{...server, replica: 'atlas-ads-0', reasons: ['starting']}], leader: 'atlas-1', refusals: [refusal, refusal]}),
    )
    expect(html).to.include('server atlas-ads-0 10.0.0.1:6305, up 1h not ready: starting').and.to.include('leader atlas-1')
    expect(html).to.include('2m ago, 2 times (generation): an old credential')
  })

  describe('links', () => {
    const paris = testCluster('paris', {replicas: 2})
    const both = {proxies: [row('atlas'), row('paris')]}
    const links = (settings: Partial<Settings>, cluster = paris): readonly string[] =>
      [...rowOf(page(both, fleetOf([cluster], settings)), 'paris').matchAll(/href="([^"]*)"/g)].map(([, href = '']) => href)

    it('lead to host names, each replica with an address of its own behind them', () => {
      expect(links({webDomain: 'web.example.com'})).to.deep.equal([
        '//paris.prom.web.example.com:10904/',
        '//paris.prom.web.example.com:10904/0/',
        '//paris.prom.web.example.com:10904/1/',
        '//paris.alertmanager.web.example.com:10904/',
        '//paris.thanos.web.example.com:10904/metrics',
        '//paris.thanos.web.example.com:10904/0/metrics',
        '//paris.thanos.web.example.com:10904/1/metrics',
      ])
    })

    it('lead to the metrics of a sidecar, which has no page at its root, and to the pages of any other Thanos', () => {
      const of = (pages: Partial<Cluster['pages']>): readonly string[] =>
        links({pagesByPath: true, webDomain: 'web.example.com'}, testCluster('paris', {pages: {...paris.pages, ...pages}})).filter(href =>
          href.includes('thanos'),
        )
      expect(of({})).to.deep.equal(['//paris.thanos.web.example.com:10904/metrics', '/thanos/paris/metrics'])
      const root = ['//paris.thanos.web.example.com:10904/', '/thanos/paris/']
      expect(of({thanosHttpPort: 9090})).to.deep.equal(root)
      expect(of({paths: {...paris.pages.paths, thanos: '/query'}})).to.deep.equal(root)
      expect(textOf(rowOf(page(both, fleetOf([paris], {pagesByPath: true})), 'paris'))).to.include('Thanos metrics')
    })

    it('lead to paths where these are on, and to both', () => {
      expect(links({pagesByPath: true}, testCluster('paris'))).to.deep.equal([
        '/prom/paris/',
        '/alertmanager/paris/',
        '/thanos/paris/metrics',
      ])
      expect(links({pagesByPath: true, webDomain: 'web.example.com'})).to.include.members([
        '//paris.prom.web.example.com:10904/',
        '//paris.prom.web.example.com:10904/1/',
        '/prom/paris/',
      ])
    })

    it('are few for a cluster of many replicas', () => {
      const html = rowOf(page(both, fleetOf([testCluster('paris', {replicas: 1000})], {pagesByPath: true})), 'paris')
      expect(html.match(/href=/g)?.length).to.equal(3 + 8 + 8)
      expect(textOf(html)).to.include('and 992 more')
    })

    it('have the name of the cluster in what a screen reader says', () => {
      const html = rowOf(page(both, fleetOf([paris], {pagesByPath: true})), 'paris')
      expect(html).to.include('aria-label="Prometheus of paris"').and.to.include('aria-label="Prometheus of paris, replica 1"')
    })

    it('are not there for what has no page: no setting, no address, suspended, or refused', () => {
      expect(links({})).to.deep.equal([])
      expect(links({pagesByPath: true}, {...paris, addresses: []})).to.deep.equal([])
      const local = {...paris, services: {...paris.services, prometheus: {host: '127.0.0.1', port: 9090}}}
      expect(links({pagesByPath: true}, local)).not.to.include('/prom/paris/')
      expect(rowOf(page(both, fleetOf([local], {pagesByPath: true})), 'paris')).to.include(
        'Prometheus: <small>refused, its address is a loopback',
      )
      const gone = {proxies: [row('atlas'), absent('paris', 'suspended')]}
      expect(rowOf(page(gone, fleetOf([], {pagesByPath: true})), 'paris')).not.to.include('href')
    })
  })

  describe('says of web pages', () => {
    const said = (settings: Partial<Settings>): string => textOf(page({}, fleetOf([], settings)))

    it('how they are switched on, and why those by path are off', () => {
      expect(said({}))
        .to.include('atlas init --web-domain DOMAIN')
        .and.to.include('atlas init --pages-by-path')
        .and.to.include('one origin')
    })

    it('why those by path are off, where there are host names', () => {
      const html = said({webDomain: 'web.example.com'})
      expect(html).to.include('/prom/paris/ , are off. By path, all pages share one origin').and.to.include('paris.prom.web.example.com')
      expect(html).not.to.include('--web-domain')
    })

    it('what it means that those by path are on', () => {
      expect(said({pagesByPath: true}))
        .to.include('Pages by path are on')
        .and.to.include('one origin')
        .and.to.include('--no-pages-by-path')
    })
  })

  it('keeps text from outside text: no markup, no attribute, no control character, and no place for a port', () => {
    const hostile = `<script>alert(1)</script><img src=x onerror=alert(1)>"' onmouseover='x'&amp;\u202E\u0000\u001B[31m\n</table>`
    const html = page(
      {
        servers: [{...server, replica: hostile, address: hostile, reasons: [hostile]}],
        leader: hostile,
        proxies: [row('atlas'), row('paris', {id: hostile, state: 'rejected', remark: hostile}), row(hostile)],
        refusals: [{at: ago(1), reason: hostile, message: hostile, peer: hostile}],
        warnings: [hostile],
        findings: [{kind: 'warning', message: `x${hostile}`, next: hostile}],
      },
      {
        ...fleetOf([testCluster('paris')], {webDomain: 'web.example.com'}),
        faults: new Map([['registration/paris', {object: hostile, key: hostile, message: hostile}]]),
      },
    )
    expect(html).not.to.match(/<script|<img|\u202E|\u001B|\0/)
    expect(html.match(/<\/table>/g)?.length).to.equal(1)
    // Every tag is one that the templates have, with no attribute but theirs.
    const tags = new Set([...html.matchAll(/<\/?([^>\s]+)/g)].map(([, tag]) => tag))
    const known = 'html head meta title style body header h1 h2 p time code a main section ul li br small table thead tr th tbody td span'
    expect([...tags].filter(tag => tag !== '!doctype' && !known.split(' ').includes(tag ?? ''))).to.deep.equal([])
    const attributes = new Set(
      [...html.matchAll(/<[a-z][^>]*>/g)].flatMap(([tag]) => [...tag.matchAll(/ ([a-z-]+)="[^"]*"/g)].map(([, name]) => name)),
    )
    expect([...attributes].filter(name => name?.startsWith('on'))).to.deep.equal([])
    expect(html.match(/:10904/g)?.length).to.equal(html.match(/href="\/\//g)?.length)
  })

  it('loads nothing: its style is the one that its policy names, and it has no script', () => {
    const html = page({})
    const [, style = ''] = /<style>(.*?)<\/style>/s.exec(html) ?? []
    expect(securityHeaders['content-security-policy']).to.include(`'sha256-${createHash('sha256').update(style).digest('base64')}'`)
    expect(html).not.to.match(/<script|<link|<img|<iframe|<form| style=| src=|@import|url\(/)
  })
})
