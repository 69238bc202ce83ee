/** Checks that a cluster is cut off everywhere: on open connections, on new ones, its stream, its Envoy that reconnects. */
import {expect} from 'chai'
import {type Channel, openPlain, openTls} from '../../src/demo/lab/grpc.js'
import {type TlsTarget, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {credentialIn} from '../../src/demo/lab/certificates.js'
import {askAds} from '../../src/demo/lab/ads-client.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {oneCall} from './backend.js'
import {dumpOf, hostOf, queryAddress, statusIn, until, whoAnswers} from './look.js'
import type {Scene} from './scene.js'
import {adsPort} from './mtls-ports.js'

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** Atlas promises the cut-off within this, seconds. */
const LIMIT = 10

export interface Victim {
  /**
   * Waits until the cluster is cut off, at most for the promised time, and then until its Envoy has connected again in vain, which it does when it wants.
   * @returns after how many seconds it was cut off
   */
  untilCutOff(): Promise<number>
  close(): void
}

/**
 * Opens connections from and to a cluster that is not cut off yet.
 * @param servers the ADS ports of the servers
 */
export async function openVictim(scene: Scene, fleet: Fleet, cluster: string, servers: readonly TlsTarget[]): Promise<Victim> {
  const stolen = credentialIn(fleet, parseClusterName(cluster))
  const query = openPlain(queryAddress(scene))
  expect((await query.call(oneCall(hostOf(cluster)))).grpcStatus).to.equal(0)
  const target = adsPort(scene, fleet)
  const old = openTls(target, tlsOptions(target, {certificate: stolen}))
  // Without a node the server answers that it is missing: the port has admitted the client.
  expect(await askOn(old, target.servername, 30_000)).to.equal(3)
  return {
    close() {
      for (const channel of [old, query]) channel.close()
    },

    async untilCutOff() {
      const begin = performance.now()
      const wait = async (what: string, holds: () => Promise<boolean>): Promise<void> =>
        until(scene, what, holds, LIMIT - (performance.now() - begin) / 1000)
      await wait(
        'calls to it on the open connection to be refused',
        async () => (await query.call(oneCall(hostOf(cluster)))).grpcStatus === 12,
      )
      await wait('calls to it on a new connection to be refused', async () => (await whoAnswers(scene, cluster)) === 'gRPC status 12')
      await wait('10900 to refuse it on the open connection', async () => (await askOn(old, target.servername)) === 7)
      for (const each of [target, ...servers])
        await wait(`${each.host}:${each.port} to refuse its credential on a new connection`, async () => {
          const {grpcStatus} = await askAds(each, stolen, {cluster: parseClusterName(cluster), id: 'thief'})
          return grpcStatus === 7
        })
      const isGone = async (): Promise<boolean> =>
        !(await statusIn(scene)).proxies.some(proxy => proxy.cluster === cluster && proxy.connectedSince !== undefined)
      await wait('its stream to end', isGone)
      // Its route goes first, then its Envoy cluster.
      await wait('its Envoy cluster to be gone', async () => !(await dumpOf(scene.observability)).includes(`thanos/${cluster}`))
      const seconds = (performance.now() - begin) / 1000
      const mark = scene.observability.mark()
      const came = async (): Promise<boolean> =>
        scene.observability
          .logged('request', mark)
          .some(({details, peer}) => details === 'rbac_access_denied_matched_policy[denied]' && peer?.includes(`/${cluster}/`) === true)
      // The Envoy decides when: it waits longer after each attempt.
      await until(scene, 'its Envoy to be refused when it reconnects', came)
      expect(await isGone()).to.equal(true)
      return seconds
    },
  }
}

/** Requests configuration on an open connection. @returns the gRPC status; `open` once a response came */
async function askOn(channel: Channel, authority: string, timeoutMs = 1500): Promise<number | string> {
  try {
    const answer = await channel.call({authority, path: METHOD, message: new Uint8Array(), timeoutMs, until: 'message'})
    return answer.grpcStatus ?? 'open'
  } catch (error) {
    return String(error)
  }
}
