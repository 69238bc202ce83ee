/**
 * Identities, the issuer and the root are replaced under load on the Thanos path, on web pages and with alerts, while servers are killed; no request
 * fails, and nothing of the former certificates is left. The next root is one from outside. A cluster that refuses it, and one that is offline, hold the
 * rotation of the root, and are left behind. The trust domain is one that was chosen at `atlas init`.
 */
import {expect} from 'chai'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {TrustBundle} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner, parseClusterName} from '../../src/lib/model/names.js'
import type {RotationPart, RotationStage} from '../../src/lib/model/rotation.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {readKey} from '../../src/lib/pki/read.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {atlasBin} from '../helpers/atlas.js'
import {type OutsideCa, makeCa} from '../helpers/outside-ca.js'
import {type Seen, onTerminal} from '../helpers/terminal.js'
import {streamCall} from './backend.js'
import {atlasIn} from './by-hand.js'
import type {TestEnvoy} from './envoy.js'
import {hostOf, queryAddress, until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {expectForgotten, expectRefused} from './retired.js'
import {type SpoilingRelay, relayFor} from './spoiling-relay.js'
import {type RunningRequests, openWeb, sendAlert, startRequests} from './web-load.js'

const [paris, lyon, oslo, bergen] = ['paris', 'lyon', 'oslo', 'bergen'].map(name => parseClusterName(name)) as [
  ClusterName,
  ClusterName,
  ClusterName,
  ClusterName,
]

/** Those that are not left behind. */
const loaded = [paris, lyon]

/** Seconds; a credential is used when a connection begins, and its stream ends a tenth later. */
const ADS_CONNECTION = 4
/** How old a connection and a stream of the observability Envoy get at the server. */
const ended = {'connection-age': `${ADS_CONNECTION}s`, 'max-age': `${ADS_CONNECTION}s`}

describe('e2e: rotation of the authority', function () {
  this.timeout(900_000)
  let network: Network

  before(async () => {
    network = await openNetwork({
      clusters: [paris, lyon, oslo, bergen],
      times: {rotation: '200ms', 'clock-held': '1s', ...ended},
      settings: {trustDomain: 'thanos.example.com', timeouts: {adsConnection: ADS_CONNECTION}, pagesByPath: true},
    })
    await untilReachable(network)
    await openWeb(network, loaded)
  })
  after(() => closeNetwork(network))

  const fleet = async (): Promise<Fleet> => network.store.load()
  const stage = async (): Promise<RotationStage | undefined> => (await fleet()).rotation?.stage
  const envoys = (): readonly TestEnvoy[] => [network.observability, ...[...network.members.values()].map(({envoy}) => envoy)]
  const all = ({roots, issuers, credentialIssuers}: TrustBundle): readonly string[] => [...roots, ...issuers, ...credentialIssuers]

  const begin = async (part: RotationPart): Promise<unknown> => startRotation(network.store, part, {}, dependencies)
  const untilDone = async (): Promise<unknown> => followRotation(network.store, {waitMs: 300_000, changed: () => undefined})

  /** Waits for a stage, or a later one: a stage may be over before the test looks. */
  async function untilStage(wanted: RotationStage): Promise<void> {
    await until(network, `the stage ${wanted}`, async () => (await stage()) === wanted)
  }

  const trusted = async (): Promise<TrustBundle> => (await fleet()).trust ?? expect.fail('there is no trust bundle')

  it('of all identities: every Envoy shows its new one, and no request of any kind failed', async () => {
    const former = await fleet()
    const owners: readonly Owner[] = [OBSERVABILITY, paris, lyon]
    const running = startRequests(network, loaded)
    await rotateLeaves(network.store, [], dependencies)
    const present = await fleet()
    for (const owner of owners) {
      const serial = (of: Fleet): string => plainSerial(readKey(identityIn(of, owner)).serial)
      expect(serial(present)).not.to.equal(serial(former))
      const {admin} = owner === OBSERVABILITY ? network.observability : network.member(owner).envoy
      const shows = async (wanted: string): Promise<boolean> => (await certificatesOf(admin)).some(each => each.serial === wanted)
      await until(
        network,
        `${owner} to show its new identity alone`,
        async () => (await shows(serial(present))) && !(await shows(serial(former))),
      )
    }

    await sleep(2000)
    expect(await running.stop()).to.be.greaterThan(100)
  })

  describe('of the issuer', () => {
    let former: Fleet
    let running: RunningRequests
    let stream: ReturnType<typeof callOnce>

    it('goes through its stages, although the server is killed in them', async () => {
      former = await fleet()
      running = startRequests(network, loaded)
      stream = callOnce(openPlain(queryAddress(network)), streamCall(hostOf(lyon), 17))
      stream.catch(() => undefined)
      await network.server().kill()
      await begin('issuer')
      expect(await stage()).to.equal('announce')
      await network.startServer()
      await until(network, 'the first stage to end', async () => (await stage()) !== 'announce')
      await network.server().kill()
      await network.startServer()
      await untilDone()
      await untilSynced(network)
    })

    it('leaves the former one in no bundle and no Envoy, and its certificates open no port', async () => {
      const [issuer = ''] = former.trust?.issuers ?? []
      expect(all(await trusted())).not.to.include(issuer)
      await expectForgotten(network, former, await fleet())
      // The clients of 10900 are below the credential issuer.
      expect(await expectRefused(network, former, {cluster: paris}))
        .to.have.length(7)
        .and.not.include(10_900)
    })

    it('meanwhile no request failed and no stream broke', async () => {
      expect((await stream).grpcStatus).to.equal(0)
      expect(await running.stop()).to.be.greaterThan(500)
    })
  })

  describe('of the root', () => {
    let former: Fleet
    let running: RunningRequests
    let relay: SpoilingRelay
    /** The command, run again on a terminal while the rotation goes on. */
    let watched: Promise<Seen>
    /** Ends the command on the terminal, where a step before its end fails. */
    const ending = new AbortController()
    let outside: OutsideCa
    const folder = mkdtempSync(path.join(tmpdir(), 'atlas-outside-'))
    after(() => {
      ending.abort()
      rmSync(folder, {recursive: true})
    })

    /** Puts the credential in the store into an Envoy's files, as a person or a pipeline does. */
    async function apply(owners: readonly Owner[]): Promise<void> {
      for (const envoy of envoys()) if (owners.includes(envoy.owner)) await envoy.writeFiles()
    }

    const waiting = async (): Promise<readonly string[]> => (await fleet()).rotation?.waitingFor ?? []
    const untilOsloAlone = async (): Promise<void> =>
      until(network, 'oslo alone to be waited for', async () => {
        const [first, ...others] = await waiting()
        return (
          others.length === 0 && first?.startsWith('oslo (oslo-0) has not acknowledged the present trust bundle: it refused it (') === true
        )
      })
    const alertFrom = async (cluster: string): Promise<number> =>
      sendAlert(network, cluster).then(
        ({status}) => status,
        () => 0,
      )

    it('waits for a cluster whose Envoy refuses the trust bundle, and names it with what to do; no request fails', async () => {
      former = await fleet()
      const {envoy} = network.member(oslo)
      relay = await relayFor(network, envoy, 10_950)
      network.onClose(relay.close)
      await envoy.kill()
      await envoy.start()
      await untilReachable(network)
      await untilSynced(network)
      await until(network, 'alerts of oslo to arrive', async () => (await alertFrom(oslo)) === 200)
      running = startRequests(network, loaded)
      relay.spoil()
      outside = makeCa(folder, 'company', {pathLength: 1})
      const {code, stderr} = await atlasIn(
        ...([network, 'rotate', '--root', '--yes', '--ca-cert', outside.files.certificate, '--ca-key', outside.files.key] as const),
      )
      expect(code, stderr).to.equal(0)
      await untilOsloAlone()
      const command = `"${process.execPath}" "${atlasBin}" rotate --root --timeout 15m --store "${network.folder}/store"`
      watched = onTerminal(command, {cwd: network.folder, env: process.env, signal: ending.signal})
      watched.catch(() => undefined)
      await until(network, 'the command to name it with what to do', async () => {
        const {stdout} = await atlasIn(network, 'rotate', '--status')
        const refused = ': it refused it (Failed to load trusted CA certificates from <inline>)\nRepair the Envoy of oslo ("atlas status'
        return stdout.includes(refused) && stdout.includes('or go on without it: "atlas rotate --root --skip oslo')
      })
      // Its stream has ended meanwhile, and it was sent the bundle again.
      await sleep(1500 * ADS_CONNECTION)
      expect(await stage(), 'it goes no further').to.equal('announce')
      expect([await whoAnswers(network, oslo), await alertFrom(oslo)]).to.deep.equal(['oslo/0', 200])
    })

    it('waits for a cluster that is offline, and names it with what to do, until it is told to leave it behind', async () => {
      await network.member(bergen).envoy.kill()
      await until(network, 'bergen to be waited for, too', async () => (await waiting())[0] === 'bergen has no connected Envoy')
      const {stdout} = await atlasIn(network, 'rotate', '--status')
      expect(stdout).to.contain('\n- bergen has no connected Envoy\n')
      expect(stdout).to.contain('Start the Envoy of bergen, or go on without it: "atlas rotate --root --skip bergen')
      expect(await stage()).to.equal('announce')
      const {code, stderr} = await atlasIn(network, 'rotate', '--root', '--yes', '--skip', bergen)
      expect(code, stderr).to.equal(0)
      expect(stderr).to.contain('Left behind: bergen. It is cut off from stage 3 of 4 (leaves) on')
      await untilOsloAlone()
    })

    it('D8: goes on without the cluster that it is told to leave behind, and waits for each other that would lose its server, whose credential is not applied', async () => {
      const {code, stderr} = await atlasIn(network, 'rotate', '--root', '--yes', '--skip', oslo)
      expect(code, stderr).to.equal(0)
      expect(stderr).to.contain('Left behind: oslo. It is cut off from stage 3 of 4 (leaves) on')
      await untilStage('credentials')
      const isAsked = async (): Promise<boolean> => {
        const all = await waiting()
        return all.length === 3 && all.every(each => each.includes('with a credential that does not carry the present roots'))
      }
      await until(network, 'every Envoy to be asked for its new credential', isAsked)
      await apply([OBSERVABILITY, lyon])
      await until(network, 'paris alone to lag', async () => {
        const [first, ...others] = await waiting()
        return others.length === 0 && first?.startsWith('paris (paris-0) is connected with a credential') === true
      })
      await sleep(1500)
      expect(await stage(), 'it goes no further').to.equal('credentials')
    })

    it('D10: goes on when it is applied, issues all leaves again without a restart, and waits again until the former root is in no credential', async () => {
      const {pid} = network.server()
      await apply([paris])
      await untilStage('retire')
      const {authority, identities, server} = await fleet()
      const signer = readKey(authority.get('issuer') ?? expect.fail('no issuer')).sha256
      const leaves = [...identities, ['server', server] as const].filter(([owner]) => owner !== oslo && owner !== bergen)
      for (const [owner, leaf] of leaves) expect(leaf && readKey(leaf).chain[0], owner).to.equal(signer)
      expect(network.server().pid, 'the server runs on').to.equal(pid)
      await network.server().kill()
      await network.startServer()
      await until(network, 'credentials without the former root', async () => {
        const {credentials, trust} = await fleet()
        return trust?.roots.length === 1 && [...credentials.values()].every(({roots}) => roots === trust.roots.join(''))
      })
      await apply([OBSERVABILITY, paris, lyon])
      await untilDone()
      await untilSynced(network, [OBSERVABILITY, paris, lyon])
    })

    it('is watched on a terminal to its end: the command waits without --wait, and shows each stage with the clusters that it waits for', async () => {
      const {code, text} = await watched
      expect(code, text).to.equal(0)
      const waitsFor = /^- (\w+) \(\w+-0\) (?:has not acknowledged|is connected with a credential)/m
      const shown = text.split(/^The root is being rotated: /m).slice(1)
      // Of each stage what was shown last before it went on: by then the others had what it brought.
      const lastOf = (stage: string): readonly string[] => {
        const last = shown.findLast(part => part.startsWith(`stage ${stage},`) && waitsFor.test(part)) ?? ''
        return last.split('\n').flatMap(line => waitsFor.exec(line)?.[1] ?? [])
      }
      expect(lastOf('1 of 4 (announce)')).to.deep.equal([oslo])
      expect(lastOf('2 of 4 (credentials)')).to.deep.equal([paris])
      expect(shown.at(-1)).to.contain('Left behind: bergen, oslo. Each is cut off from stage 3 of 4 (leaves) on')
      expect(text.trimEnd()).to.match(
        /^The root is replaced\. .*unless it was left behind \(bergen, oslo\).*\n\nNext: atlas rotate --status --store /ms,
      )
    })

    it('leaves the former certificates in no bundle and no Envoy, and what they signed opens no port', async () => {
      const present = await fleet()
      for (const certificate of all(former.trust!)) expect(all(present.trust!)).not.to.include(certificate)
      expect(present.trust?.roots).to.deep.equal([outside.certificate])
      const left: readonly Owner[] = [oslo, bergen]
      await expectForgotten(
        network,
        former,
        present,
        envoys().filter(({owner}) => !left.includes(owner)),
      )
      expect(await expectRefused(network, former, {cluster: paris})).to.have.length(8)
    })

    it('cuts off the clusters that were left behind, as the command said, and no other; their newest credentials put that right', async () => {
      // Each connects again every few seconds.
      await until(network, 'the other three to be connected', async () => {
        const {proxies} = await network.report()
        return [...new Set(proxies.map(({cluster}) => cluster))].sort().join() === [OBSERVABILITY, lyon, paris].join()
      })
      await running.stop()
      // Its connections are renewed at once; each is so after some minutes.
      await network.observability.kill()
      await network.observability.start()
      for (const cluster of [paris, lyon]) {
        await untilReachable(network, [cluster])
        await until(network, `alerts of ${cluster} to arrive`, async () => (await alertFrom(cluster)) === 200)
      }

      await untilSynced(network, [OBSERVABILITY, lyon, paris])
      await until(
        network,
        'oslo to be cut off',
        async () => (await whoAnswers(network, oslo)) === 'gRPC status 14' && (await alertFrom(oslo)) === 503,
      )
      const [offline, mark] = [network.member(bergen).envoy, network.observability.mark()]
      await offline.start()
      await until(network, 'bergen to come back, and to know no root of 10900', () =>
        network.observability.logged('connection', mark).some(({failure}) => failure?.includes('UNKNOWN_CA') === true),
      )
      expect(await whoAnswers(network, bergen)).to.equal('gRPC status 14')

      for (const {envoy} of [network.member(oslo), network.member(bergen)]) {
        await envoy.writeFiles()
        await envoy.kill()
        await envoy.start()
      }

      await untilReachable(network)
      await untilSynced(network)
      await until(network, 'its alerts to arrive again', async () => (await alertFrom(oslo)) === 200)
      await expectForgotten(network, former, await fleet())
    })

    it('an Envoy that starts again with its files is configured', async () => {
      const {envoy} = network.member(lyon)
      await envoy.kill()
      await envoy.start()
      await envoy.untilReady()
      await untilReachable(network, [lyon])
    })
  })
})
