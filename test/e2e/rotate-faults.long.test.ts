/**
 * The issuer and the root are replaced in an installation on Kubernetes, by two commands at once, with an API server that fails at each write of
 * the leader, and with a leader that is killed or frozen at a write: it is one rotation, which never goes back, ends, fails no request and breaks no
 * stream. Leaves: rotate-leaves-faults.long.
 */
import {expect} from 'chai'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {RotationPart} from '../../src/lib/model/rotation.js'
import type {Fault} from '../helpers/kubernetes/fault.js'
import type {FaultProxy} from '../helpers/kubernetes/fault-proxy.js'
import {makeCa} from '../helpers/outside-ca.js'
import type {Ran} from '../helpers/ran.js'
import type {Installation} from './installation.js'
import {type FaultyLeader, openFaultyLeader} from './leader-faults.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Pipeline, type RotationRecorder, expectOneRotation, recordRotation, startPipeline} from './rotating.js'
import {expectForgotten} from './retired.js'

/** Kinds of write that a rotation has at least: those of records, of what signs, of the bundle, of leaves and of what follows. */
const boundaries: Readonly<Record<RotationPart, number>> = {issuer: 8, root: 15}

/** Seconds: a rotation lasts for longer, and the life of a connection is ten minutes. */
const STREAM = 15

/** How long the next leader has gone on when what the frozen one has sent arrives; so much later that one goes on. Milliseconds. */
const LATE_MS = 1000

