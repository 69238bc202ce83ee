/**
 * The root is replaced in an installation on Kubernetes, by two commands at once, with an API server that fails at each write of the leader, and
 * with a leader that is killed or frozen at a write: it is one rotation, which never goes back, ends, and fails no request.
 */
import {expect} from 'chai'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Fleet} from '../../src/lib/model/fleet.js'
import type {Fault} from '../helpers/kubernetes/fault.js'
import {type FaultProxy, type Seen, faultProxy} from '../helpers/kubernetes/fault-proxy.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {makeCa} from '../helpers/outside-ca.js'
import type {Ran} from '../helpers/ran.js'
import {type Installation, openInstallation} from './installation.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import type {Replica} from './replica.js'
import {
  type Pipeline,
  type RotationRecorder,
  envoysOf,
  expectForgotten,
  expectOneRotation,
  quickRotation,
  recordRotation,
  startPipeline,
} from './rotating.js'

/** Kinds of write that a rotation of the root has at least: those of records, of what signs, of the bundle, of leaves and of what follows. */
const BOUNDARIES = 15

/** How long the next leader has gone on when what the frozen one has sent arrives; so much later that one goes on. Milliseconds. */
const LATE_MS = 1000

describe('e2e: the root is replaced on Kubernetes', function () {
  this.timeout(900_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-rotate-'))
  let kubernetes: Kubernetes
  let network: Installation
  let proxy: FaultProxy
  let account = ''
  let pipeline: Pipeline | undefined

  before(async () => {
    kubernetes = await sharedKubernetes()
    network = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], ads: 2, controllers: 2, ...quickRotation})
    proxy = await faultProxy(kubernetes)
    account = await proxy.kubeconfigOf(await kubernetes.serviceAccountKubeconfig(network.namespace, 'atlas-controller'))
    // From now on both that stand for election reach the API server through the proxy.
    for (const controller of network.controllers) {
      await controller.stop()
      await lead(controller)
    }
    await untilReachable(network)
    await untilSynced(network)
    pipeline = startPipeline(network)
  })
  afterEach(() => {
    proxy.play()
  })
  after(async () => {
    await pipeline?.stop()
    await network.close()
    await proxy.close()
    rmSync(folder, {recursive: true})
  })

  async function lead(controller: Replica): Promise<void> {
    await controller.start({kubeconfig: account})
    await controller.untilReady()
  }

  const wait = ['--yes', '--wait', '--timeout', '600s']
  const succeed = async (running: Promise<Ran>): Promise<Ran> => {
    const ran = await running
    expect(ran.code, ran.stderr).to.equal(0)
    return ran
  }

  /** Runs `act`, in which the root is replaced once, under load. */
  async function once(act: (recorder: RotationRecorder) => Promise<void>): Promise<void> {
    const former = await network.fleet()
    const recorder = await recordRotation(network.store)
    const running = load(network, undefined, {streams: false, reconnects: true})
    try {
      await act(recorder)
    } catch (error) {
      await running.stop().catch(() => undefined)
      throw error
    }

    await until(network, 'no rotation to be under way', () => recorder.fleet().rotation === undefined)
    await untilSynced(network)
    recorder.stop()
    expectOneRotation(recorder, 'root', former)
    await expectForgotten('root', envoysOf(network), former, await network.fleet())
    await untilReachable(network)
    expect(await running.stop()).to.be.greaterThan(100)
  }

  it('by two commands at once: both watch one rotation to its end, and a third one for the issuer is refused meanwhile', async () => {
    await once(async recorder => {
      const both = ['one', 'two'].map(async () => succeed(network.run(['rotate', '--root', ...wait], network.person)))
      await until(network, 'a rotation', () => recorder.fleet().rotation !== undefined)
      const issuer = await network.run(['rotate', '--issuer', '--yes', '--no-wait'], network.person)
      expect(issuer.code, issuer.stderr).to.equal(4)
      expect(issuer.stderr).to.match(/the root is being rotated, stage \d of 4 \([a-z]+\); the issuer has to wait for its end/)
      for (const {stderr} of await Promise.all(both)) expect(stderr).to.contain('The root is replaced.')
    })
  })

  it('by two commands at once that bring different roots: one is taken, and the other command says so', async () => {
    const [first, second] = ['first', 'second'].map(name => makeCa(folder, name, {pathLength: 1}))
    if (first === undefined || second === undefined) throw new Error('there are two')
    await once(async () => {
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

  /** What the leader writes with a request, and in which stage; undefined: it writes nothing. */
  function writeOf({method, path: at, body}: Seen, {rotation}: Fleet): string | undefined {
    const [, kind, name] = /^\/api\/v1\/namespaces\/[^/]+\/(configmaps|secrets|services)(?:\/(.+))?$/.exec(at) ?? []
    if (kind === undefined || method === 'GET') return undefined
    const named = name ?? (JSON.parse(body) as {metadata: {name: string}}).metadata.name
    return `${method} ${kind}/${named} in stage ${rotation?.stage ?? 'none'}`
  }

  /** In a rotation `fault` is asked for at each kind of write with how often it came before. @returns the kinds */
  function atEachWrite(
    recorder: RotationRecorder,
    fault: (before: number, kinds: number) => Fault | Promise<Fault | undefined> | undefined,
  ) {
    const counts = new Map<string, number>()
    proxy.play(request => {
      const write = writeOf(request, recorder.fleet())
      if (write === undefined) return undefined
      const before = counts.get(write) ?? 0
      counts.set(write, before + 1)
      return fault(before, counts.size)
    })
    return counts
  }

  const begin = async (): Promise<Ran> => succeed(network.run(['rotate', '--root', ...wait], network.person))

  it('each write is first refused by the API server, and then done with its answer lost', async () => {
    await once(async recorder => {
      const faults: readonly Fault[] = [
        {kind: 'answer', status: 500, body: {kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'etcd', code: 500}},
        {kind: 'cut', after: 'nothing'},
      ]
      const writes = atEachWrite(recorder, before => faults[before])
      await begin()
      expect([...writes.keys()]).to.have.length.greaterThan(BOUNDARIES)
    })
  })

  it('the API server is away after each write, some times for longer than the Lease lasts', async () => {
    await once(async recorder => {
      const outages: Promise<void>[] = []
      let isAway = false
      const outage = async (ms: number): Promise<void> => {
        isAway = true
        await proxy.down()
        await sleep(ms)
        await proxy.up()
        isAway = false
      }
      const writes = atEachWrite(recorder, (before, kinds) => {
        if (before > 0 || isAway) return undefined
        outages.push(outage(kinds % 6 === 0 ? 5000 : 700))
        return {kind: 'refuse'}
      })
      await begin()
      proxy.play()
      await Promise.all(outages)
      expect([...writes.keys()]).to.have.length.greaterThan(BOUNDARIES)
      expect(outages).to.have.length.greaterThan(BOUNDARIES)
    })
  })

  it('the leader is killed at each write, before and after it is done: another one goes on each time', async () => {
    await once(async recorder => {
      const killings: Promise<void>[] = []
      const leaders = new Set<string>()
      let isKilling = false
      const kill = async (): Promise<void> => {
        const leader = await network.leader()
        leaders.add(leader.name)
        // The API server has time to do what is passed on.
        await sleep(150)
        await leader.kill()
        await lead(leader)
        isKilling = false
      }
      atEachWrite(recorder, (before, kinds) => {
        if (before > 0 || isKilling) return undefined
        isKilling = true
        const killing = kill()
        killing.catch(() => undefined)
        killings.push(killing)
        return kinds % 2 === 0 ? {kind: 'hang'} : {kind: 'stall', after: 'nothing'}
      })
      await begin()
      proxy.play()
      await Promise.all(killings)
      expect(killings).to.have.length.greaterThan(BOUNDARIES)
      expect([...leaders].sort()).to.deep.equal(['controller-0', 'controller-1'])
    })
  })

  it('the leader is frozen at a write, which the API server receives after another one has taken over: nothing goes back', async () => {
    await once(async recorder => {
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
      atEachWrite(recorder, async before => {
        if (before > 0 || isFrozen) return undefined
        isFrozen = true
        const frozen = freeze()
        freezes.push(frozen)
        await frozen.catch(() => undefined)
        return undefined
      })
      await begin()
      proxy.play()
      await Promise.all(freezes)
      await until(network, 'no leader to be frozen', () => !isFrozen)
      expect(freezes).to.have.length.greaterThan(3)
    })
  })
})
