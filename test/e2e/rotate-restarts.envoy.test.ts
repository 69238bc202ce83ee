/**
 * The root, whose key is lost, is replaced while in each stage the server is killed and an Envoy of one cluster is killed and starts again: the
 * rotation goes on where it was, that Envoy is configured and reached again, and no request, page or alert of the other clusters fails. People do what
 * the command tells them to. The same for leaves and the issuer, and with an observability Envoy that is killed: rotate-matrix.long.
 */
import {expect} from 'chai'
import {unlink} from 'node:fs/promises'
import path from 'node:path'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, objectNames, parseClusterName} from '../../src/lib/model/names.js'
import type {RotationStage} from '../../src/lib/model/rotation.js'
import {applyAsTold, atlasIn} from './by-hand.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {type RunningRequests, openWeb, startRequests} from './web-load.js'

const [lyon, oslo, paris] = [parseClusterName('lyon'), parseClusterName('oslo'), parseClusterName('paris')]

/** Seconds; a credential is used when a connection begins, and its stream ends a tenth later. */
const ADS_CONNECTION = 4
/** How old a connection and a stream of the observability Envoy get at the server. */
const ended = {'connection-age': `${ADS_CONNECTION}s`, 'max-age': `${ADS_CONNECTION}s`}

describe('e2e: a rotation of a root whose key is lost, with restarts in each stage', function () {
  this.timeout(360_000)
  let network: Network
  let running: RunningRequests
  let former: Fleet

  before(async () => {
    network = await openNetwork({
      clusters: [lyon, oslo, paris],
      // Identities are issued again one at a time, this long apart: stage `leaves` lasts for some seconds.
      times: {rotation: '2s', 'clock-held': '1s', ...ended},
      settings: {timeouts: {adsConnection: ADS_CONNECTION}, pagesByPath: true},
    })
    await untilReachable(network)
    await openWeb(network, [lyon, paris])
    former = await network.store.load()
    await unlink(path.join(network.folder, 'store', `secret-${objectNames.root}.yaml`))
    running = startRequests(network, [lyon, paris])
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

  it('the loss of the key is named, with what to do, and breaks nothing', async () => {
    const lost = async (): Promise<boolean> => (await atlasIn(network, 'status')).stdout.includes('the root (Secret atlas-ca) is missing')
    await until(network, 'status to name it', lost)
    const {code, stderr} = await atlasIn(network, 'rotate', '--issuer')
    expect(code).to.equal(1)
    expect(stderr).to.match(/the root \(Secret atlas-ca\) is missing: .*without the root a new one can be made \("atlas rotate --root/s)
  })

  it('announce', async () => {
    await network.server().kill()
    const {code, stderr} = await atlasIn(network, 'rotate', '--root', '--yes')
    expect(code, stderr).to.equal(0)
    expect(stderr).to.contain('By hand: in stage 2 of 4 (credentials), and again in stage 4 of 4 (retire), the new ADS credential')
    // Without its Envoy the stage does not end, however long the server runs before it is killed.
    await network.member(oslo).envoy.kill()
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
    await applyAsTold(network, [OBSERVABILITY, lyon, paris])
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
    expect(await applyAsTold(network, [OBSERVABILITY, lyon, oslo, paris])).to.deep.equal([OBSERVABILITY, lyon, oslo, paris])
  })

  it('ends, and no request failed meanwhile', async () => {
    const {code, stderr} = await atlasIn(network, 'rotate', '--root', '--yes', '--wait', '--timeout', '5m')
    expect(code, stderr).to.equal(0)
    expect(stderr).to.contain('The root is replaced. Neither a bundle nor a server trusts the former one any more')
    await untilSynced(network)
    await untilReachable(network, [oslo])
    const {authority, trust} = await network.store.load()
    expect(authority.get('root')?.key.reveal()).to.contain('PRIVATE KEY')
    for (const certificate of [...former.trust!.roots, ...former.trust!.issuers, ...former.trust!.credentialIssuers])
      expect([...trust!.roots, ...trust!.issuers, ...trust!.credentialIssuers]).not.to.include(certificate)
    expect(await running.stop()).to.be.greaterThan(500)
  })
})