describe('e2e: the issuer and the root are replaced on Kubernetes', function () {
  this.timeout(900_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-rotate-'))
  let faulty: FaultyLeader
  let network: Installation
  let proxy: FaultProxy
  let pipeline: Pipeline | undefined

  before(async () => {
    faulty = await openFaultyLeader()
    ;({network, proxy} = faulty)
    pipeline = startPipeline(network)
  })
  afterEach(() => {
    proxy.play()
  })
  after(async () => {
    await pipeline?.stop()
    await faulty.close()
    rmSync(folder, {recursive: true})
  })

  const wait = ['--yes', '--wait', '--timeout', '600s']
  const succeed = async (running: Promise<Ran>): Promise<Ran> => {
    const ran = await running
    expect(ran.code, ran.stderr).to.equal(0)
    return ran
  }

  /** Runs `act`, in which `part` is replaced once, under load. */
  async function once(part: RotationPart, act: (recorder: RotationRecorder) => Promise<void>): Promise<void> {
    const former = await network.fleet()
    const recorder = await recordRotation(network.store)
    const running = load(network, undefined, {streamSeconds: STREAM, reconnects: true})
    try {
      await act(recorder)
    } catch (error) {
      recorder.stop()
      await running.stop().catch(() => undefined)
      throw error
    }

    await until(network, 'no rotation to be under way', () => recorder.fleet().rotation === undefined)
    await untilSynced(network)
    recorder.stop()
    expectOneRotation(recorder, part, former)
    await expectForgotten(network, former, await network.fleet())
    await untilReachable(network)
    await until(network, 'a stream to each cluster to end', () => running.streamsEnded() >= network.members.size, 2 * STREAM)
    expect(await running.stop()).to.be.greaterThan(100)
  }

  for (const [part, other] of [
    ['issuer', 'root'],
    ['root', 'issuer'],
  ] as const)
    it(`the ${part} by two commands at once: both watch one rotation to its end, and a third one for the ${other} is refused meanwhile`, async () => {
      await once(part, async recorder => {
        // Otherwise the rotation might be over before the third command has begun.
        proxy.play(() => ({kind: 'delay', ms: 300}))
        const both = ['one', 'two'].map(async () => succeed(network.run(['rotate', `--${part}`, ...wait], network.person)))
        await until(network, 'a rotation', () => recorder.fleet().rotation !== undefined)
        const third = await network.run(['rotate', `--${other}`, '--yes', '--no-wait'], network.person)
        expect(third.code, third.stderr).to.equal(4)
        expect(third.stderr).to.match(
          new RegExp(`the ${part} is being rotated, stage \\d of \\d \\([a-z]+\\); the ${other} has to wait for its end`),
        )
        proxy.play()
        for (const {stderr} of await Promise.all(both)) expect(stderr).to.contain(`The ${part} is replaced.`)
      })
    })

  it('the root by two commands at once that bring different ones: one is taken, and the other command says so', async () => {
    const [first, second] = ['first', 'second'].map(name => makeCa(folder, name, {pathLength: 1}))
    if (first === undefined || second === undefined) throw new Error('there are two')
    await once('root', async () => {
      const both = await Promise.all(
        [first, second].map(async ({files}) =>
          network.run(['rotate', '--root', '--ca-cert', files.certificate, '--ca-key', files.key, ...wait]),
        ),
      )
      const [taken, refused] = [...both].sort((a, b) => (a.code ?? -1) - (b.code ?? -1))
      expect([taken?.code, refused?.code], both.map(({stderr}) => stderr).join('\n')).to.deep.equal([0, 4])
      expect(taken?.stderr).to.contain('The root is replaced.')
      expect(refused?.stderr.replaceAll(/\s+/g, ' ')).to.match(
        /another command has brought the next root|the root is being replaced by another one/,
      )
      const winner = [first, second][both.findIndex(({code}) => code === 0)]
      expect((await network.fleet()).authority.get('root')?.certificate).to.equal(winner?.certificate)
    })
  })

  const begin = async (part: RotationPart): Promise<Ran> => succeed(network.run(['rotate', `--${part}`, ...wait], network.person))

  for (const part of ['issuer', 'root'] as const) {
    it(`the ${part}: each write is first refused by the API server, and then done with its answer lost`, async () => {
      await once(part, async recorder => {
        const faults: readonly Fault[] = [
          {kind: 'answer', status: 500, body: {kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'etcd', code: 500}},
          {kind: 'cut', after: 'nothing'},
        ]
        const writes = faulty.atEachWrite(recorder.fleet, before => faults[before])
        await begin(part)
        expect([...writes.keys()]).to.have.length.greaterThan(boundaries[part])
      })
    })

    it(`the ${part}: the API server is away after each write, some times for longer than the Lease lasts`, async () => {
      await once(part, async recorder => {
        const outages: Promise<void>[] = []
        let isAway = false
        const outage = async (ms: number): Promise<void> => {
          isAway = true
          await proxy.down()
          await sleep(ms)
          await proxy.up()
          isAway = false
        }
        const writes = faulty.atEachWrite(recorder.fleet, (before, kinds) => {
          if (before > 0 || isAway) return undefined
          outages.push(outage(kinds % 6 === 0 ? 5000 : 700))
          return {kind: 'refuse'}
        })
        await begin(part)
        proxy.play()
        await Promise.all(outages)
        expect([...writes.keys()]).to.have.length.greaterThan(boundaries[part])
        expect(outages).to.have.length.greaterThan(boundaries[part])
      })
    })

    it(`the ${part}: the leader is killed at each write, before and after it is done: another one goes on each time`, async () => {
      await once(part, async recorder => {
        const killings = faulty.killAtEachWrite(recorder.fleet)
        await begin(part)
        const leaders = await killings.end()
        expect(leaders).to.have.length.greaterThan(boundaries[part])
        expect([...new Set(leaders)].sort()).to.deep.equal(['controller-0', 'controller-1'])
      })
    })

    it(`the ${part}: the leader is frozen at a write, which the API server receives after another one has taken over: nothing goes back`, async () => {
      await once(part, async recorder => {
        const freezes: Promise<void>[] = []
        let isFrozen = false
        /** Resolves when what the frozen leader has sent is to arrive; soon afterwards that leader goes on. */
        const freeze = async (): Promise<void> => {
          const leader = await network.leader()
          process.kill(leader.pid(), 'SIGSTOP')
          try {
            const isFollowed = async (): Promise<boolean> => (await network.leader().catch(() => leader)) !== leader
            await until(network, 'another one to lead', isFollowed, 60)
            await sleep(LATE_MS)
          } finally {
            setTimeout(() => {
              process.kill(leader.pid(), 'SIGCONT')
              isFrozen = false
            }, LATE_MS)
          }
        }
        faulty.atEachWrite(recorder.fleet, async before => {
          if (before > 0 || isFrozen) return undefined
          isFrozen = true
          const frozen = freeze()
          freezes.push(frozen)
          await frozen.catch(() => undefined)
          return undefined
        })
        await begin(part)
        proxy.play()
        await Promise.all(freezes)
        await until(network, 'no leader to be frozen', () => !isFrozen)
        expect(freezes).to.have.length.greaterThan(part === 'root' ? 3 : 1)
      })
    })
  }
})
