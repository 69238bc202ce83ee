/**
 * Several replicas of the server are killed, stopped, replaced, and given the same name: the configuration of the proxies and the status
 * stay correct.
 */
import {expect} from 'chai'
import {readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {isDeepStrictEqual} from 'node:util'
import type {Running} from '../../src/demo/lab/processes.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {renderHostPort} from '../../src/lib/model/address.js'
import type {Report} from '../../src/lib/model/report.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import type {Status} from '../../src/lib/ops/status.js'
import {openAccess} from '../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../src/lib/store/kubernetes/client.js'
import {historyOf} from '../store/kubernetes/lease-history.js'
import {type Installation, registrationOf} from './installation.js'
import {load} from './load.js'
import {dumpOf, statOf, until, untilSynced} from './look.js'
import type {Replica} from './replica.js'
import {sharedInstallation} from './shared-installation.js'

/** Seconds within which another replica has taken over on the slowest machine. A quiet one takes a Lease (5 s here) and a look (0.6 s). */
const TAKEN_OVER_S = 90

describe('e2e: replicas of the server', function () {
  this.timeout(300_000)
  let network: Installation

  before(async () => {
    network = await sharedInstallation()
  })

  /** The replica that each proxy is connected to, by the replicas' own status. */
  async function places(): Promise<ReadonlyMap<string, Replica>> {
    const found = new Map<string, Replica>()
    for (const replica of network.ads) {
      const report = await replica.report().catch(() => undefined)
      for (const {id} of report?.proxies ?? []) found.set(id, replica)
    }
    return found
  }

  const shown = ({servers, proxies, warnings}: Status): unknown => ({
    servers: servers.map(({replica}) => replica),
    proxies: proxies.map(({id, state}) => `${id} ${state}`),
    warnings,
  })
  const names = (replicas: readonly Replica[]): readonly string[] => replicas.map(({name}) => name)

  it('kill -9 of one: its proxies move, and status is right again once its Lease has expired (15 s by default); no request fails', async () => {
    const requests = load(network)
    const where = await places()
    const victim = where.get('paris-0') ?? expect.fail('paris is nowhere')
    const rest = network.ads.filter(replica => replica !== victim)
    // Before the kill: an Envoy may connect to another replica before this process sees the end of the killed one.
    const killed = new Date().toISOString()
    await victim.kill()
    const all = ['atlas-0 synced', 'lyon-0 synced', 'paris-0 synced']
    const right = {servers: names(rest), proxies: all, warnings: []}
    await until(
      network,
      'status to be right',
      async () => JSON.stringify(shown(await network.status())) === JSON.stringify(right),
      TAKEN_OVER_S,
    )
    const told = async (): Promise<Status> => JSON.parse((await network.run(['status', '--json'], network.person)).stdout) as Status
    await until(network, 'the command to be right', async () => isDeepStrictEqual(shown(await told()), right))
    const {proxies} = await told()
    for (const [id, replica] of where)
      if (replica === victim) expect((proxies.find(proxy => proxy.id === id)?.connectedSince ?? '') > killed, id).to.equal(true)
    // First with the Envoys that it served, until the leader has seen that each is connected to another replica.
    const isReportGone = async (): Promise<boolean> => (await network.get(`configmaps/atlas-proxies-${victim.name}`)) === undefined
    await until(network, 'its report to have nothing more to say', isReportGone)
    await victim.start()
    await victim.untilReady()
    expect(await requests.stop()).to.be.greaterThan(100)
  })

  for (const called of ['rogue', 'atlas-ads-2'])
    it(`a NACK at a replica that is killed before it can repair it, and another one ${called === 'rogue' ? 'there' : 'of its own name'}: no orphan is left`, async () => {
      const [, , third] = network.ads
      if (third === undefined) throw new Error('there is no third one')
      await third.stop()
      const rogue = await startRogue(third, called)
      const envoy = await network.makeEnvoy('atlas', {address: network.spareAddress(called.length), nodeId: `atlas-${called}`})
      await onlyAt(envoy.folder, third)
      await envoy.start()
      // CDS takes what is good in a response that it refuses, and does not list it afterwards (docs/explanation/envoy.md#nack).
      await until(network, 'the refusal', async () => (await statOf(envoy, 'cluster_manager.cds.update_rejected')) === 1)
      await until(network, 'what came with it to be in use', async () => (await dumpOf(envoy)).includes('thanos/extra'))
      const refused = async (): Promise<boolean> =>
        [...(await network.fleet()).reports.values()].some(({leftovers}) =>
          leftovers.some(({id, sent}) => id === envoy.nodeId && sent.includes('thanos/extra')),
        )
      await until(network, 'the others to be told', refused)
      await rogue.kill()
      await third.start()
      await third.untilReady()
      await until(network, 'it to have what it should', async () => (await statOf(envoy, 'listener_manager.lds.update_success')) > 0)
      await until(network, 'the orphan to go', async () => !(await dumpOf(envoy)).includes('thanos/extra'))
      expect(await dumpOf(envoy))
        .to.include('thanos/paris')
        .and.not.to.include('thanos/ghost')
      await untilSynced(network)
      await envoy.kill()
      // The next test compares all streams.
      await until(network, 'its stream to end', async () => !(envoy.nodeId in (await streams())))
    })

  /** Since when each proxy has its stream, by the replicas' own status. */
  async function streams(): Promise<Readonly<Record<string, string>>> {
    const all = await Promise.all(network.ads.map(async replica => replica.report()))
    return Object.fromEntries(all.flatMap(({proxies}) => proxies).map(({id, connectedSince}) => [id, connectedSince]))
  }

  /**
   * Stops the leader. The Lease has no holder before it has another one: the other one took what was given back, and did not wait until a Lease
   * ran out. How long it took says less: a busy machine delays either.
   * @returns when it was given back
   */
  async function handOver(leader: Replica): Promise<string> {
    const client = openClient(await openAccess({kubeconfig: network.kubernetes.kubeconfig, namespace: network.namespace}))
    const history = await historyOf(client)
    try {
      const others = (): readonly string[] => history.holders().filter(holder => holder !== leader.name)
      await leader.stop()
      await until(network, 'another one to lead', () => others().some(holder => holder !== ''), TAKEN_OVER_S)
      expect(others()[0], 'who holds the Lease next').to.equal('')
      return history.givenBackAt()?.toISOString() ?? expect.fail('it was not given back')
    } finally {
      history.stop()
      client.close()
    }
  }

  /** Registers a cluster as kubectl would, and waits for its credential. */
  async function signed(name: string): Promise<void> {
    await network.kubectl(['apply', '-f', '-'], {input: registrationOf(network, name)})
    await until(
      network,
      `the credential of ${name}`,
      async () => (await network.get(`secrets/${name}-envoy-ads`)) !== undefined,
      TAKEN_OVER_S,
    )
  }
  const remove = async (name: string): Promise<unknown> => removeCluster(network.store, name, dependencies, {waitMs: 60_000})

  it('kill -9 of the leader: no stream ends, no request fails, and the next leader writes once the Lease has expired', async () => {
    const requests = load(network)
    const before = await streams()
    const leader = await network.leader()
    await leader.kill()
    await signed('turin')
    expect((await network.leader()).name).not.to.equal(leader.name)
    expect(await streams()).to.deep.equal(before)
    expect(await requests.stop()).to.be.greaterThan(100)
    await leader.start()
    await leader.untilReady()
    await remove('turin')
  })

  it('SIGTERM of the leader gives the Lease back at once', async () => {
    const leader = await network.leader()
    await handOver(leader)
    expect((await network.leader()).name).not.to.equal(leader.name)
    await leader.start()
    await leader.untilReady()
    await signed('turin')
    await remove('turin')
  })

  it('a deleted Lease is taken again by one of them, and both continue', async () => {
    await network.kubectl(['delete', 'lease', 'atlas'])
    await signed('turin')
    const leads = async (): Promise<number> =>
      (await Promise.all(network.controllers.map(async each => each.metric('atlas_leader')))).reduce((a, b) => a + b)
    await until(network, 'one of them to lead', async () => (await leads()) === 1)
    await remove('turin')
  })

  it('a rolling upgrade and its rollback: each replica is replaced twice under load, and no request fails', async () => {
    const requests = load(network)
    for (const replica of [...network.ads, ...network.controllers, ...network.controllers, ...network.ads]) {
      await replica.stop()
      await replica.start()
      await replica.untilReady()
    }

    await untilSynced(network)
    expect(await requests.stop()).to.be.greaterThan(200)
  })

  it('two serve --role all work as replicas: both serve, one leads, and gives its Lease back while its Envoys move', async () => {
    const requests = load(network)
    const [first, second, third] = network.ads
    if (first === undefined || second === undefined || third === undefined) throw new Error('there are three')
    await Promise.all([...network.controllers, third].map(async replica => replica.stop()))
    for (const replica of [first, second]) {
      await replica.stop()
      await replica.start({role: 'all'})
      await replica.untilReady()
    }
    await untilSynced(network)
    await signed('turin')
    const leader = await network.leader()
    expect(names([first, second])).to.include(leader.name)
    const where = await places()
    const givenBack = await handOver(leader)
    expect(await network.leader()).not.to.equal(leader)
    const other = leader === first ? second : first
    const moved = [...where].filter(([, replica]) => replica === leader).map(([id]) => id)
    const there = async (): Promise<Report['proxies']> => (await other.report()).proxies.filter(({id}) => moved.includes(id))
    await until(network, 'its Envoys to be at the other one', async () => (await there()).length === moved.length)
    for (const {id, connectedSince} of await there())
      expect(connectedSince >= givenBack, `${id} since ${connectedSince}, the Lease given back ${givenBack}`).to.equal(true)
    await leader.start({role: 'all'})
    await leader.untilReady()
    await untilSynced(network)
    expect(await requests.stop()).to.be.greaterThan(100)

    for (const replica of [first, second]) {
      await replica.stop()
      await replica.start()
    }
    await Promise.all([...network.controllers, third].map(async replica => replica.start()))
    await Promise.all([...network.controllers, ...network.ads].map(async replica => replica.untilReady()))
    await remove('turin')
  })

  it('two replicas with one name: both serve, the newer one reports, both and status show that there are two; when it ends the other one reports', async () => {
    const requests = load(network)
    const [, second, third] = network.ads
    if (second === undefined || third === undefined) throw new Error('there are three')
    await third.stop()
    await third.start({called: second.name})
    await third.untilReady()
    const words = `two servers have the name ${second.name}`
    const says = async (replica: Replica): Promise<boolean> => JSON.stringify((await replica.readiness()).warnings).includes(words)
    for (const replica of [second, third]) await until(network, `${replica.name} to say so`, async () => says(replica))
    for (const replica of [second, third]) expect((await replica.readiness()).ready).to.equal(true)
    await until(network, 'status to say so, with the newer one', async () => {
      const {warnings, servers} = await network.status()
      return warnings.join().includes(words) && servers.some(({address}) => address === renderHostPort(third.listen))
    })
    // Its log is of all its runs: an API server that answers late shows there, too.
    const told = second.log().filter(({msg, error}) => msg === 'can not take part in leader election' && String(error).includes(words))
    expect(told, 'once').to.have.length(1)

    await third.stop()
    const isBack = async (): Promise<boolean> =>
      (await network.status()).servers.some(({address}) => address === renderHostPort(second.listen))
    await until(network, 'the other one to report', isBack)
    await until(network, 'it to say nothing any more', async () => !(await says(second)))
    await third.start()
    await third.untilReady()
    await untilSynced(network)
    expect(await requests.stop()).to.be.greaterThan(100)
  })

  async function startRogue({listen, admin}: Replica, called: string): Promise<Running> {
    const script = fileURLToPath(new URL('rogue-replica.ts', import.meta.url))
    const args = [
      '--import',
      'tsx',
      script,
      network.kubernetes.kubeconfig,
      network.namespace,
      called,
      renderHostPort(listen),
      renderHostPort(admin),
    ]
    const running = await network.startProcess({name: `rogue-${called}`, program: process.execPath, args, cwd: process.cwd()})
    await until(
      network,
      'the rogue to be ready',
      async () => (await fetch(`http://${renderHostPort(admin)}/readyz`).catch(() => undefined))?.ok === true,
    )
    return running
  }

  /** Makes an Envoy connect to one replica only. */
  async function onlyAt(folder: string, {listen}: Replica): Promise<void> {
    const file = path.join(folder, 'envoy.json')
    const bootstrap = JSON.parse(await readFile(file, 'utf8')) as {
      static_resources: {clusters: {name: string; load_assignment: {endpoints: {lb_endpoints: unknown[]}[]}}[]}
    }
    const [endpoints] = bootstrap.static_resources.clusters.find(({name}) => name === 'xds')?.load_assignment.endpoints ?? []
    if (endpoints === undefined) throw new Error('the bootstrap dials nobody')
    endpoints.lb_endpoints = endpoints.lb_endpoints.filter(endpoint => JSON.stringify(endpoint).includes(`"port_value":${listen.port}`))
    expect(endpoints.lb_endpoints).to.have.length(1)
    await writeFile(file, JSON.stringify(bootstrap))
  }
})
