/** `status` as text: its first lines, and that equal refusals are shown once. */
import {expect} from 'chai'
import {renderStatus} from '../../../src/lib/cli/text/status.js'
import type {ShownStatus} from '../../../src/lib/ops/status.js'
import {type Owner, parseClusterName} from '../../../src/lib/model/names.js'

const now = new Date('2026-11-23T12:00:00.000Z')
const ago = (seconds: number): string => new Date(now.getTime() - seconds * 1000).toISOString()
const server = {address: '10.0.0.1:6305', startedAt: ago(3600), ready: true, reasons: [], warnings: []}
const empty: ShownStatus = {servers: [server], proxies: [], withoutProxy: [], faults: [], refusals: [], warnings: [], findings: []}

describe('cli/text/status', () => {
  it('names the servers and the leader', () => {
    const text = renderStatus({...empty, servers: [{...server, replica: 'atlas-ads-0'}], leader: 'atlas-controller-1'}, now)
    expect(text.split('\n').slice(0, 3)).to.deep.equal(['server atlas-ads-0 10.0.0.1:6305, up 1h', 'leader atlas-controller-1', ''])
    expect(renderStatus(empty, now)).to.not.include('leader')
  })

  it('shows equal refusals once, the latest last, and a remark of a cluster without an Envoy under its name alone', () => {
    const refusal = (seconds: number, message: string) => ({at: ago(seconds), reason: 'generation', message, peer: ''})
    const proxies = [
      {cluster: parseClusterName('paris'), id: '-', state: 'suspended' as const, types: [], remark: 'its registration was deleted'},
    ]
    const text = renderStatus({...empty, proxies, refusals: [refusal(90, 'old'), refusal(80, 'other'), refusal(5, 'old')]}, now)
    expect(text.split('\n').slice(-5)).to.deep.equal([
      'paris: its registration was deleted',
      'refused 1m 20s ago (generation): other',
      'refused 5s ago, 2 times (generation): old',
      '',
      'No cluster is served now.',
    ])
  })

  it('leaves out the refusals of a cluster before its present stream, and shows those after', () => {
    const cluster = parseClusterName('paris')
    const refusal = (seconds: number, reason: string) => ({at: ago(seconds), reason, message: 'm', peer: '', cluster})
    const proxies = [{cluster, id: 'paris-0', state: 'synced' as const, types: [], connectedSince: ago(20)}]
    const refusals = [
      refusal(38, 'not-registered'),
      refusal(5, 'node-cluster'),
      {...refusal(40, 'generation'), cluster: parseClusterName('lyon')},
    ]
    const text = renderStatus({...empty, proxies, refusals}, now)
    expect(text).to.not.include('not-registered')
    expect(text).to.include('refused 5s ago (node-cluster)').and.to.include('refused 40s ago (generation)')
  })

  it('says once that a cluster is revoked, and nothing of a revocation or a suspension that has ended', () => {
    const [cluster, gone] = [parseClusterName('paris'), parseClusterName('gone')]
    const refusals = (['cluster-revoked', 'not-registered'] as const).map(reason => ({
      ...{at: ago(30), reason, message: `paris ${reason}`, peer: '', cluster},
    }))
    const finding = {kind: 'revoked', cluster, message: 'paris is revoked since then', next: 'atlas cluster restore paris'} as const
    const row = {cluster, id: '-', types: []}
    const revoked = [{...row, state: 'revoked' as const, remark: 'it is revoked since then'}]
    const text = renderStatus({...empty, proxies: revoked, refusals, findings: [finding]}, now)
    expect(text.split('is revoked').length, text).to.equal(2)
    expect(text).to.not.include('refused')
    const restored = renderStatus({...empty, proxies: [{...row, state: 'not connected'}], refusals}, now)
    expect(restored).to.not.include('refused')
    const unknown = {at: ago(30), reason: 'not-registered', message: 'gone is not there', peer: '', cluster: gone}
    expect(renderStatus({...empty, proxies: revoked, refusals: [unknown]}, now)).to.include(
      'refused 30s ago (not-registered): gone is not there',
    )
  })

  it('on a terminal of 80 columns has two lines for each Envoy, and no line is longer', () => {
    const type = (name: string) => ({type: name, state: 'synced' as const, sent: 12, acknowledged: 12})
    const types = ['Cluster', 'Listener', 'RouteConfiguration', 'Secret'].map(name => type(name))
    const until = {identityUntil: ago(-2_500_000), credentialUntil: ago(-60_000_000)}
    const synced = {id: 'atlas-envoy-6d5bc86f79-8bpk5', state: 'synced' as const, connectedSince: ago(62), lastChange: ago(6), types}
    const proxies = ['atlas', 'paris'].map(name => ({...synced, ...until, cluster: name as Owner}))
    const text = renderStatus({...empty, proxies}, now, 80)
    expect(text.split('\n')).to.deep.equal([
      'server 10.0.0.1:6305, up 1h',
      '',
      'CLUSTER  PROXY                         STATE   CONNECTED',
      '  CLUSTERS  LISTENERS  ROUTES  SECRETS  IDENTITY  CREDENTIAL  LAST CHANGE',
      'atlas    atlas-envoy-6d5bc86f79-8bpk5  synced  1m 2s',
      '  12/12     12/12      12/12   12/12    28d 22h   1y 329d     6s ago',
      'paris    atlas-envoy-6d5bc86f79-8bpk5  synced  1m 2s',
      '  12/12     12/12      12/12   12/12    28d 22h   1y 329d     6s ago',
      '',
      'Nothing needs attention, judged by what the Envoys have acknowledged. Whether',
      'Thanos answers behind them is not seen from here: see page Stores of Thanos',
      'Query, or docs/how-to/troubleshoot.md.',
    ])
    expect(renderStatus({...empty, proxies}, now).split('\n')).to.have.length(7)
  })

  it('ends, where there is no finding, with what that was judged by, and the clusters without an Envoy', () => {
    const row = (cluster: string, connectedSince?: string) => ({
      ...{cluster: cluster as Owner, id: '-', state: 'synced' as const, types: []},
      ...(connectedSince !== undefined && {connectedSince}),
    })
    const end = (more: Partial<ShownStatus>): string =>
      renderStatus({...empty, ...more}, now)
        .split('\n')
        .at(-1) ?? ''
    const connected = {proxies: [row('atlas', ago(5)), row('paris', ago(5))]}
    expect(end(connected)).to.match(/^Nothing needs attention, .* Whether Thanos answers behind them is not seen from here: /)
    const finding = {kind: 'not connected', message: 'no Envoy of lyon is connected', next: 'kubectl logs'} as const
    const others: readonly Partial<ShownStatus>[] = [
      {...connected, findings: [finding]},
      {...connected, warnings: ['no leader']},
      {...connected, servers: [{...server, ready: false, reasons: ['starting']}]},
    ]
    for (const other of others) expect(renderStatus({...empty, ...other}, now)).not.to.include('Nothing needs attention')
    for (const unsure of others.slice(1))
      expect(end(unsure)).to.equal('Whether something needs attention is not fully known: the lines above say why.')
    const absent = (...names: string[]) => names.map(name => ({...row(name), state: 'not connected' as const}))
    expect(end({proxies: [...connected.proxies, ...absent('rome')]})).to.match(
      /^Nothing else needs attention, .* No Envoy of rome is connected yet; "atlas cluster values NAME" has what one needs\. A cluster that has an address is named as a problem an hour after its first credential was issued\.$/,
    )
    expect(end({proxies: absent('atlas', 'rome', 'oslo')})).to.match(/^No Envoy of atlas, rome and oslo is connected yet; .* an hour/)
    expect(end({proxies: absent('a', 'b', 'c', 'd', 'e', 'f', 'g')})).to.match(/^No Envoy of a, b, c, d, e and 2 more is connected yet;/)
    const none = 'No cluster is registered: "atlas cluster add NAME --address HOST" adds one.'
    expect(end({proxies: [row('atlas', ago(5))]})).to.equal(none)
    expect(end({proxies: absent('atlas')})).to.match(/^No Envoy of atlas is connected yet; .*\. No cluster is registered: /)
  })

  it('ends with what needs a person, at most 20 findings, each with its command', () => {
    const finding = {kind: 'not connected', message: 'no Envoy of paris is connected', next: 'kubectl logs'} as const
    const end = (count: number): readonly string[] => {
      const text = renderStatus({...empty, findings: Array.from({length: count}, () => finding)}, now)
      return text.slice(text.indexOf('Needs attention:')).split('\n')
    }
    expect(end(1)).to.deep.equal(['Needs attention:', '- no Envoy of paris is connected', '  Next: kubectl logs'])
    expect(end(25)).to.have.length(42)
    expect(end(25).at(-1)).to.equal('- and 5 more; --json lists all of them')
  })
})
