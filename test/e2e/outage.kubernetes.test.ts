/** The API server is away for longer than every Lease and pause: running programs continue, started ones are served or wait, and all converge later. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {type Installation, openInstallation} from './installation.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'

/** Shorter than the defaults: each passes before the API server is back. */
const times = {
  report: '300ms',
  ...{lease: '3s', renew: '2s', 'lease-renew': '500ms', 'lease-retry': '500ms'},
  ...{replica: '3s', 'replica-renew': '800ms', 'replica-look': '600ms'},
  ...{retry: '100ms', 'retry-max': '1s', wait: '100ms', 'wait-max': '500ms'},
}
const GONE = 6000

describe('e2e: the API server is away', function () {
  this.timeout(300_000)
  let kubernetes: Kubernetes
  let network: Installation

  before(async () => {
    kubernetes = await ownKubernetes()
    network = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], spare: 4, ads: 2, controllers: 1, times})
    await untilReachable(network)
    await untilSynced(network)
  })
  after(async () => {
    await network.close()
    await kubernetes.cluster.end()
  })

  it('Envoys continue, one that restarts is configured, a replica that starts waits and reports it; then everything converges', async () => {
    const [first] = network.ads
    const [controller] = network.controllers
    if (first === undefined || controller === undefined) throw new Error('no replicas')
    const requests = load(network, ['paris'])
    await kubernetes.cluster.apiServer.kill()
    await sleep(GONE)
    await until(network, 'nobody to lead who can not renew', async () => (await controller.metric('atlas_leader')) === 0)
    await until(network, 'a warning', async () => /can not be read|was heard/.test((await first.readiness()).warnings.join('\n')))
    expect((await first.readiness()).ready).to.equal(true)

    const {envoy} = network.member('lyon')
    await envoy.kill()
    await envoy.start()
    await envoy.untilReady()

    const late = network.another('late', 'ads')
    await late.start({kubeconfig: kubernetes.kubeconfig})
    await until(network, 'it to say what it waits for', async () => {
      const {ready, reasons} = await late.readiness().catch(() => ({ready: false, reasons: []}))
      return !ready && reasons.some(reason => reason.includes('waiting for the store'))
    })

    await kubernetes.cluster.apiServer.start()
    await late.untilReady()
    await until(network, 'somebody to lead again', async () => (await controller.metric('atlas_leader')) === 1)
    await network.register('turin')
    expect(await network.get('secrets/turin-envoy-ads')).not.to.equal(undefined)
    await untilReachable(network)
    await until(network, 'no warning to be left', async () => (await first.readiness()).warnings.length === 0)
    expect(await requests.stop()).to.be.greaterThan(100)
    await late.stop()
  })
})
