/** What people do: they ask for rotations, revoke and restore, add and remove clusters, delete registrations and put them back. */
import {testCluster} from '../helpers/fleet.js'
import {recordOf, registeredNames, servedNames} from '../../src/lib/model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import type {Lifetimes} from '../../src/lib/model/settings.js'
import type {RequestKind} from '../../src/lib/model/request.js'
import {newRequest} from '../../src/lib/ops/ask-leader.js'
import type {Network} from './network.js'
import type {Kind, Scene} from './scene.js'

export const peopleEvents = {
  'rotate the issuer': {weight: 2, act: scene => ask(scene, 'rotate-issuer')},
  'rotate the root': {weight: 3, act: scene => ask(scene, 'rotate-root')},
  'rotate identities': {weight: 1, act: scene => ask(scene, 'rotate')},
  'rotate credentials': {weight: 1, act: scene => ask(scene, 'rotate-ads')},
  remove: {
    weight: 1,
    act: scene => {
      const name = scene.network.random.pick(registeredNames(scene.network.store.fleet))
      return name === undefined ? undefined : ask(scene, 'remove', [name])
    },
  },
  revoke: {
    weight: 1,
    act: scene => {
      const name = scene.network.random.pick(servedNames(scene.network.store.fleet))
      return name === undefined ? undefined : ask(scene, 'revoke', [name])
    },
  },
  restore: {
    weight: 2,
    act: scene => {
      const {fleet} = scene.network.store
      const name = scene.network.random.pick(registeredNames(fleet).filter(each => recordOf(fleet, each).revokedSince !== undefined))
      return name === undefined ? undefined : ask(scene, 'restore', [name])
    },
  },
  add: {
    weight: 2,
    act: scene => {
      if (registeredNames(scene.network.store.fleet).length >= 4) return undefined
      scene.added += 1
      return addCluster(scene.network, `c${scene.added}`, 1 + scene.network.random.below(2))
    },
  },
  suspend: {
    weight: 1,
    act: ({network}) => {
      const name = network.random.pick(registeredNames(network.store.fleet))
      if (name === undefined) return undefined
      network.store.put({kind: 'registration', name, value: undefined})
      return `the registration of ${name} is gone`
    },
  },
  'register again': {
    weight: 3,
    act: ({network}) => {
      const {registrations} = network.store.fleet
      const gone = network.envoys.map(({owner}) => owner).filter(owner => owner !== OBSERVABILITY && !registrations.has(owner))
      const name = network.random.pick(gone) as ClusterName | undefined
      if (name === undefined) return undefined
      network.store.put({kind: 'registration', name, value: testCluster(name)})
      return name
    },
  },
  'change settings': {
    weight: 1,
    act: ({network: {random, store}}) => {
      const {settings} = store.fleet
      const name = random.pick(Object.keys(lives) as (keyof typeof lives)[])
      const days = name && random.pick(lives[name])
      if (settings === undefined || name === undefined || days === undefined) return undefined
      store.put({kind: 'settings', value: {...settings, lifetimes: {...settings.lifetimes, [name]: days * 86_400}}})
      return `${name} is ${days} days`
    },
  },
} as const satisfies Readonly<Record<string, Kind>>

/** Durations that `init --set` may set, in days: the default of each, a shorter and a longer one. */
const lives = {
  issuer: [120, 365, 800],
  identity: [7, 30, 120],
  credential: [90, 730, 1500],
  suspension: [1, 7, 60],
  superseded: [1, 7, 30],
} as const satisfies Partial<Record<keyof Lifetimes, readonly number[]>>

/** Registers a cluster with so many Envoys, which are given credentials once there are some. */
export function addCluster(network: Network, name: string, envoys: number): string {
  const cluster = testCluster(name)
  network.store.put({kind: 'registration', name: cluster.name, value: cluster})
  for (let index = 0; index < envoys; index += 1) network.addEnvoy(cluster.name, `${name}-${index}`)
  return `${name} with ${envoys} Envoys`
}

function ask({network}: Scene, kind: RequestKind, owners: readonly Owner[] = []): string {
  const {random} = network
  const dependencies = {now: () => network.date, signer: network.signer}
  const away = registeredNames(network.store.fleet).filter(name => network.envoysOf(name).every(({stream}) => stream === undefined))
  const skip = (kind === 'rotate-issuer' || kind === 'rotate-root') && random.chance(0.3) ? away : []
  network.store.put(newRequest(kind, dependencies, skip.length === 0 ? {} : {skip}).for(owners))
  return `${kind} ${owners.join(', ')}${skip.length === 0 ? '' : `, without ${skip.join(', ')}`}`
}
