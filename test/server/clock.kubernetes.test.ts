/** A leader whose clock differs from that of a real API server: what it does not sign, and who is told. */
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {openCluster} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {type Namespace, applyRights, openNamespace} from '../e2e/installation.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

describe('a leader whose clock differs from the API server’s', function () {
  this.timeout(240_000)
  const undo: (() => Promise<void> | void)[] = []
  let place: Namespace
  let store: StateStore
  let serving: Serving
  let wrong = 3_600_000

  before(async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('clock')
    store = await openCluster({
      cluster: {kubeconfig: kubernetes.kubeconfig, namespace},
      secrets: 'all',
      times: {leaseRenewMs: 200, leaseRetryMs: 200},
    })
    undo.push(() => store.close())
    place = await openNamespace(kubernetes, namespace, store)
    await applyRights(kubernetes, namespace, 1)
    expect((await place.run(['init', '--address', '203.0.113.7'])).code).to.equal(0)
    serving = await serve({
      store,
      dependencies: {now: () => new Date(Date.now() + wrong), signer: cryptoSigner},
      listen: {host: '127.0.0.1', port: 0},
      admin: {host: '127.0.0.1', port: 0},
      times: {clockLookMs: 50},
      log: 'silent',
    })
    undo.push(async () => serving.stop())
  })
  after(async () => {
    for (const act of undo.reverse()) await act()
  })

  const reason = "the clock of this machine is 1h ahead of the Kubernetes API server's: nothing is signed or dropped until they agree"
  const until = async (what: string, holds: () => Promise<boolean> | boolean): Promise<void> => {
    await waitFor(what, async () => ((await holds()) ? true : undefined), {
      signal: new AbortController().signal,
      timeoutMs: 90_000,
      everyMs: 50,
    })
  }

  it('signs nothing; /readyz, an Event and the command name the reason', async () => {
    await until('the time of the API server', () => Math.abs((store.serverTime() ?? 0) - Date.now()) < 5000)
    await until('the warning', () => serving.readiness().warnings.includes(reason))
    const added = await place.run(['cluster', 'add', 'paris', '--address', '203.0.113.4', '--wait', '--timeout', '50s'], place.person)
    expect(added.code, 'before its time is up').to.equal(1)
    expect(added.stderr.replaceAll(/\s+/g, ' ')).to.contain(`reports: ${reason}`)
    const rotated = await place.run(['rotate', '--wait', '--timeout', '50s'], place.person)
    expect(rotated.code).to.equal(1)
    expect(rotated.stderr.replaceAll(/\s+/g, ' ')).to.contain(reason)
    await until('the Event', async () => (await place.kubectl(['get', 'events'])).includes(reason))
    expect((await place.fleet()).credentials.size).to.equal(0)
  })

  it('signs once they agree', async () => {
    wrong = 0
    await until('what is due to be signed', async () => (await place.fleet()).credentials.size === 2)
    await until('the warning to go', () => !serving.readiness().warnings.join().includes('clock'))
  })
})
