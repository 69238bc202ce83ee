/**
 * The root is replaced while in each stage the server is killed and an Envoy of one cluster is killed and starts again: the rotation goes on
 * where it was, that Envoy is configured and reached again, and no request to the other clusters fails.
 */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {RotationStage} from '../../src/lib/model/rotation.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {type RunningLoad, load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const [lyon, oslo, paris] = [parseClusterName('lyon'), parseClusterName('oslo'), parseClusterName('paris')]

/** Seconds; a credential is used when a connection begins, and its stream ends a tenth later. */
const ADS_CONNECTION = 4
/** The same of the connection and the stream of the observability Envoy. */
const ended = {'connection-age': `${ADS_CONNECTION}s`, 'max-age': `${ADS_CONNECTION}s`}

describe('e2e: a rotation of the root with restarts in each stage', function () {
  this.timeout(180_000)
  let network: Network
  let running: RunningLoad
  let former: Fleet

  before(async () => {
    network = await openNetwork({
      clusters: [lyon, oslo, paris],
      // Identities are issued again one at a time, this long apart: stage `leaves` lasts for some seconds.
      times: {rotation: '2s', 'clock-held': '1s', ...ended},
      settings: {timeouts: {adsConnection: ADS_CONNECTION}},
    })
    await untilReachable(network)
    former = await network.store.load()
    running = load(network, [lyon, paris], {reconnects: true})
  })
  after(() => closeNetwork(network))

  const stage = async (): Promise<RotationStage | undefined> => (await network.store.load()).rotation?.stage

  /** Kills the server, which leaves the rotation where it is, and an Envoy; both start again, and that Envoy is reached. */
  async function restartIn(wanted: RotationStage): Promise<void> {
    const {envoy} = network.member(oslo)
    await network.server().kill()
    expect(await stage()).to.equal(wanted)
    await envoy.kill()
    await network.startServer()
    await envoy.start()
    await envoy.untilReady()
    await untilReachable(network, [oslo])
  }

  const untilStage = async (wanted: RotationStage): Promise<void> =>
    until(network, `the stage ${wanted}`, async () => (await stage()) === wanted)

  /** Puts the credentials in the store into the files of all Envoys, as people or pipelines do. */
  async function applyAll(): Promise<void> {
    for (const {envoy} of network.members.values()) await envoy.writeFiles()
    await network.observability.writeFiles()
  }

  it('announce', async () => {
    await network.server().kill()
    await startRotation(network.store, 'root', {}, dependencies)
    await network.startServer()
    await restartIn('announce')
  })

  it('credentials: the Envoy starts again with its new one, the others take theirs up while they run', async () => {
    await untilStage('credentials')
    await until(network, 'new credentials', async () => {
      const {credentials, trust} = await network.store.load()
      return [...credentials.values()].every(({roots}) => roots === trust?.roots.join(''))
    })
    await network.member(oslo).envoy.writeFiles()
    await restartIn('credentials')
    await applyAll()
  })

  it('leaves', async () => {
    await untilStage('leaves')
    await restartIn('leaves')
  })

  it('retire', async () => {
    await untilStage('retire')
    await until(network, 'credentials without the former root', async () => {
      const {credentials, trust} = await network.store.load()
      return trust?.roots.length === 1 && [...credentials.values()].every(({roots}) => roots === trust.roots.join(''))
    })
    await restartIn('retire')
    await applyAll()
  })

  it('ends, and no request failed meanwhile', async () => {
    await followRotation(network.store, {waitMs: 90_000, changed: () => undefined})
    await untilSynced(network)
    await untilReachable(network, [oslo])
    const {trust} = await network.store.load()
    for (const certificate of [...former.trust!.roots, ...former.trust!.issuers, ...former.trust!.credentialIssuers])
      expect([...trust!.roots, ...trust!.issuers, ...trust!.credentialIssuers]).not.to.include(certificate)
    expect(await running.stop()).to.be.greaterThan(500)
  })
})
