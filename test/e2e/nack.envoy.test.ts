/** A resource that an Envoy rejects: the other resources work, status shows its message, and no other Envoy is affected. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import {createServer} from 'node:net'
import {credentialIn} from '../../src/demo/lab/certificates.js'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {TypeReport} from '../../src/lib/model/report.js'
import type {ProxyStatus} from '../../src/lib/ops/status.js'
import {oneCall} from './backend.js'
import {hostOf, reportOf, statOf, statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {adsPort} from './mtls-ports.js'

/** An address for documentation (RFC 5737), which no machine has. */
const NOBODYS = '203.0.113.77'

describe('e2e: rejected resources (D26)', function () {
  this.timeout(240_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris', 'lyon']})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('a listener that can not be bound: the message is in status, clusters and secrets are in place, and later changes still arrive', async () => {
    const envoy = await network.makeEnvoy(parseClusterName('paris'), {
      address: network.spareAddress(0),
      bindAddress: NOBODYS,
      nodeId: 'paris-1',
    })
    await envoy.start()
    await until(network, 'status to show the refusal', async () => (await typesOf(network, 'paris-1'))['Listener']?.state === 'nack')
    const proxy = async (): Promise<ProxyStatus | undefined> => (await statusIn(network)).proxies.find(({id}) => id === 'paris-1')
    // Between two tries it is not refused yet.
    await until(network, 'status to name it', async () => {
      const {state, remark = ''} = (await proxy()) ?? {}
      return state === 'rejected' && /Listener: .*203\.0\.113\.77:\d+.*Cannot assign requested address/s.test(remark)
    })
    // The first response had the listener for alerts, too, whose address is another: it is sent again without those that Envoy names, one, or
    // several, of the four listeners on that address.
    const onThatAddress = new Set(['thanos', 'page/alertmanager', 'page/prom', 'page/thanos'])
    await until(network, 'the refusal of these alone', async () => {
      const names = (await typesOf(network, 'paris-1'))['Listener']?.nackNames ?? []
      return names.length > 0 && names.every(name => onThatAddress.has(name))
    })
    let sent = 0
    await until(network, 'its clusters to be in place', async () => {
      const {sent: all = 0, acknowledged, state} = (await typesOf(network, 'paris-1'))['Cluster'] ?? {}
      sent = all
      return state === 'synced' && all > 0 && acknowledged === all
    })

    await network.register('paris', {replicas: 2})
    await until(network, 'a change to reach it', async () => (await typesOf(network, 'paris-1'))['Cluster']?.acknowledged === sent + 2)
    await untilSynced(network)
    // It is sent again after 15 s, and after 30 s more, which may be now, and not again and again.
    const refusals = async (): Promise<number> => statOf(envoy, 'listener_manager.lds.update_rejected')
    await until(
      network,
      'a second without another refusal',
      async () => {
        const before = await refusals()
        await sleep(1000)
        return (await refusals()) === before
      },
      5,
    )
    for (const name of ['paris', 'lyon']) expect(await whoAnswers(network, name)).to.equal(`${name}/0`)
    await envoy.kill()
  })
})

for (const variant of ['delta', 'sotw'] as const)
  describe(`e2e: a listener whose port is held (${variant})`, function () {
    this.timeout(240_000)
    let network: Network

    before(async () => {
      network = await openNetwork({clusters: ['paris', 'lyon'], variant})
      await untilReachable(network)
    })
    after(() => closeNetwork(network))

    it('opens once the port is free, with all its routes; the other listener opens at once', async () => {
      const address = network.spareAddress(1)
      const occupier = createServer()
      await new Promise<void>(resolve => occupier.listen(10_901, address, resolve))
      const envoy = await network.makeEnvoy('atlas', {address, nodeId: 'atlas-1'})
      await envoy.start()
      await until(network, 'status to show the refusal', async () => (await typesOf(network, 'atlas-1'))['Listener']?.state === 'nack')
      expect((await typesOf(network, 'atlas-1'))['Listener']?.nack).to.match(/thanos: cannot bind .*Address already in use/)
      const fleet = await network.store.load()
      const target = {...adsPort(network, fleet), host: address}
      const opens = async (): Promise<boolean> =>
        (await probeTls(target, {certificate: credentialIn(fleet, parseClusterName('paris'))})).bytes > 0
      await until(network, 'the ADS relay to open', opens)
      await untilSynced(network)
      await new Promise(resolve => occupier.close(resolve))
      // The server sends it again after 15 s, then after twice as long.
      await until(
        network,
        'the listener to be accepted',
        async () => (await typesOf(network, 'atlas-1'))['Listener']?.state === 'synced',
        50,
      )
      const answers = async (): Promise<boolean> =>
        (await callOnce(openPlain({host: address, port: 10_901}), oneCall(hostOf('lyon'))).catch(() => undefined))?.grpcStatus === 0
      await until(network, 'the listener to open', answers)
      await envoy.kill()
    })
  })

async function typesOf(network: Network, id: string): Promise<Readonly<Record<string, TypeReport>>> {
  const {proxies} = await reportOf(network)
  return Object.fromEntries(proxies.find(proxy => proxy.id === id)?.types.map(type => [type.type, type]) ?? [])
}
