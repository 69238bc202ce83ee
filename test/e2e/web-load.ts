/**
 * Pages and an Alertmanager in a network, and load of every kind at a fixed rate: pages and alerts beside the Thanos path (load.ts). What is
 * killed meanwhile, and may fail as long as it is away: interrupted-load.ts.
 */
import {expect} from 'chai'
import type {LoadRequest} from '../../src/demo/lab/load.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {init} from '../../src/lib/ops/init.js'
import {type PageAnswer, type PageRequest, ask, serveRecording} from '../helpers/http1.js'
import {load, requireCalm, startTestLoad} from './load.js'
import {until} from './look.js'
import type {Network} from './network.js'
import type {Scene} from './scene.js'

/** Each cluster may send 20 alerts a second: an alert and a page of each are sent once in this time, milliseconds. */
const EVERY_MS = 200

/** Gives the network an Alertmanager, and each of these clusters a Prometheus with pages; resolves when pages and alerts get through. */
export async function openWeb(network: Network, clusters: readonly string[]): Promise<void> {
  const block = network.spareAddress(0).replace(/\.200$/, '')
  const prometheus = {host: `${block}.100`, port: 9090}
  const alertmanager = {host: `${block}.150`, port: 9093}
  for (const at of [prometheus, alertmanager]) {
    const server = await serveRecording(at, 'here')
    network.onClose(server.close)
  }

  await init(network.store, {alertmanagers: [alertmanager]}, dependencies)
  for (const cluster of clusters) {
    const request = {services: {prometheus}, pages: {allowLocalTargets: true}}
    await addCluster(network.store, cluster, {request, defaults: targetsOf(defaultStack)}, dependencies)
  }

  for (const request of [...pagesOf(network, clusters), ...alertsOf(network, clusters)])
    await until(network, 'pages and alerts', async () =>
      request().then(
        () => true,
        () => false,
      ),
    )
}

/** A page of each cluster by way of both Envoys. @param address of the observability Envoy, if not the first one */
export function pagesOf(network: Scene, clusters: readonly string[], address = network.address): readonly LoadRequest[] {
  return clusters.map(cluster => async () => answered({host: address, port: 10_904}, `/prom/${cluster}/`))
}

/** An alert of each cluster. */
export function alertsOf(network: Scene, clusters: readonly string[]): readonly LoadRequest[] {
  return clusters.map(cluster => async () => requireHere(await sendAlert(network, cluster), `an alert of ${cluster}`))
}

/** Sends an alert as the Prometheus of the cluster does. */
export async function sendAlert(network: Scene, cluster: string): Promise<PageAnswer> {
  return ask({host: network.member(cluster).address, port: 10_903}, '/am/alertmanager0/api/v2/alerts', alert)
}

/** Requests of every kind until `stop`, which fails with the first of them that failed. */
export interface RunningRequests {
  /** @returns how many there were on the Thanos path */
  stop(): Promise<number>
}

/** @param web pages and alerts; by default those of `clusters` */
export function startRequests(
  network: Scene,
  clusters: readonly string[],
  web: readonly LoadRequest[] = [...pagesOf(network, clusters), ...alertsOf(network, clusters)],
): RunningRequests {
  const [thanos, others] = [load(network, clusters, {reconnects: true}), startTestLoad(web, EVERY_MS)]
  return {
    async stop() {
      const [calls, result] = await Promise.all([thanos.stop(), others.stop()])
      requireCalm(result, 'pages and alerts')
      expect(result.requests).to.be.greaterThan(20)
      return calls
    },
  }
}

const alert: PageRequest = {method: 'POST', headers: {'content-type': 'application/json'}, body: '[{"labels":{"alertname":"x"}}]'}

async function answered(at: HostPort, path: string): Promise<void> {
  requireHere(await ask(at, path), `${path} at ${at.host}`)
}

function requireHere({status, body}: PageAnswer, what: string): void {
  if (status !== 200 || body !== 'here') throw new Error(`${what}: ${status} ${body}`)
}
