/** Two real Envoys with built configurations, and no ADS: the observability Envoy, and the one of paris with a sidecar behind it. */
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {type RunningEnvoy, startEnvoy} from '../helpers/envoy-process.js'
import {staticBootstrap} from '../helpers/envoy-static.js'
import {testCluster} from '../helpers/fleet.js'
import {serveEcho, thanosCall, visit} from '../helpers/http2.js'
import {nodeOf, snapshotOf} from './fixture.js'

export const paris = parseClusterName('paris')

/** The first three bytes of the loopback addresses of a pair, such as `127.0.46`. */
export type Block = string

/** paris, as a fleet of these Envoys registers it. */
export function parisAt(block: Block): Cluster {
  const services = {...testCluster('paris').services, thanos: {host: `${block}.3`, port: 10_901}}
  return testCluster('paris', {addresses: parseAddresses(`${block}.2`), services})
}

/**
 * Each Envoy is built from a fleet of its own.
 * @param meanwhile called after that, while both Envoys run
 * @returns the gRPC status of a call through both Envoys: `wanted`, or what it is after 30 s
 */
export async function callThrough(
  block: Block,
  ofObservability: Fleet,
  ofParis: Fleet,
  wanted: string,
  meanwhile?: () => Promise<void>,
): Promise<string> {
  const server = await serveEcho({host: `${block}.3`, port: 10_901}, 'sidecar')
  const running: RunningEnvoy[] = []
  const start = async (name: string, host: string, fleet: Fleet): Promise<void> => {
    const settings = {...defaultSettings, timeouts: {...defaultSettings.timeouts, healthInterval: 0.5, healthTimeout: 2}}
    const node = nodeOf(name, {'atlas.bind_address': host, 'atlas.local_address': host})
    const snapshot = snapshotOf(buildSnapshot({...fleet, settings}, node))
    const admin = {address: {socket_address: {address: host, port_value: 9901}}}
    running.push(await startEnvoy(staticBootstrap(snapshot, {admin}), {host, port: 9901}))
  }

  try {
    await start(paris, `${block}.2`, ofParis)
    await start(OBSERVABILITY, `${block}.1`, ofObservability)
    for (let tries = 0; ; tries += 1) {
      const {headers} = await visit({host: `${block}.1`, port: 10_901}, {authority: 'paris-thanos-sidecar0', ...thanosCall})
      const status = String(headers['grpc-status'])
      if (status === wanted || tries === 300) {
        await meanwhile?.()
        return status
      }

      await new Promise(resolve => setTimeout(resolve, 100))
    }
  } finally {
    for (const envoy of running) await envoy.stop()
    server.close()
  }
}
