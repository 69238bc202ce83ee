/**
 * Leaves, the issuer and the root are replaced under load on the Thanos path, on web pages and with alerts, while in each stage the server, the Envoy
 * of one cluster and one of two observability Envoys are killed and start again. With a leader among several that is killed: rotate-faults.long.
 */
import {expect} from 'chai'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {type GrpcReply, callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, parseAddresses} from '../../src/lib/model/address.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {type RotationStage, stagesOf} from '../../src/lib/model/rotation.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {followRotation} from '../../src/lib/ops/rotation/follow.js'
import {startRotation} from '../../src/lib/ops/rotation/start.js'
import {readKey} from '../../src/lib/pki/read.js'
import {inSteps} from '../helpers/steps.js'
import {oneCall, streamCall} from './backend.js'
import type {TestEnvoy} from './envoy.js'
import {type InterruptedLoad, startInterrupted} from './interrupted-load.js'
import {hostOf, until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {type RotationRecorder, envoysOf, expectOneRotation, recordRotation} from './rotating.js'
import {expectForgotten} from './retired.js'
import {type RunningRequests, alertsOf, openWeb, pagesOf, startRequests} from './web-load.js'

const [lyon, oslo, paris] = [parseClusterName('lyon'), parseClusterName('oslo'), parseClusterName('paris')]

/** Those whose Envoys run all the time. */
const loaded = [lyon, paris]

/** Seconds; a credential is used when a connection begins, and its stream ends a tenth later. */
const ADS_CONNECTION = 4
/** How old a connection and a stream of the observability Envoy get at the server. */
const ended = {'connection-age': `${ADS_CONNECTION}s`, 'max-age': `${ADS_CONNECTION}s`}
/** Seconds; longer than any test. */
const STREAM = 300
/** Each cluster may send 20 alerts a second. */
const EVERY_MS = 200

const meanwhile =
  'meanwhile no request and no stream by the other observability Envoy to the other clusters failed; of what went by the killed one, and of alerts, only what was in flight or began between its end and when it was ready again'

describe('e2e: leaves, the issuer and the root are replaced under load, with a server and Envoys that are killed in each stage', function () {
  this.timeout(240_000)
  inSteps()
  let network: Network
  /** The second observability Envoy, which is killed in each stage. */
  let second: TestEnvoy
  /** Strict: by way of the first observability Envoy, to clusters whose Envoys run all the time. */
  let running: RunningRequests
  /** By way of the second one; and alerts, which go by either. */
  let interrupted: InterruptedLoad
  let restarts = 0

  const addressOfSecond = (address: string): string => address.replace(/^127\.63\.(\d+)\.1$/, '127.63.$1.100')

  before(async () => {
    network = await openNetwork({
      clusters: [lyon, oslo, paris],
      // Each stage lasts for as long at least, so that the server can be killed in it.
      times: {rotation: '6s', 'clock-held': '1s', ...ended},
      settings: address => ({
        addresses: parseAddresses(`${address},${addressOfSecond(address)}`),
        timeouts: {adsConnection: ADS_CONNECTION},
        pagesByPath: true,
      }),
    })
    second = await network.makeEnvoy(OBSERVABILITY, {address: addressOfSecond(network.address), nodeId: 'atlas-1'})
    await second.start()
    await second.untilReady()
    await untilReachable(network)
    await openWeb(network, loaded)
  })
  after(() => closeNetwork(network))

  const fleet = async (): Promise<Fleet> => network.store.load()
  const stage = async (): Promise<RotationStage | undefined> => (await fleet()).rotation?.stage
  const all = (): readonly TestEnvoy[] => [...envoysOf(network), second]
  const throughSecond = (): HostPort => ({host: addressOfSecond(network.address), port: 10_901})

  function startAll(): void {
    running = startRequests(network, loaded, pagesOf(network, loaded))
    const calls = loaded.map(cluster => async () => {
      const {grpcStatus} = await callOnce(openPlain(throughSecond()), oneCall(hostOf(cluster)))
      if (grpcStatus !== 0) throw new Error(`${cluster}: gRPC status ${grpcStatus ?? 'none'}`)
    })
    interrupted = startInterrupted(
      [...calls, ...pagesOf(network, loaded, addressOfSecond(network.address)), ...alertsOf(network, loaded)],
      EVERY_MS,
    )
    watchStreams()
    restarts = 0
  }

  function watchStreams(): void {
    for (const cluster of loaded) interrupted.watch(streamThroughSecond(cluster))
  }

  const streamThroughSecond = async (cluster: string): Promise<GrpcReply> =>
    callOnce(openPlain(throughSecond()), streamCall(hostOf(cluster), STREAM))

  /** While the server is away, the Envoy of oslo and the second observability Envoy are killed; all start again, oslo's Envoy last. */
  async function restart(): Promise<void> {
    const {envoy} = network.member(oslo)
    await interrupted.during(async () => {
      await Promise.all([envoy.kill(), second.kill()])
      await network.startServer()
      await second.start()
      await second.untilReady()
    })
    watchStreams()
    restarts += 1
    // A cluster without an Envoy is waited for: no stage has ended before this.
    await envoy.start()
    await envoy.untilReady()
  }

  async function expectNoneFailed(): Promise<void> {
    expect(await running.stop()).to.be.greaterThan(500)
    const {requests, failures} = await interrupted.stop()
    expect(requests).to.be.greaterThan(100)
    expect(failures, 'the kills are seen').to.be.greaterThan(restarts)
  }

  describe('leaves: replaced while the server is away, and while what it sends is taken up', () => {
    let former: Fleet

    async function untilShown(): Promise<void> {
      const present = await fleet()
      for (const {owner, nodeId, admin} of all()) {
        const [before, after] = [former, present].map(of => plainSerial(readKey(identityIn(of, owner)).serial))
        const shown = async (): Promise<readonly string[]> => (await certificatesOf(admin)).map(({serial}) => serial)
        const isNew = async (): Promise<boolean> => shown().then(serials => serials.includes(after!) && !serials.includes(before!))
        await until(network, `${nodeId} to show its new identity alone`, isNew)
      }
    }

    it('written while the server is away', async () => {
      startAll()
      former = await fleet()
      await network.server().kill()
      await rotateLeaves(network.store, [], dependencies)
      await restart()
      await untilShown()
    })

    it('while Envoys take them up', async () => {
      former = await fleet()
      await rotateLeaves(network.store, [], dependencies)
      await network.server().kill()
      await restart()
      await untilShown()
    })

    it('after all have them', async () => {
      await network.server().kill()
      await restart()
      await untilSynced(network)
      await untilShown()
      await untilReachable(network)
    })

    it(meanwhile, async () => expectNoneFailed())
  })

  for (const part of ['issuer', 'root'] as const)
    describe(`the ${part}`, () => {
      let former: Fleet
      let recorder: RotationRecorder

      before(async () => {
        former = await fleet()
        recorder = await recordRotation(network.store)
      })
      after(() => recorder.stop())

      it('begins while the server is away', async () => {
        startAll()
        await network.server().kill()
        await startRotation(network.store, part, {}, dependencies)
      })

      for (const [index, each] of stagesOf(part).entries())
        it(`stage ${each}, up to the begin of the next one, when the server is killed`, async () => {
          const asksForCredentials = part === 'root' && (each === 'credentials' || each === 'retire')
          if (asksForCredentials) {
            await network.startServer()
            await untilIssued(each === 'retire' ? 1 : 2)
            // As a person does it: first where an Envoy starts again all the same.
            await Promise.all([network.member(oslo).envoy.writeFiles(), second.writeFiles()])
            await network.server().kill()
          }
          expect(await stage()).to.equal(each)
          await restart()
          if (asksForCredentials) await Promise.all(all().map(async envoy => envoy.writeFiles()))
          const next = stagesOf(part)[index + 1]
          await Promise.all([untilReachable(network, [oslo]), next === undefined ? undefined : killedIn(next)])
        })

      it('ends, and nothing of the former certificates is left', async () => {
        await followRotation(network.store, {waitMs: 90_000, changed: () => undefined})
        await untilSynced(network)
        await until(network, 'the end to be on record', () => recorder.fleet().rotation === undefined)
        expectOneRotation(recorder, part, former)
        await expectForgotten(network, former, await fleet(), all())
      })

      it(meanwhile, async () => expectNoneFailed())
    })

  /** Kills the server as soon as it has written that the stage begins. */
  async function killedIn(wanted: RotationStage): Promise<void> {
    await until(network, `the stage ${wanted}`, async () => (await stage()) === wanted, 60)
    await network.server().kill()
  }

  /** @param roots how many there are in the stage */
  async function untilIssued(roots: number): Promise<void> {
    await until(network, 'credentials with the roots in force', async () => {
      const {credentials, trust} = await fleet()
      return trust?.roots.length === roots && [...credentials.values()].every(({roots: held}) => held === trust.roots.join(''))
    })
  }
})
