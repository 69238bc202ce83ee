/**
 * An Envoy whose stream breaks is sent no secret and no route table that it lists (envoyproxy/envoy#22418 is about clusters that then wait
 * for ever): what works goes on, what waited gets what it waits for, and what is warmed later finds what is there.
 */
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {envoyNames, parseClusterName} from '../../src/lib/model/names.js'
import {type RunningEnvoy, startEnvoy} from '../helpers/envoy-process.js'
import {testCluster} from '../helpers/fleet.js'
import {type Snapshot, resourcesOf} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {type AdsServer, adsBootstrap, serveAds} from './ads-server.js'
import {certified} from './certified.js'
import {build, fleetOf, nodeOf} from './fixture.js'

const [local, adsAt] = ['127.0.53.1', {host: '127.0.53.2', port: 6305}]
const admin = {host: local, port: 9901}
const node = nodeOf('atlas', {'atlas.bind_address': local, 'atlas.local_address': local})
const paris = testCluster('paris', {addresses: parseAddresses('127.0.53.11')})
const fleet = certified(fleetOf([paris]), new Date())
/** Paris has moved, and the other timeouts change clusters and listeners. */
const moved = changedFleet()
const [trust, identity] = [`Secret ${envoyNames.trust}`, `Secret ${envoyNames.identity}`]
const named = /^(?:Secret|RouteConfiguration) /

for (const version of ['1.36', '1.40'] as const)
  describe(`envoy ${version}: a stream that breaks`, function () {
    this.timeout(240_000)
    let ads: AdsServer
    let envoy: RunningEnvoy
    beforeEach(async () => {
      ads = await serveAds(adsAt, build(fleet, node))
    })
    afterEach(async () => {
      await envoy.stop()
      ads.close()
    })

    it('of an Envoy that has everything: no secret and no route table is sent again, clusters and listeners stay', async () => {
      envoy = await start()
      await settled()
      await reconnect()
      await until(
        'the ACKs of clusters and listeners',
        async () => ads.requests.filter(({responseNonce}) => responseNonce !== '').length >= 2,
      )
      expect(ads.sent).to.deep.equal([])
      expect(await active()).to.deep.equal(wanted(ads.snapshot))
      expect(await waits()).to.deep.equal(nothing)
    })

    it('of an Envoy that waits for a secret: it is sent that secret, none that it has, and warms its clusters and listeners', async () => {
      ads.withheld = new Set([trust])
      envoy = await start()
      await until('a cluster to wait for its secret', async () => (await waits()).clusters > 0)
      ads.withheld = new Set()
      await reconnect()
      await settled()
      expect(ads.sent).to.include(trust).and.not.include(identity)
    })

    it('while clusters and listeners change: what is new is warmed with the secrets and route tables that are there', async () => {
      envoy = await start()
      await settled()
      ads.snapshot = build(moved, node)
      await reconnect()
      await until('every listener to be replaced', async () =>
        /^.*listener_modified: 5$/m.test(await page('/stats?filter=listener_modified')),
      )
      await settled()
      expect(ads.sent).to.include.members(['Cluster thanos/paris', 'Listener thanos', 'Listener ads'])
      expect(ads.sent.filter(sent => named.test(sent))).to.deep.equal([])
    })

    it('twice, while a cluster that waits for a secret is changed: the new one gets that secret', async () => {
      ads.withheld = new Set([trust])
      envoy = await start()
      await until('a cluster to wait for its secret', async () => (await waits()).clusters > 0)
      ads.snapshot = build(moved, node)
      await reconnect()
      await until('the changed clusters', async () => ads.sent.includes('Cluster thanos/paris'))
      ads.withheld = new Set()
      await reconnect()
      await settled()
      expect(ads.sent).to.include(trust).and.not.include(identity)
    })

    async function start(): Promise<RunningEnvoy> {
      return startEnvoy(bootstrap, admin, {version, isIncomplete: true})
    }

    /** Breaks the stream, and waits until the next one has asked for clusters and secrets. */
    async function reconnect(): Promise<void> {
      const {requests} = ads
      ads.breakStreams()
      const asked = async (): Promise<boolean> =>
        ads.requests !== requests && typesToAsk.every(type => ads.requests.some(({typeUrl}) => typeUrl.endsWith(`.${type}`)))
      await until('the next stream', asked)
    }

    /** Waits until nothing is warmed any more and every secret is there; none of it because a time was over. */
    async function settled(): Promise<void> {
      const [all, none] = [wanted(ads.snapshot).join(), JSON.stringify(nothing)]
      await until('everything to be warmed', async () => (await active()).join() === all && JSON.stringify(await waits()) === none)
      const timeouts = (await page('/stats?filter=init_fetch_timeout')).split('\n').filter(line => line !== '' && !line.endsWith(': 0'))
      expect(timeouts).to.deep.equal([])
      expect(ads.requests.filter(({errorDetail}) => errorDetail !== undefined)).to.deep.equal([])
    }

    /** How many clusters, listeners and secrets are waited for. */
    async function waits(): Promise<typeof nothing> {
      const stats = await page('/stats?filter=warming')
      const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats)?.[1] ?? Number.NaN)
      const secrets = await configs('dynamic_warming_secrets')
      return {
        clusters: count('cluster_manager.warming_clusters'),
        listeners: count('listener_manager.total_listeners_warming'),
        secrets: secrets.length,
      }
    }

    /** Each cluster that works, with its version, and each listener: of one that was updated in place Envoy shows the old version. */
    async function active(): Promise<readonly string[]> {
      const [clusters, listeners] = [await configs('dynamic_active_clusters'), await configs('dynamic_listeners')]
      const named = [
        ...clusters.map(({version_info, cluster}) => `${cluster?.name} ${version_info}`),
        ...listeners.flatMap(({name, active_state}) => (name === undefined || active_state === undefined ? [] : [name])),
      ]
      return named.sort()
    }

    async function configs(resource: string): Promise<readonly Config[]> {
      return (JSON.parse(await page(`/config_dump?resource=${resource}`)) as {configs?: readonly Config[]}).configs ?? []
    }

    async function page(path: string): Promise<string> {
      return (await fetch(`http://${admin.host}:${admin.port}${path}`)).text()
    }
  })

/** Each cluster with its version, and each listener. */
function wanted(snapshot: Snapshot): readonly string[] {
  const clusters = [...resourcesOf(snapshot, typeUrls.cluster).values()].map(({name, version}) => `${name} ${version}`)
  return [...clusters, ...resourcesOf(snapshot, typeUrls.listener).keys()].sort()
}

const nothing = {clusters: 0, listeners: 0, secrets: 0}
/** Listeners are requested once the first clusters are warmed. */
const typesToAsk = ['Cluster', 'Secret']

interface Config {
  readonly name?: string
  readonly version_info?: string
  readonly cluster?: {readonly name?: string}
  readonly active_state?: object
}

const bootstrap = adsBootstrap({admin, ads: adsAt})

function changedFleet(): Fleet {
  const {settings} = fleet
  if (settings === undefined) throw new Error('the fixture has settings')
  const {connect, keepaliveInterval} = settings.timeouts
  const timeouts = {...settings.timeouts, connect: connect + 1, keepaliveInterval: keepaliveInterval + 1}
  const name = parseClusterName('paris')
  return {
    ...fleet,
    settings: {...settings, timeouts},
    registrations: new Map([[name, {...paris, addresses: parseAddresses('127.0.53.12')}]]),
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  await waitFor(what, async () => ((await holds()) ? true : undefined), {
    signal: new AbortController().signal,
    timeoutMs: 45_000,
    everyMs: 50,
  })
}
