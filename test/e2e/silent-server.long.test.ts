/**
 * A server alone loses the API server and goes on serving. It can't know what is revoked meanwhile: `atlas status` names the Envoys that it may
 * still serve, and once it has ended they get from another server what they missed.
 */
import {expect} from 'chai'
import {type FaultProxy, faultProxy} from '../helpers/kubernetes/fault-proxy.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {type Installation, openInstallation} from './installation.js'
import {statusIn, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {quickRotation} from './rotating.js'

const SILENT = 'atlas-ads-1'
/** How long a request is to go on being answered to show that no Envoy was told, milliseconds: more than the cut-off takes (10 s). */
const UNTOLD_MS = 12_000

describe('e2e: a server that alone cannot reach the API server', function () {
  this.timeout(180_000)
  let kubernetes: Kubernetes
  let network: Installation
  let proxy: FaultProxy

  before(async () => {
    kubernetes = await sharedKubernetes()
    // Connections of Envoys that last: with the test's short ones an Envoy soon meets the other server.
    const times = {...quickRotation.times, 'connection-age': '1h'}
    network = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], ads: 2, controllers: 1, times})
    proxy = await faultProxy(kubernetes)
    const account = await proxy.kubeconfigOf(await kubernetes.serviceAccountKubeconfig(network.namespace, 'atlas-ads'))
    const [other, silent] = network.ads
    await silent?.stop()
    await silent?.start({kubeconfig: account})
    await silent?.untilReady()
    // All Envoys move to it, since it alone is there for a while.
    await other?.stop()
    await untilSynced(network)
    await until(network, 'all Envoys to be connected to it', async () => ((await silent?.report())?.proxies.length ?? 0) === 3, 30)
    await other?.start()
    await other?.untilReady()
    await untilReachable(network)
  })
  after(async () => {
    await network.close()
    await proxy.close()
  })

  const warned = async (): Promise<string> =>
    (await statusIn(network)).findings
      .filter(({kind, server}) => kind === 'warning' && server === SILENT)
      .map(({message}) => message)
      .join('\n')

  it('is named with the Envoys that it may serve still', async () => {
    await proxy.down()
    await until(
      network,
      'status to name it',
      async () => (await warned()).includes('come to no other server: atlas, lyon, paris. If it runs'),
      30,
    )
    const shown = await network.run(['status'])
    expect(shown.code).to.equal(6)
    expect(shown.stdout.replaceAll(/\s+/g, ' ')).to.contain('no revocation reaches them: look for its Pod, and delete it')
  })

  it('leaves its Envoys untold of a revocation, until it has ended: then the cluster is cut off within 10 s', async () => {
    const revoked = await network.run(['cluster', 'revoke', 'paris', '--yes'])
    expect(revoked.code, revoked.stderr).to.equal(0)
    expect(revoked.stdout + revoked.stderr).to.contain('While the observability Envoy is not connected, or not updated')
    const end = Date.now() + UNTOLD_MS
    while (Date.now() < end) expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
    await network.ads[1]?.kill()
    await until(network, 'paris to be cut off', async () => (await whoAnswers(network, 'paris')) === 'gRPC status 12', 10)
    await untilReachable(network, ['lyon'])
    // Whether the server that was cut off has ended is not known: of the revoked cluster no Envoy can come to another one.
    await until(network, 'paris alone to be named', async () => (await warned()).includes('come to no other server: paris. If it runs'), 30)
  })
})
