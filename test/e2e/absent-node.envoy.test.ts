/** One of two Envoys of a cluster leaves right before its identity is issued again: the rotation of the issuer waits an hour for it, and goes on. */
import {setTimeout as sleep} from 'node:timers/promises'
import path from 'node:path'
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import {identityIn, credentialIn} from '../../src/demo/lab/certificates.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import type {Rotation} from '../../src/lib/model/rotation.js'
import type {RotationStatus} from '../../src/lib/ops/rotation/certificates.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {readKey} from '../../src/lib/pki/read.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {steady} from '../../src/lib/store/steady.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {atlasJson} from '../helpers/atlas.js'
import type {TestEnvoy} from './envoy.js'
import {type RunningLoad, load} from './load.js'
import {dumpOf, until, untilReachable, untilSynced} from './look.js'
import {serverPort, sidecarPort} from './mtls-ports.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const paris = parseClusterName('paris')
const HOUR = 3_600_000

describe('e2e: an Envoy that leaves during a rotation', function () {
  this.timeout(300_000)
  let network: Network
  let serving: Serving
  let second: TestEnvoy
  let former: Fleet
  let running: RunningLoad
  /** By how much the clocks of the server are ahead, milliseconds. */
  let ahead = 0

  before(async () => {
    network = await openNetwork({clusters: [paris], spare: 1})
    second = await network.makeEnvoy(paris, {address: network.spareAddress(1), nodeId: 'paris-1'})
    await second.start()
    await second.untilReady()
    // The server goes on in this process, where its clock is the test's.
    await network.server().stop()
    const listen = {host: network.address, port: 6305}
    const store = leavingInTime(openDirectory({directory: path.join(network.folder, 'store')}))
    serving = await serve({
      ...{store, listen, admin: {host: network.address, port: 6309}, log: 'silent'},
      dependencies: {...dependencies, now: () => new Date(Date.now() + ahead)},
      steady: () => steady() + ahead,
      times: {rotationMs: 200, clockHeldMs: 1000},
    })
    network.onClose(async () => serving.stop())
    await untilReachable(network)
    await until(network, 'both Envoys of paris to be synced', async () => (await synced()).length === 2)
  })
  after(() => closeNetwork(network))

  /** The second Envoy leaves once stage `leaves` is on record, and before the leader plans again: that pass issues the identity. */
  function leavingInTime(store: StateStore): StateStore {
    return {
      ...store,
      async commit(base, changes) {
        const after = await store.commit(base, changes)
        const isBegun = changes.some(change => change.kind === 'rotation' && change.value?.stage === 'leaves')
        if (isBegun && after.rotation?.stage === 'leaves' && base.rotation?.stage === 'announce') {
          expect(identityIn(after, paris)).to.deep.equal(identityIn(former, paris))
          await second.kill()
          await until(network, 'the server to miss it', () => serving.report().absent?.some(({id}) => id === 'paris-1') === true)
        }

        return after
      },
    }
  }

  const synced = async (): Promise<readonly string[]> => {
    const {proxies} = await network.status()
    return proxies.filter(({cluster, state}) => cluster === paris && state === 'synced').map(({id}) => id)
  }
  const rotation = async (): Promise<Rotation | undefined> => (await network.store.load()).rotation

  /** How many bytes each port answers to an identity, and to a certificate of now. */
  async function answers(fleet: Fleet): Promise<readonly {former: number; present: number}[]> {
    const ports = [
      {target: sidecarPort(network, fleet, paris), rightful: identityIn(fleet, OBSERVABILITY)},
      {target: serverPort(network, fleet), rightful: credentialIn(fleet, paris)},
    ]
    const probe = async ({target, rightful}: (typeof ports)[number]) => ({
      former: (await probeTls(target, {certificate: identityIn(former, OBSERVABILITY)})).bytes,
      present: (await probeTls(target, {certificate: rightful})).bytes,
    })
    return Promise.all(ports.map(async port => probe(port)))
  }

  /** As `atlas rotate --status` counts who has each certificate: the server of a directory is asked. */
  async function holders(): Promise<readonly string[]> {
    const {value} = await atlasJson<RotationStatus>('rotate', '--status', '--store', path.join(network.folder, 'store'))
    return value.certificates.map(({kind, role, owner, proxies, servers}) => {
      const [having, of] = servers === undefined ? [proxies?.having, proxies?.connected] : [servers.having, servers.reporting]
      return [kind, ...(role === undefined ? [] : [role]), owner, `${having ?? '-'}/${of ?? '-'}`].join(' ')
    })
  }

  it('is waited for by name, with the former issuer in force, although the other Envoy of its cluster has all that it needs', async () => {
    former = await network.store.load()
    running = load(network, undefined, {reconnects: true})
    await startRotation(network.store, 'issuer', {}, dependencies)
    const waiting = async (): Promise<readonly string[]> => (await rotation())?.waitingFor ?? []
    await until(network, 'the stage to wait for it alone', async () => {
      const [first, ...others] = await waiting()
      return others.length === 0 && first?.startsWith('paris (paris-1) has until ') === true
    })
    const {absent} = serving.report()
    const left = Date.parse(absent?.find(({id}) => id === 'paris-1')?.since ?? '')
    expect((await waiting())[0]).to.equal(
      `paris (paris-1) has until ${new Date(left + HOUR).toISOString()} to connect again: it was connected, and may run on with what it has`,
    )
    await sleep(1000)
    const present = await network.store.load()
    expect(present.rotation?.stage).to.equal('leaves')
    expect(readKey(identityIn(present, paris)).sha256).not.to.equal(readKey(identityIn(former, paris)).sha256)
    expect(present.trust?.issuers).to.have.members([...(former.trust?.issuers ?? []), present.authority.get('issuer')?.certificate])
    for (const port of await answers(present)) expect(port.former, 'the former issuer is in force').to.be.greaterThan(0)
    const wanted = ['issuer former - 2/2', 'issuer - 2/2', 'identity paris 1/1', 'credential paris 1/1']
    await until(network, wanted.join(', '), async () => {
      const found = await holders()
      return wanted.every(line => found.includes(line))
    })
  })

  it('after its hour the rotation comes to its end, and no request has failed', async () => {
    ahead = HOUR - 120_000
    await sleep(2500)
    expect((await rotation())?.stage, 'before its hour is over').to.equal('leaves')
    ahead = HOUR + 120_000
    await followRotation(network.store, {waitMs: 60_000, changed: () => undefined})
    await until(network, 'the other Envoy to be synced', async () => (await synced()).includes('paris-0'))
    await untilSynced(network, [OBSERVABILITY])
    expect(await running.stop()).to.be.greaterThan(200)
    const present = await network.store.load()
    expect(present.trust?.issuers).to.have.length(1).and.not.to.include(former.trust?.issuers[0])
    for (const port of await answers(present)) {
      expect(port.former, 'what the former issuer signed').to.equal(0)
      expect(port.present, 'what is in force').to.be.greaterThan(0)
    }
  })

  it('it is given the present issuer and its identity when it is back', async () => {
    await second.start()
    await second.untilReady()
    await until(network, 'both Envoys of paris to be synced', async () => (await synced()).length === 2)
    const [issuer = ''] = (await network.store.load()).trust?.issuers ?? []
    const [, ...lines] = issuer.trim().split('\n')
    const dump = await dumpOf(second)
    for (const line of lines.slice(0, -2)) expect(dump).to.contain(line)
    await untilReachable(network)
    const wanted = [
      ...['root - 3/3', 'issuer - 3/3', 'credential issuer - 1/1', 'identity atlas 1/1', 'credential atlas 1/1'],
      ...['identity paris 2/2', 'credential paris 2/2', 'server atlas 1/1'],
    ]
    await until(network, wanted.join(', '), async () => isDeepStrictEqual(await holders(), wanted))
  })
})
