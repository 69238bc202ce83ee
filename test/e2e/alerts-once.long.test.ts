/**
 * Alertmanagers that gossip, as the Prometheus operator starts them, and notify one receiver: each of them gets every alert through the Envoys,
 * and the receiver is told of it once, also while one of them is gone or returns.
 */
import {rm} from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import {expect} from 'chai'
import type {Running} from '../../src/demo/lab/processes.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {init} from '../../src/lib/ops/init.js'
import {ask} from '../helpers/http1.js'
import {inSteps} from '../helpers/steps.js'
import {startAlertmanager, startPrometheus} from '../pages/support/programs.js'
import {until} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** Seconds. */
const LIMIT = 60
const MEMBERS = [0, 1, 2] as const

/** How often a member looks, after it has all alerts, whether another one has notified: it would notify then, if it knew of no notification. */
const LOOKS = 5

describe('e2e: alerts at Alertmanagers that gossip', function () {
  inSteps()
  this.timeout(300_000)
  let network: Network
  let receiver: HostPort
  const members: Running[] = []
  /** The alerts that the receiver was told of, by the value of their label `sender`, in order. */
  const told: string[] = []
  const senders: string[] = []

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'lyon']})
    receiver = {host: at(160), port: 8080}
    await listen()
    for (const number of MEMBERS) await start(number)
    for (const number of MEMBERS) await until(network, `Alertmanager ${number} to know the others`, async () => isWhole(number), LIMIT)
    await init(network.store, {alertmanagers: MEMBERS.map(address)}, dependencies)
  })
  after(() => closeNetwork(network))

  const at = (last: number): string => network.spareAddress(0).replace(/200$/, String(last))
  const address = (number: number): HostPort => ({host: at(150 + number), port: 9093})
  const gossip = (number: number): HostPort => ({...address(number), port: 9094})

  async function listen(): Promise<void> {
    const server = http.createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', chunk => (body += String(chunk)))
      request.on('end', () => {
        const {alerts} = JSON.parse(body) as {alerts: readonly {labels: Readonly<Record<string, string>>}[]}
        told.push(...alerts.map(({labels}) => labels['sender'] ?? ''))
        response.end()
      })
    })
    await new Promise<void>(resolve => server.listen({...receiver}, resolve))
    network.onClose(() => new Promise(resolve => server.close(() => resolve())))
  }

  async function start(number: number): Promise<void> {
    members[number] = await startAlertmanager(network, {
      name: `alertmanager-${number}`,
      listen: address(number),
      gossip: {listen: gossip(number), peers: MEMBERS.filter(each => each !== number).map(gossip)},
      // Seconds instead of minutes; a member waits for each one before it in their order, as ever.
      flags: ['--cluster.peer-timeout=2s', '--cluster.reconnect-interval=1s', '--cluster.pushpull-interval=2s'],
      config: {
        route: {receiver: 'hook', group_by: ['sender'], group_wait: '1s', group_interval: '1s', repeat_interval: '4h'},
        receivers: [{name: 'hook', webhook_configs: [{url: `http://${renderHostPort(receiver)}/`, send_resolved: false}]}],
      },
    })
  }

  async function isWhole(number: number): Promise<boolean> {
    const {cluster} = JSON.parse((await ask(address(number), '/api/v2/status')).body) as {
      cluster: {status: string; peers: readonly object[]}
    }
    return cluster.status === 'ready' && cluster.peers.length === MEMBERS.length
  }

  /** A Prometheus behind the Envoy of a cluster; those of one sender send the same alert, as replicas do. */
  async function send(cluster: string, sender: string, last: number): Promise<void> {
    const door = renderHostPort({host: network.member(cluster).address, port: 10_903})
    const discovery = {
      http_sd_configs: [{url: `http://${door}/sd/alertmanagers`, refresh_interval: '1s'}],
      relabel_configs: [{source_labels: ['am_path'], target_label: '__alerts_path__'}],
      alert_relabel_configs: [
        {action: 'labeldrop', regex: 'prometheus'},
        {target_label: 'sender', replacement: sender},
      ],
    }
    const options = {listen: {host: at(last), port: 9090}, version: 3, flags: ['--rules.alert.resend-delay=1s']} as const
    await startPrometheus(network, {name: `${sender}-${last}`, alertmanagers: [discovery], ...options})
    if (!senders.includes(sender)) senders.push(sender)
  }

  async function alertsAt(number: number): Promise<readonly string[]> {
    const alerts = JSON.parse((await ask(address(number), '/api/v2/alerts')).body) as readonly {labels: Readonly<Record<string, string>>}[]
    return alerts.map(({labels}) => labels['sender'] ?? '').sort()
  }

  async function looks(number: number): Promise<number> {
    const {body} = await ask(address(number), '/metrics')
    return Number(/^alertmanager_nflog_queries_total (\S+)$/m.exec(body)?.[1] ?? Number.NaN)
  }

  /** Waits until these members have every alert and have looked often enough since, each for every alert. */
  async function untilSettled(numbers: readonly number[]): Promise<void> {
    for (const number of numbers)
      await until(network, `all alerts at ${number}`, async () => (await alertsAt(number)).join() === [...senders].sort().join(), LIMIT)
    await until(network, 'the notifications', () => senders.every(sender => told.includes(sender)), LIMIT)
    const before = await Promise.all(numbers.map(looks))
    const enough = LOOKS * senders.length
    const isEnough = async (): Promise<boolean> =>
      (await Promise.all(numbers.map(looks))).every((count, index) => count - (before[index] ?? Number.NaN) >= enough)
    await until(network, 'each to look again', isEnough, LIMIT)
  }

  it('each of three has the alert of every cluster, which two replicas send, and the receiver is told of it once', async () => {
    await Promise.all([send('paris', 'paris', 10), send('paris', 'paris', 11), send('lyon', 'lyon', 12)])
    await untilSettled(MEMBERS)
    expect([...told].sort()).to.deep.equal(['lyon', 'paris'])
  })

  it('while the first of them is gone, a new alert is told once, and no earlier one again', async () => {
    await members[0]?.kill()
    await send('lyon', 'rome', 13)
    await untilSettled([1, 2])
    expect([...told].sort()).to.deep.equal(['lyon', 'paris', 'rome'])
  })

  it('one that returns with an empty disk is sent every alert and notifies of none again', async () => {
    await rm(path.join(network.folder, 'data', 'alertmanager-0'), {recursive: true})
    await start(0)
    await untilSettled(MEMBERS)
    expect([...told].sort()).to.deep.equal(['lyon', 'paris', 'rome'])
  })
})
