/**
 * Alerts on the real programs: two Prometheus in each of two clusters, a ruler, and several Alertmanagers that do not know each other, so
 * that each has only what was sent to it.
 */
import {expect} from 'chai'
import type {Running} from '../../src/demo/lab/processes.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {init} from '../../src/lib/ops/init.js'
import {type PageAnswer, ask} from '../helpers/http1.js'
import {inSteps} from '../helpers/steps.js'
import {ALERT, type Ground, startAlertmanager, startPrometheus, startThanosRule} from '../pages/support/programs.js'
import {until} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Seconds. */
const LIMIT = 60
const CLUSTERS = ['paris', 'lyon'] as const

interface SentAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly updatedAt: string
}

describe('e2e: alerts of real Prometheus at real Alertmanagers', function () {
  inSteps()
  this.timeout(240_000)
  let network: Network
  let ground: Ground
  const alertmanagers: {readonly at: HostPort; readonly process: Running}[] = []
  const senders: string[] = []

  before(async () => {
    network = await openNetwork({clusters: CLUSTERS, settings: {}})
    ground = {folder: network.folder, crashed: network.crashed, startProcess: network.startProcess}
    await Promise.all([0, 1, 2].map(async number => add(number)))
    await list()
  })
  after(() => closeNetwork(network))

  async function add(number: number): Promise<void> {
    const at = {host: network.spareAddress(0).replace(/200$/, `15${number}`), port: 9093}
    alertmanagers[number] = {at, process: await startAlertmanager(ground, {name: `alertmanager-${number}`, listen: at})}
  }

  async function list(): Promise<void> {
    await init(network.store, {alertmanagers: alertmanagers.map(({at}) => at)}, dependencies)
  }

  const door = (cluster: string): HostPort => ({host: network.member(cluster).address, port: 10_903})

  /** As docs/how-to/alerts.md has it, but for how often Prometheus asks. */
  const discovery = (cluster: string) => ({
    http_sd_configs: [{url: `http://${renderHostPort(door(cluster))}/sd/alertmanagers`, refresh_interval: '1s'}],
    relabel_configs: [{source_labels: ['am_path'], target_label: '__alerts_path__'}],
  })

  /** The alerts that an Alertmanager has, by their senders: when each was updated. */
  async function alertsAt(number: number): Promise<ReadonlyMap<string, string>> {
    const {at} = alertmanagers[number] ?? expect.fail('there is no such Alertmanager')
    const {body} = await ask(at, '/api/v2/alerts')
    const alerts = JSON.parse(body) as readonly SentAlert[]
    return new Map(
      alerts.filter(({labels}) => labels['alertname'] === ALERT).map(({labels, updatedAt}) => [labels['prometheus'] ?? '', updatedAt]),
    )
  }

  async function untilAllAt(numbers: readonly number[], since = ''): Promise<void> {
    for (const number of numbers)
      await until(
        network,
        `all alerts at Alertmanager ${number}`,
        async () => {
          const found = await alertsAt(number)
          return senders.every(sender => (found.get(sender) ?? '') > since)
        },
        LIMIT,
      )
  }

  it('D14: those of two replicas in two clusters are at each of three Alertmanagers', async () => {
    await Promise.all(
      CLUSTERS.flatMap((cluster, index) =>
        [0, 1].map(async replica => {
          const name = `${cluster}-${replica}`
          senders.push(name)
          const listen = {host: network.spareAddress(index).replace(/200$/, `1${replica}`), port: 9090}
          // One of each version: Prometheus 2 takes no other label than `am_path`.
          const version = replica === 0 ? 3 : 2
          const flags = ['--rules.alert.resend-delay=1s']
          await startPrometheus(ground, {name, listen, version, flags, alertmanagers: [discovery(cluster)]})
        }),
      ),
    )
    await untilAllAt([0, 1, 2])
  })

  it('those of a Thanos Ruler are, too, by a path prefix for each, or by the host names of 2021', async () => {
    const target = renderHostPort(door('paris'))
    const query = {host: network.spareAddress(0).replace(/200$/, '10'), port: 9090}
    const listen = {host: network.spareAddress(0).replace(/200$/, '160'), port: 10_902}
    senders.push('ruler')
    const entries = [0, 1, 2].map(number => ({static_configs: [target], path_prefix: `/am/alertmanager${number}`, api_version: 'v2'}))
    await startThanosRule(ground, {name: 'ruler', listen, query, alertmanagers: {alertmanagers: entries}})
    await untilAllAt([0, 1, 2])
  })

  it('one Alertmanager is killed: the others have all of them again within 15 seconds, which are sent every second', async () => {
    await alertmanagers[1]?.process.kill()
    const since = new Date()
    await untilAllAt([0, 2], since.toISOString())
    expect(Date.now() - since.getTime(), 'milliseconds').to.be.below(15_000)
  })

  it('it comes back, and a fourth one is added: both get all of them, without a new configuration of any Prometheus', async () => {
    await add(1)
    await add(3)
    await list()
    senders.splice(senders.indexOf('ruler'), 1)
    await untilAllAt([0, 1, 2, 3])
  })

  it('silences and pages of an Alertmanager are not there for a downstream cluster', async () => {
    const silence = {
      matchers: [{name: 'alertname', value: ALERT, isRegex: false}],
      startsAt: new Date().toISOString(),
      endsAt: new Date(Date.now() + 3_600_000).toISOString(),
      createdBy: 'a downstream cluster',
      comment: 'must not be made',
    }
    const json = {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(silence)}
    const tries: Record<string, () => Promise<PageAnswer>> = {
      'a silence by path': async () => ask(door('lyon'), '/am/alertmanager0/api/v2/silences', json),
      'a silence by host name': async () =>
        ask(door('lyon'), '/api/v2/silences', {...json, headers: {...json.headers, host: 'alertmanager0'}}),
      'the page by path': async () => ask(door('lyon'), '/am/alertmanager0/'),
      'the page by host name': async () => ask(door('lyon'), '/', {headers: {host: 'alertmanager0'}}),
    }
    for (const [what, attempt] of Object.entries(tries)) expect((await attempt()).status, what).to.equal(404)
    for (const {at} of alertmanagers) expect((await ask(at, '/api/v2/silences')).body.trim()).to.equal('[]')
  })
})
