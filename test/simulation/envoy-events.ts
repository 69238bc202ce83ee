/** What Envoys do, and what is done to them: they take or refuse what they are sent, go and come back, get their credentials late or twice. */
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import type {Envoy} from './envoys.js'
import {calm, pass} from './moments.js'
import type {Network} from './network.js'
import type {Kind} from './scene.js'

export const envoyEvents = {
  take: {
    weight: 18,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({stream}) => stream !== undefined))
      if (envoy === undefined) return undefined
      const taken = network.random.pick(['both', 'identity', 'trust'] as const) ?? 'both'
      network.take(envoy, taken)
      return `${envoy.id} takes ${taken}${envoy.refuses ? ', and refuses' : ''}`
    },
  },
  offline: {
    weight: 3,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({isUp}) => isUp))
      if (envoy === undefined) return undefined
      envoy.isUp = false
      network.disconnect(envoy, 'it is offline')
      return envoy.id
    },
  },
  online: {
    weight: 6,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({isUp}) => !isUp))
      if (envoy === undefined) return undefined
      envoy.isUp = true
      network.connect(envoy)
      return `${envoy.id}${envoy.stream === undefined ? `, and ${envoy.refusal ?? 'is refused'}` : ''}`
    },
  },
  restart: {
    weight: 3,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({isUp}) => isUp))
      if (envoy === undefined) return undefined
      network.restartEnvoy(envoy)
      return `${envoy.id}${envoy.stream === undefined ? `, and ${envoy.refusal ?? 'is refused'}` : ''}`
    },
  },
  apply: {
    weight: 7,
    act: ({network}) => {
      const owner = network.random.pick(network.envoys)?.owner
      if (owner === undefined) return undefined
      // Not always everywhere: a pod may be on a machine that gets the Secret later.
      const chosen = network.envoysOf(owner).filter(() => network.random.chance(0.8))
      for (const envoy of chosen) network.apply(envoy)
      if (network.random.chance(0.6)) for (const envoy of chosen) network.connect(envoy)
      return `the credential of ${owner} to ${chosen.map(({id}) => id).join(', ')}`
    },
  },
  rollback: {
    weight: 6,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({formerFiles}) => formerFiles !== undefined))
      if (envoy === undefined) return undefined
      network.apply(envoy, envoy.formerFiles)
      network.connect(envoy)
      return `${envoy.id} has the former credential again`
    },
  },
  slow: {
    weight: 2,
    act: scene => {
      const {network} = scene
      const envoy = network.random.pick(network.envoys.filter(({stream}) => stream !== undefined))
      if (envoy === undefined || network.store.fleet.rotation === undefined) return undefined
      calm(scene, 4, envoy)
      return `${envoy.id} takes nothing while a rotation goes on`
    },
  },
  'roll out': {
    weight: 3,
    act: scene => {
      const {network} = scene
      const {rotation} = network.store.fleet
      if (rotation?.part !== 'root' || (rotation.stage !== 'announce' && rotation.stage !== 'credentials')) return undefined
      const first = network.random.pick(network.envoys.filter(({owner}) => owner !== OBSERVABILITY))
      if (first === undefined) return undefined
      for (const envoy of network.envoys) {
        envoy.isUp = true
        network.repair(envoy)
      }

      calm(scene, 6)
      applyNewest(network, [first])
      calm(scene, 1)
      // A tool that keeps the files of a machine puts back what was there before.
      const isPutBack = network.random.chance(0.7) && first.formerFiles !== undefined
      if (isPutBack) applyNewest(network, [first], first.formerFiles)
      applyNewest(
        network,
        network.envoys.filter(envoy => envoy !== first),
      )
      calm(scene, 2)
      pass(scene, ABSENCE)
      calm(scene, 4)
      return `the newest credentials everywhere${isPutBack ? `, but at ${first.id}, where the former is put back` : ''}`
    },
  },
  nack: {
    weight: 2,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({refuses}) => !refuses))
      if (envoy === undefined) return undefined
      envoy.refuses = true
      return `${envoy.id} refuses what it is sent from now on`
    },
  },
  repair: {
    weight: 4,
    act: ({network}) => {
      const envoy = network.random.pick(network.envoys.filter(({refuses}) => refuses))
      if (envoy === undefined) return undefined
      network.repair(envoy)
      return `${envoy.id} takes what it is sent again`
    },
  },
} as const satisfies Readonly<Record<string, Kind>>

/** For so long a rotation waits for Envoys that have left, and a bit longer, milliseconds. */
const ABSENCE = 70 * 60_000

/** Envoys get a credential, or the newest, and connect with it. */
function applyNewest(network: Network, envoys: readonly Envoy[], credential?: Envoy['files']): void {
  for (const envoy of envoys) {
    network.apply(envoy, credential)
    network.connect(envoy)
  }
}
