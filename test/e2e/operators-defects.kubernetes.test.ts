/** Defects of goatlas on Kubernetes: a running installation of Atlas has none of them. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {ANSWERED_BY, oneCall} from './backend.js'
import type {TestEnvoy} from './envoy.js'
import {type Installation, registrationOf} from './installation.js'
import {load} from './load.js'
import {differenceOf, dumpOf, proxyIn, queryAddress, settledDumpOf, until, untilReachable, untilSynced, updatesOf} from './look.js'
import {sharedInstallation} from './shared-installation.js'

describe('e2e: defects of goatlas, on Kubernetes', function () {
  this.timeout(300_000)
  let network: Installation

  before(async () => {
    network = await sharedInstallation()
  })

  const apply = async (name: string, annotations?: Readonly<Record<string, string>>): Promise<string> =>
    network.kubectl(['apply', '-f', '-'], {input: registrationOf(network, name, annotations)})
  const untilServed = async (name: string): Promise<void> =>
    until(network, `the observability Envoy to know ${name}`, async () => (await dumpOf(network.observability)).includes(`thanos/${name}"`))
  const untilGone = async (name: string): Promise<void> =>
    until(
      network,
      `the observability Envoy to forget ${name}`,
      async () => !(await dumpOf(network.observability)).includes(`thanos/${name}"`),
    )
  const eventsOf = async (name: string): Promise<string> =>
    network.kubectl(['get', 'events', '--field-selector', `involvedObject.name=${name}`])

  /** Accepted and rejected responses of an Envoy, once none has come for longer than the time between two reports. */
  async function settledUpdatesOf(envoy: TestEnvoy): Promise<Readonly<Record<string, number>>> {
    let updates = await updatesOf(envoy)
    await until(network, `${envoy.nodeId} to be sent nothing more`, async () => {
      const before = updates
      await sleep(1500)
      updates = await updatesOf(envoy)
      return isDeepStrictEqual(before, updates)
    })
    return updates
  }

  /** Removes a cluster, so that the next test finds the installation as this one did. */
  async function remove(...names: readonly string[]): Promise<void> {
    for (const name of names) await removeCluster(network.store, name, dependencies, {waitMs: 60_000})
    await Promise.all(names.map(untilGone))
  }

  it('D16: it runs in any namespace, and the names that Envoys connect to are of that namespace', async () => {
    const endpoints = (await network.fleet()).endpoints?.text
    const address = `paris-thanos-sidecar0.${network.namespace}.svc.cluster.local:10901`
    expect(endpoints).to.contain(address)
    expect(endpoints).not.to.contain('.monitoring.')
    const {headers} = await callOnce(openPlain(queryAddress(network)), oneCall(address))
    expect(headers[ANSWERED_BY]).to.equal('paris/0')
    expect((await network.get('services/paris-thanos-sidecar0'))?.spec?.['selector']).to.deep.equal({'goatlas.io/envoy': 'observability'})
  })

  it('D18: a registration without an address, and an invalid one, affect no other cluster, and are reported in an Event', async () => {
    const others = load(network)
    const pids = [...network.ads, ...network.controllers].map(replica => replica.pid())
    await apply('rome', {'goatlas.io/addresses': ''})
    await apply('oslo', {'goatlas.io/addresses': 'neither an address nor a name', 'goatlas.io/envoy-selectors': '{"app": ['})
    await apply('bern')
    await untilServed('bern')
    await until(network, 'an event beside it', async () => (await eventsOf('oslo')).includes('Broken'))
    expect(await eventsOf('oslo')).to.match(/Warning +Broken +service\/oslo +metadata\.annotations\["goatlas\.io\/addresses"\]: /)
    const {faults, proxies} = await network.status()
    expect(faults.map(({subject}) => subject)).to.deep.equal(['registration/oslo'])
    expect(proxies.map(({cluster, state}) => `${cluster} ${state}`)).to.include('rome not connected')
    await until(network, 'values of the pending cluster, too', async () =>
      (await network.fleet()).credentials.has(parseClusterName('rome')),
    )
    expect([...network.ads, ...network.controllers].map(replica => replica.pid())).to.deep.equal(pids)
    expect(network.crashed.aborted).to.equal(false)
    await remove('rome', 'oslo', 'bern')
    expect(await others.stop()).to.be.greaterThan(20)
  })

  it('values that cannot be read and keys of the 2021 program are said in Events of a registration that a person wrote', async () => {
    await apply('bern', {'goatlas.io/envoy-selectors': '{"app": [', 'goatlas.io/adresses': 'x'})
    await untilServed('bern')
    await until(network, 'Events beside it', async () => {
      const events = await eventsOf('bern')
      return events.includes('envoy-selectors') && events.includes('adresses')
    })
    expect(await eventsOf('bern')).to.match(/Warning +NoEffect +service\/bern +annotation "goatlas\.io\/envoy-selectors" has no effect/)
    expect(await eventsOf('bern')).to.match(
      /NoEffect +service\/bern +annotation "goatlas\.io\/adresses" .*did you mean "goatlas\.io\/addresses"/,
    )
    expect((await network.status()).findings.map(({message}) => message)).to.include(
      'bern: annotation "goatlas.io/envoy-selectors" has no effect: only the 2021 program read it',
    )
    await network.kubectl(['label', 'service', 'bern', 'goatlas.io/replicas=2x'])
    await until(network, 'an Event about replicas', async () => (await eventsOf('bern')).includes('Broken'))
    expect(await eventsOf('bern')).to.match(/Warning +Broken +service\/bern +metadata\.labels\["goatlas\.io\/replicas"\]: .*2x/)
    expect((await network.status()).faults.map(({subject}) => subject)).to.deep.equal(['registration/bern'])
    await remove('bern')
  })

  it('D19: neither a cluster called atlas nor one of the same name in another namespace touches the configuration or values of another', async () => {
    await untilSynced(network)
    await settledUpdatesOf(network.observability)
    const [before, values] = [await settledDumpOf(network, network.observability), await network.get('secrets/atlas-envoy-values')]
    const other = await network.kubernetes.newNamespace('other')
    const elsewhere = await network.kubernetes.kubectl(['apply', '-n', other, '-f', '-'], {
      input: registrationOf(network, 'paris', {'goatlas.io/addresses': '203.0.113.66'}),
    })
    expect(elsewhere.code, elsewhere.stderr).to.equal(0)
    await apply('atlas')
    await until(network, 'an event beside it', async () => (await eventsOf('atlas')).includes('Broken'))
    await sleep(300)
    expect(differenceOf(before, await settledDumpOf(network, network.observability))).to.equal('none')
    expect((await network.get('secrets/atlas-envoy-values'))?.metadata.resourceVersion).to.equal(values?.metadata.resourceVersion)
    const added = await network.run(['cluster', 'add', 'atlas', '--address', '203.0.113.66'])
    expect(added.code).to.equal(2)
    await network.kubectl(['delete', 'service', 'atlas'])
    await until(network, 'nothing to be at fault', async () => (await network.fleet()).faults.size === 0)
  })

  it('D22: a cluster for which an object can not be written delays no other cluster', async () => {
    // Another program's Service has the name that Thanos Query would use.
    await network.kubectl(['create', 'service', 'clusterip', 'aarau-thanos-sidecar0', '--tcp=80:80'])
    await apply('aarau')
    await apply('zug')
    await until(network, 'all of the later one', async () => (await network.fleet()).derived.has('Service/zug-thanos-sidecar0'))
    await until(network, 'its credential', async () => (await network.get('secrets/zug-envoy-ads'))?.metadata.name === 'zug-envoy-ads')
    // Asked each time: on a busy machine another one may lead meanwhile.
    const told = async (): Promise<readonly string[]> => (await (await network.leader()).readiness()).warnings
    await until(network, 'it to be told', async () => (await told()).join().includes('aarau-thanos-sidecar0'))
    expect((await network.get('services/aarau-thanos-sidecar0'))?.spec?.['selector'], "somebody else's stays").to.deep.equal({
      app: 'aarau-thanos-sidecar0',
    })
    // It is retried without a change of the registration.
    await network.kubectl(['delete', 'service', 'aarau-thanos-sidecar0'])
    await until(network, 'it to be made', async () => (await network.fleet()).derived.has('Service/aarau-thanos-sidecar0'))
    await until(network, 'nothing to be told any more', async () => (await told()).length === 0)
    await remove('aarau', 'zug')
  })

  it('D23: a Service that loses its label is no longer a cluster: its configuration, endpoints and Services are removed', async () => {
    await apply('turin')
    await untilServed('turin')
    await network.kubectl(['label', 'service', 'turin', 'goatlas.io/cluster-'])
    await untilGone('turin')
    await until(network, 'its Service to go', async () => (await network.get('services/turin-thanos-sidecar0')) === undefined)
    await until(network, 'its endpoints to go', async () => (await network.fleet()).endpoints?.text.includes('turin') === false)
    await network.kubectl(['delete', 'service', 'turin'])
    await remove('turin')
  })

  it('D27: every replica serves and reports when it is ready, and one that ends does not wait for endless streams', async () => {
    const [, , last] = network.ads
    for (const replica of network.ads) expect((await replica.readiness()).ready).to.equal(true)
    const served = await Promise.all(network.ads.map(async replica => (await replica.report()).address))
    expect(new Set(served).size).to.equal(3)
    const others = load(network)
    expect(await last?.stop(), 'milliseconds').to.be.lessThan(5000)
    await last?.start()
    await last?.untilReady()
    await untilReachable(network)
    expect(await others.stop()).to.be.greaterThan(20)
  })

  it('D28: a cluster gets only what concerns it, and objects of other programs cause no write', async () => {
    const {envoy} = network.member('lyon')
    await untilSynced(network)
    const updates = await settledUpdatesOf(envoy)
    const before = await proxyIn(network, 'lyon')
    await apply('nice')
    await untilServed('nice')
    await remove('nice')
    await sleep(300)
    expect(await updatesOf(envoy)).to.deep.equal(updates)
    expect((await proxyIn(network, 'lyon'))?.connectedSince).to.equal(before?.connectedSince)

    // Reports of replicas are excluded.
    const own = /\/(atlas-proxies-|atlas-replicas|grafana)/
    const others = async (): Promise<string> =>
      JSON.stringify([...(await network.fleet()).revisions].filter(([object]) => !own.test(object)))
    await untilSynced(network)
    await until(network, 'the controller to be at rest', async () => {
      const [is, was] = [await others(), await updatesOf(network.observability)]
      await sleep(1500)
      return is === (await others()) && isDeepStrictEqual(was, await updatesOf(network.observability))
    })
    const all = await updatesOf(network.observability)
    const revisions = await others()
    await network.kubectl(['create', 'configmap', 'grafana', '--from-literal', 'a=b'])
    await network.kubectl(['create', 'secret', 'generic', 'grafana', '--from-literal', 'a=b'])
    await network.kubectl(['create', 'service', 'clusterip', 'grafana', '--tcp=80:80'])
    await sleep(500)
    expect(await updatesOf(network.observability)).to.deep.equal(all)
    expect(await others()).to.equal(revisions)
    await network.kubectl(['delete', 'configmap/grafana', 'secret/grafana', 'service/grafana'])
  })
})
