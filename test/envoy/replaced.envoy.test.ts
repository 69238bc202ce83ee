/**
 * A listener that is replaced by one of another name on the same address, and a scope by one of the same key: Envoy refuses the new one
 * while the old one is there (envoyproxy/envoy#9349). It is sent again as soon as Envoy acknowledges the removal of the old one.
 */
import {fromBinary} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import {ListenerSchema} from '../../src/gen/envoy/config/listener/v3/listener_pb.js'
import {ScopedRouteConfigurationSchema} from '../../src/gen/envoy/config/route/v3/scoped_route_pb.js'
import {toResource} from '../../src/lib/xds/resource.js'
import {type Snapshot, editOf, editSnapshot} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {type RunningEnvoy, startEnvoy} from '../helpers/envoy-process.js'
import {testCluster} from '../helpers/fleet.js'
import {type AdsServer, adsBootstrap, serveAds} from './ads-server.js'
import {certified} from './certified.js'
import {build, find, fleetOf, nodeOf} from './fixture.js'

const [local, adsAt] = ['127.0.54.1', {host: '127.0.54.2', port: 6305}]
const admin = {host: local, port: 9901}
const node = nodeOf('atlas', {'atlas.bind_address': local, 'atlas.local_address': local})
const first = build(certified(fleetOf([testCluster('paris')]), new Date()), node)

for (const version of ['1.36', '1.40'] as const)
  describe(`envoy ${version}: a resource that is replaced by one of another name`, function () {
    this.timeout(240_000)
    let ads: AdsServer
    let envoy: RunningEnvoy
    beforeEach(async () => {
      ads = await serveAds(adsAt, first)
      envoy = await startEnvoy(adsBootstrap({admin, ads: adsAt}), admin, {version})
      await until('the first configuration to be acknowledged', () => ads.events.filter(({text}) => text === 'ACK').length >= 5)
    })
    afterEach(async () => {
      await envoy.stop()
      ads.close()
    })

    it('a listener on the same address: refused as a duplicate, sent again when the removal of the old one is acknowledged', async () => {
      expect(await listeners())
        .to.include('thanos')
        .and.not.include('thanos-2')
      expect(await replace(renamedListener(first), 'Listener')).to.deep.equal([
        '+thanos-2',
        'NACK',
        '-thanos',
        'ACK',
        '+thanos-2 after a request',
        'ACK',
      ])
      expect(ads.events.find(({text}) => text.startsWith('NACK'))?.text).to.match(/duplicate address/)
      expect(await listeners())
        .to.include('thanos-2')
        .and.not.include('thanos')
    })

    it('a scope of the same key: likewise', async () => {
      expect(await replace(renamedScope(first), 'ScopedRouteConfiguration')).to.deep.equal([
        '+thanos/paris-2',
        'NACK',
        '-thanos/paris',
        'ACK',
        '+thanos/paris-2 after a request',
        'ACK',
      ])
    })

    /** Serves this instead, and waits until nothing of the type is refused. @returns the events of the type since then */
    async function replace(snapshot: Snapshot, type: string): Promise<readonly string[]> {
      const from = ads.events.length
      ads.push(snapshot)
      const events = () => ads.events.slice(from).filter(event => event.type === type)
      await until('the second ACK', () => events().filter(({text}) => text === 'ACK').length === 2)
      const sent = new Set<string>()
      return events().map(({text, cause}) => {
        if (!text.startsWith('+')) return text.replace(/:.*$/s, '')
        const isAgain = sent.has(text)
        sent.add(text)
        return isAgain ? `${text} after a ${cause}` : text
      })
    }

    async function listeners(): Promise<readonly string[]> {
      const answer = await fetch(`http://${admin.host}:${admin.port}/listeners?format=json`)
      const {listener_statuses: statuses} = (await answer.json()) as {readonly listener_statuses: readonly {readonly name: string}[]}
      return statuses.map(({name}) => name)
    }
  })

/** Listener `thanos` under another name, on its address. */
function renamedListener(snapshot: Snapshot): Snapshot {
  const listener = fromBinary(ListenerSchema, find(snapshot, 'listener', 'thanos').body)
  const renamed = toResource('thanos-2', ListenerSchema, {...listener, name: 'thanos-2'})
  return editSnapshot(snapshot, [{typeUrl: typeUrls.listener, name: 'thanos', resource: undefined}, editOf(renamed)])
}

/** The scope of paris under another name, with its key. */
function renamedScope(snapshot: Snapshot): Snapshot {
  const scope = fromBinary(ScopedRouteConfigurationSchema, find(snapshot, 'scope', 'thanos/paris').body)
  const renamed = toResource('thanos/paris-2', ScopedRouteConfigurationSchema, {...scope, name: 'thanos/paris-2'})
  return editSnapshot(snapshot, [{typeUrl: typeUrls.scope, name: 'thanos/paris', resource: undefined}, editOf(renamed)])
}

async function until(what: string, holds: () => boolean): Promise<void> {
  await waitFor(what, async () => (holds() ? true : undefined), {signal: new AbortController().signal, timeoutMs: 30_000, everyMs: 50})
}
