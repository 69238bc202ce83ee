/** A broken object costs its own cluster its updates, and no Envoy what it has, over a restart too; a repair restores the updates. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {askAds} from '../../src/demo/lab/ads-client.js'
import {credentialIn} from '../../src/demo/lab/certificates.js'
import type {Credential} from '../../src/lib/model/authority.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {edit, files, remove} from './edit.js'
import type {TestEnvoy} from './envoy.js'
import {differenceOf, dumpOf, proxyIn, reportOf, settledDumpOf, statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {serverPort} from './mtls-ports.js'

const names = ['paris', 'lyon', 'oslo', 'rome']

describe('e2e: broken objects', function () {
  this.timeout(240_000)
  let network: Network
  let dumps: readonly string[]
  /** The certificates of oslo's first generation, which was removed. */
  let revoked: Credential
  const mend: Record<string, () => Promise<void>> = {}

  before(async () => {
    network = await openNetwork({clusters: names})
    revoked = credentialIn(await network.store.load(), parseClusterName('oslo'))
    await secondGeneration('oslo')
    await untilReachable(network)
    await untilSynced(network)
  })
  after(() => closeNetwork(network))

  /** Removes and adds a cluster: its certificates get another generation. */
  async function secondGeneration(name: string): Promise<void> {
    const {envoy} = network.member(name)
    await removeCluster(network.store, name, dependencies)
    await network.register(name)
    await envoy.kill()
    await envoy.writeFiles()
    await envoy.start()
  }

  const envoys = (): readonly TestEnvoy[] => [network.observability, ...[...network.members.values()].map(({envoy}) => envoy)]

  async function allDumps(): Promise<readonly string[]> {
    return Promise.all(envoys().map(envoy => dumpOf(envoy)))
  }

  /** What every Envoy is to have afterwards. */
  async function remember(): Promise<void> {
    dumps = await Promise.all(envoys().map(async envoy => settledDumpOf(network, envoy)))
  }

  /** After something has been repaired: what was sent again has been taken up. */
  async function untilUnchanged(): Promise<void> {
    for (const [index, envoy] of envoys().entries()) {
      let difference = ''
      const isAsBefore = async (): Promise<boolean> => {
        difference = differenceOf(dumps[index] ?? '', await dumpOf(envoy))
        return difference === 'none'
      }
      await until(network, `${envoy.nodeId} to have what it had`, isAsBefore).catch((error: unknown) => {
        throw new Error(difference, {cause: error})
      })
    }
  }

  async function restart(): Promise<void> {
    await network.server().kill()
    await network.startServer()
  }

  async function faults(): Promise<readonly string[]> {
    return (await reportOf(network)).faults.map(({subject}) => subject).sort()
  }

  function unchanged(after: readonly string[]): void {
    for (const [index, dump] of dumps.entries()) expect(differenceOf(dump, after[index] ?? ''), ['atlas', ...names][index]).to.equal('none')
  }

  it('a registration, a Secret of identities, a ConfigMap of records: each is named with its file', async () => {
    await remember()
    mend['paris'] = await edit(network, files.registration('paris'), text =>
      text.replace(/goatlas.io\/addresses: .*/, 'goatlas.io/addresses: what?'),
    )
    mend['lyon'] = await edit(network, files.identities('lyon'), text => text.replace(/^( {2}lyon: ).*$/m, '$1AAAA'))
    mend['oslo'] = await edit(network, files.records('oslo'), text => `${text}}}`)
    const wanted = ['identity/lyon', 'record/oslo', 'registration/paris']
    await until(network, 'the server to find them', async () => (await faults()).join() === wanted.join())
    const sources = (await statusIn(network)).faults.map(({source}) => source).sort()
    expect(sources).to.deep.equal([files.records('oslo'), files.identities('lyon'), files.registration('paris')])
  })

  it('leave every Envoy as it was, over a restart of the server too', async () => {
    unchanged(await allDumps())
    await restart()
    const connected = async (): Promise<boolean> => (await reportOf(network)).proxies.length === names.length + 1
    await until(network, 'every Envoy to be back', connected)
    await untilSynced(network, ['atlas', 'paris', 'oslo', 'rome'])
    await sleep(300)
    unchanged(await allDumps())
    for (const name of names) expect(await whoAnswers(network, name)).to.equal(`${name}/0`)
    expect(await faults()).to.deep.equal(['identity/lyon', 'record/oslo', 'registration/paris'])
  })

  it('an Envoy that restarts meanwhile is configured from the last registration that was accepted', async () => {
    const {envoy} = network.member('paris')
    await envoy.kill()
    await envoy.start()
    await untilReachable(network, ['paris'])
  })

  it('an Envoy whose identity is broken gets nothing, and status names it and the file', async () => {
    const {envoy} = network.member('lyon')
    await until(network, 'status to name it', async () => (await proxyIn(network, 'lyon'))?.state === 'not updated')
    const before = await proxyIn(network, 'lyon')
    await envoy.kill()
    await envoy.start()
    await until(network, 'it to ask', async () => {
      const proxy = await proxyIn(network, 'lyon')
      return proxy?.state === 'not updated' && proxy.connectedSince !== before?.connectedSince
    })
    await sleep(1000)
    expect(await envoy.page('/ready')).to.equal('PRE_INITIALIZING\n')
    const proxy = await proxyIn(network, 'lyon')
    expect(proxy?.types.filter(({sent}) => sent > 0)).to.deep.equal([])
    expect(proxy?.remark).to.include(files.identities('lyon')).and.to.match(/lyon/)
  })

  it('a generation is not forgotten with its record: no Envoy and no server accepts an earlier one', async () => {
    const {envoy} = network.member('oslo')
    for (const each of [network.observability, envoy]) {
      await each.kill()
      await each.start()
    }

    await untilReachable(network, ['oslo', 'paris', 'rome'])
    const clusters = await dumpOf(network.observability, 'dynamic_active_clusters')
    expect(clusters).to.include('spiffe://atlas.internal/downstream/oslo/2')
    expect(clusters).not.to.include('spiffe://atlas.internal/downstream/oslo/1')
    const {grpcStatus} = await askAds(serverPort(network, await network.store.load()), revoked, {cluster: 'oslo', id: 'thief'})
    expect(grpcStatus).to.equal(7)
  })

  it('delay no other cluster', async () => {
    await network.register('rome', {replicas: 2})
    await until(network, 'the second replica to be routed to', async () => (await whoAnswers(network, 'rome', 1)) !== 'gRPC status 12')
  })

  it('a repair restores the updates', async () => {
    for (const heal of Object.values(mend)) await heal()
    await until(network, 'the server to find all well', async () => (await faults()).length === 0)
    await untilReachable(network)
    await untilSynced(network)
  })

  it('a broken trust bundle leaves every Envoy as it was, over a restart too; it admits no new client', async () => {
    await network.register('rome')
    await until(network, 'the change to be seen', async () => (await whoAnswers(network, 'rome', 1)) === 'gRPC status 12')
    await untilSynced(network)
    await remember()
    const heal = await edit(network, files.trust, text => text.replaceAll('BEGIN CERTIFICATE', 'BEGIN NONSENSE'))
    await until(network, 'the server to find it', async () => (await faults()).join() === 'trust')
    await restart()
    await until(network, 'the server to say why it is not ready', async () => (await reportOf(network)).reasons.length > 0)
    const {envoy} = network.member('paris')
    await envoy.kill()
    await envoy.start()
    await until(network, 'it to wait', async () => (await envoy.page('/ready')) === 'PRE_INITIALIZING\n')
    await sleep(1000)
    unchanged((await allDumps()).map((dump, index) => (index === 1 ? (dumps[index] ?? '') : dump)))
    expect(await envoy.page('/ready')).to.equal('PRE_INITIALIZING\n')
    for (const name of names.filter(each => each !== 'paris')) expect(await whoAnswers(network, name)).to.equal(`${name}/0`)
    expect((await statusIn(network)).withoutProxy).to.include('paris')
    await heal()
    await untilReachable(network)
    await untilSynced(network)
    await untilUnchanged()
  })

  it('settings that are gone or broken change nothing, and are reported', async () => {
    const heal = await edit(network, files.fleet, text => text.replace(/^data:$/m, 'date:'))
    await until(network, 'the server to find it', async () => (await faults()).includes('settings'))
    unchanged(await allDumps())
    await heal()
    await until(network, 'the server to find all well', async () => (await faults()).length === 0)
    const restore = await remove(network, files.fleet)
    await until(network, 'the server to find it gone', async () => !(await reportOf(network)).store.reachable)
    await sleep(500)
    unchanged(await allDumps())
    for (const name of names) expect(await whoAnswers(network, name)).to.equal(`${name}/0`)
    await restore()
    await until(network, 'the server to find it back', async () => (await reportOf(network)).store.reachable)
    await untilUnchanged()
  })
})
