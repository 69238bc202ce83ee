/**
 * An installation on Kubernetes whose leader reaches the API server through a proxy that plays faults at its writes: each is found by its kind, such
 * as "PUT secrets/atlas-issuer in stage leaves". The leader is killed at a write, and starts again to stand for election.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import type {Fleet} from '../../src/lib/model/fleet.js'
import type {Fault} from '../helpers/kubernetes/fault.js'
import {type FaultProxy, type Seen, faultProxy} from '../helpers/kubernetes/fault-proxy.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {type Installation, openInstallation} from './installation.js'
import {untilReachable, untilSynced} from './look.js'
import type {Replica} from './replica.js'
import {quickRotation} from './rotating.js'

export interface FaultyLeader {
  readonly network: Installation
  readonly proxy: FaultProxy
  /**
   * `fault` is asked for at each write with how often one of its kind came before, and how many kinds there were so far. The stage of a write is
   * that of `fleet`. @returns how often each kind came
   */
  atEachWrite(
    fleet: () => Fleet,
    fault: (before: number, kinds: number) => Fault | Promise<Fault | undefined> | undefined,
  ): ReadonlyMap<string, number>
  /** Kills the leader at the first write of each kind, in turn before and after it is done. */
  killAtEachWrite(fleet: () => Fleet): Killings
  close(): Promise<void>
}

export interface Killings {
  /** Plays no more faults, and resolves when all that were killed run again. @returns the name of each leader, by killing */
  end(): Promise<readonly string[]>
}

export async function openFaultyLeader(): Promise<FaultyLeader> {
  const kubernetes = await sharedKubernetes()
  const {times, settings} = quickRotation
  const network = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], ads: 2, controllers: 2, times, settings})
  try {
    return await withFaults(kubernetes, network)
  } catch (error) {
    await network.close()
    throw error
  }
}

/** From now on both that stand for election reach the API server through the proxy. */
async function withFaults(kubernetes: Kubernetes, network: Installation): Promise<FaultyLeader> {
  const proxy = await faultProxy(kubernetes)
  network.onClose(proxy.close)
  const account = await proxy.kubeconfigOf(await kubernetes.serviceAccountKubeconfig(network.namespace, 'atlas-controller'))
  const lead = async (controller: Replica): Promise<void> => {
    await controller.start({kubeconfig: account})
    await controller.untilReady()
  }
  for (const controller of network.controllers) {
    await controller.stop()
    await lead(controller)
  }
  await untilReachable(network)
  await untilSynced(network)

  const atEachWrite: FaultyLeader['atEachWrite'] = (fleet, fault) => {
    const counts = new Map<string, number>()
    proxy.play(request => {
      const write = writeOf(request, fleet())
      if (write === undefined) return undefined
      const before = counts.get(write) ?? 0
      counts.set(write, before + 1)
      return fault(before, counts.size)
    })
    return counts
  }

  return {
    network,
    proxy,
    atEachWrite,
    killAtEachWrite(fleet) {
      const killings: Promise<string>[] = []
      let isKilling = false
      const kill = async (): Promise<string> => {
        const leader = await network.leader()
        // The API server has time to do what is passed on.
        await sleep(150)
        await leader.kill()
        await lead(leader)
        isKilling = false
        return leader.name
      }
      atEachWrite(fleet, (before, kinds) => {
        if (before > 0 || isKilling) return undefined
        isKilling = true
        const killing = kill()
        killing.catch(() => undefined)
        killings.push(killing)
        return kinds % 2 === 0 ? {kind: 'hang'} : {kind: 'stall', after: 'nothing'}
      })
      return {
        async end() {
          proxy.play()
          return Promise.all(killings)
        },
      }
    },
    close: network.close,
  }
}

/** What the leader writes with a request, and in which stage; undefined: it writes nothing. */
function writeOf({method, path: at, body}: Seen, {rotation}: Fleet): string | undefined {
  const [, kind, name] = /^\/api\/v1\/namespaces\/[^/]+\/(configmaps|secrets|services)(?:\/(.+))?$/.exec(at) ?? []
  if (kind === undefined || method === 'GET') return undefined
  const named = name ?? (JSON.parse(body) as {metadata: {name: string}}).metadata.name
  return `${method} ${kind}/${named} in stage ${rotation?.stage ?? 'none'}`
}
