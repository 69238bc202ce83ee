/** What a stream's snapshots share: all that a change leaves as it was is the very same object, so that a push costs the difference. */
import {expect} from 'chai'
import {buildSnapshot} from '../../../src/lib/envoy/build.js'
import {parseAddress} from '../../../src/lib/model/address.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {type Resource, type Snapshot, resourcesOf} from '../../../src/lib/xds/snapshot.js'
import {defaultClusterLimits, openClusterLimiter} from '../../../src/server/ads/cluster-limits.js'
import {type AdsServer, defaultConnectionTimes, openAdsServer} from '../../../src/server/ads/server.js'
import {openRefusals} from '../../../src/server/ads/refusals.js'
import {defaultStreamTimes} from '../../../src/server/ads/stream-limits.js'
import type {Stream} from '../../../src/server/ads/stream.js'
import {silentLog} from '../../../src/server/log.js'
import {buildServerTls, materialOf} from '../../../src/server/mtls/context.js'
import {reduce} from '../../../src/lib/model/change.js'
import {testCluster} from '../../helpers/fleet.js'
import {testFleet} from '../../helpers/dependencies.js'
import {type Connection, connect} from '../support/client.js'
import {eventually, need, subscribe, types} from '../support/network.js'

describe('the snapshots of a stream', () => {
  const clusters = Array.from({length: 20}, (_, index) => `c${index}`)
  let ads: AdsServer
  let connection: Connection
  let streams: Stream[]
  let fleet = testFleet({now: () => new Date(), signer: cryptoSigner}, clusters)

  beforeEach(async () => {
    streams = []
    ads = openAdsServer(
      {times: {...defaultConnectionTimes, stopGraceMs: 100}, connectionsMax: 100, log: silentLog, streams: () => streams},
      {
        now: () => new Date(),
        steady: () => performance.now(),
        times: defaultStreamTimes,
        limiter: openClusterLimiter(defaultClusterLimits),
        refusals: openRefusals(),
        cpuTime: () => 0,
        log: () => silentLog,
        fleet: () => fleet,
        build: buildSnapshot,
        takeUnrepaired: () => undefined,
        joined: stream => streams.push(stream),
        opened: () => undefined,
        noted: () => undefined,
        sent: () => undefined,
        throttled: () => undefined,
        denied: () => undefined,
        closed: () => undefined,
      },
    )
    ads.use(buildServerTls(need(materialOf(fleet))))
    await ads.listen({host: '127.0.0.1', port: 0})
    const {host, port} = need(ads.address())
    const roots = need(fleet.trust).roots.join('')
    connection = connect({address: `${host}:${port}`, roots, key: need(fleet.credentials.get('atlas'))})
    const client = connection.delta()
    subscribe(client, 'atlas')
    await client.next()
    await eventually(() => streams.length === 1, 'the stream has its node')
  })
  afterEach(async () => {
    connection.close()
    await ads.stop()
  })

  const snapshot = (): Snapshot => need(need(streams[0]).session.snapshot)
  const resource = (of: Snapshot, typeUrl: string, name: string): Resource => need(resourcesOf(of, typeUrl).get(name))

  it('share every map and resource that a change of one cluster leaves as it was', () => {
    const before = snapshot()
    const moved = testCluster('c7', {addresses: [parseAddress('203.0.113.9')]})
    fleet = reduce(fleet, {kind: 'registration', name: parseClusterName('c7'), value: moved})
    need(streams[0]).update(fleet)
    const after = snapshot()
    expect(after).not.to.equal(before)
    for (const typeUrl of [types.listener, types.secret, types.route, types.scope])
      expect(resourcesOf(after, typeUrl), typeUrl).to.equal(resourcesOf(before, typeUrl))
    expect(resourcesOf(after, types.cluster)).not.to.equal(resourcesOf(before, types.cluster))
    for (const name of clusters) {
      const isSame = resource(after, types.cluster, `thanos/${name}`) === resource(before, types.cluster, `thanos/${name}`)
      expect(isSame, name).to.equal(name !== 'c7')
    }
  })

  it('share every map where nothing changed for the node, and every equal resource where its bytes were built again', () => {
    const before = snapshot()
    // Settings that are equal, and another object: no builder finds its earlier result.
    fleet = reduce(fleet, {kind: 'settings', value: {...need(fleet.settings)}})
    need(streams[0]).update(fleet)
    for (const [typeUrl, resources] of before) expect(resourcesOf(snapshot(), typeUrl), typeUrl).to.equal(resources)
  })
})
