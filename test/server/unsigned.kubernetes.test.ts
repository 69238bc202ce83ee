/** Without settings, a root or a leader: what servers and commands report, and that no server makes a root. */
import {expect} from 'chai'
import {openSupervisor, type Supervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {openCluster} from '../../src/lib/store/open.js'
import {ownAddress} from '../charts/support/pod-process.js'
import {type Namespace, type Servers, applyRights, openNamespace, openServers} from '../e2e/installation.js'
import type {Replica} from '../e2e/replica.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

describe('where nothing can be signed', function () {
  this.timeout(300_000)
  let supervisor: Supervisor
  const undo: (() => Promise<void> | void)[] = []
  let place: Namespace
  let servers: Servers
  let [controller, ads]: [Replica | undefined, Replica | undefined] = [undefined, undefined]

  before(async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('unsigned')
    const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
    undo.push(() => store.close())
    place = await openNamespace(kubernetes, namespace, store)
    await applyRights(kubernetes, namespace, 1)
    supervisor = await openSupervisor(kubernetes.cluster.folder, {removeFolder: false})
    undo.push(async () => supervisor.stopAll(2000))
    // The leader is stopped in good order, so no test waits for a Lease to run out.
    const times = {'lease-renew': '500ms', 'lease-retry': '500ms'}
    servers = await openServers(kubernetes, namespace, {address: ownAddress(), supervisor, times})
    ;[controller, ads] = [servers.another('controller', 'controller'), servers.another('atlas-ads-0', 'ads')]
  })
  after(async () => {
    for (const act of undo.reverse()) await act()
  })

  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const options = {signal: supervisor.crashed, timeoutMs: 90_000, everyMs: 50}
    await waitFor(what, async () => ((await holds()) ? true : undefined), options)
  }
  const untilSays = async (replica: Replica | undefined, words: string): Promise<void> =>
    until(`${replica?.name ?? ''} to say "${words}"`, async () => JSON.stringify(await replica?.readiness()).includes(words))
  const secrets = async (): Promise<string> => place.kubectl(['get', 'secrets', '-o', 'name'])

  it('before init: servers wait, report for what, and make nothing; commands name the one to run', async () => {
    await controller?.start()
    await ads?.start()
    for (const replica of [controller, ads]) {
      await untilSays(replica, 'ConfigMap atlas-fleet is missing')
      expect((await replica?.readiness())?.ready).to.equal(false)
    }

    const added = await place.run(['cluster', 'add', 'paris', '--address', '203.0.113.4'])
    expect(added.code).to.equal(3)
    expect(added.stderr).to.contain('run "atlas init --namespace')
    expect(await secrets()).to.equal('')
  })

  it('without a leader: a command reports that there is none; the next leader does what was asked', async () => {
    await controller?.stop()
    expect((await place.run(['init', '--address', '203.0.113.7'])).code).to.equal(0)
    const added = await place.run(['cluster', 'add', 'paris', '--address', '203.0.113.4', '--wait', '--timeout', '1s'], place.person)
    expect(added.code).to.equal(5)
    expect(added.stderr).to.match(/Error: the credential of paris is not issued yet: there is no leader; the next leader will do it/)
    expect(added.stderr).to.contain(`kubectl -n ${place.namespace} get lease atlas`)
    const rotated = await place.run(['rotate', 'paris', '--wait', '--timeout', '1s'], place.person)
    expect(rotated.code).to.equal(5)
    expect(rotated.stderr).to.contain('the certificates of paris are not issued yet: there is no leader')
    await untilSays(ads, 'there is no certificate to serve with yet; the leader issues it')
    await controller?.start()
    await until('it to be done', async () => (await place.fleet()).credentials.size === 2)
    await ads?.untilReady()
    await until('the request to be answered', async () => [...(await place.fleet()).requests.values()].every(({state}) => state === 'done'))
  })

  it('with registrations and without the root: nothing is signed and no root is made; log, /readyz, an Event and the command report it', async () => {
    await controller?.stop()
    await place.kubectl(['delete', 'secret', 'atlas-ca', 'atlas-issuer', 'atlas-credential-issuer'])
    const before = await secrets()
    await controller?.start()
    await untilSays(controller, 'the root (Secret atlas-ca) is missing: nothing is issued on its own until it is restored')
    // The controller has no report of its own: what it warns of is in its Lease.
    await until('status to show it, and to exit with 6', async () => {
      const {code, stdout} = await place.run(['status'], place.person)
      return (
        code === 6 && /- leader controller: the root \(Secret atlas-ca\) is missing: .*\n {2}Next: kubectl .*logs controller/.test(stdout)
      )
    })
    const added = await place.run(['cluster', 'add', 'lyon', '--address', '203.0.113.5', '--wait', '--timeout', '2s'], place.person)
    expect(added.code).to.equal(5)
    expect(added.stderr.replaceAll(/\s+/g, ' ')).to.contain(
      'Error: the credential of lyon is not issued yet: the leader, controller, has not done it within 2 s. It warns: the root (Secret atlas-ca) is missing: nothing is issued on its own until it is restored',
    )
    await until('the Event', async () => {
      const events = await place.kubectl(['get', 'events', '--field-selector', 'involvedObject.name=lyon'])
      return /Warning +NotSigned +service\/lyon +the root \(Secret atlas-ca\) is missing/.test(events)
    })
    const told = controller?.log().filter(({msg}) => String(msg).startsWith('the root (Secret atlas-ca) is missing'))
    expect(told, 'once').to.have.length(1)
    expect(await secrets()).to.equal(before)
    expect((await ads?.readiness())?.ready, 'what was issued is served').to.equal(true)
  })
})
