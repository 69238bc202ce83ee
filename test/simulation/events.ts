/** What happens in the simulated network, one event at a time: time goes by, leaders plan, servers fail, and what Envoys and people do. */
import {registeredNames} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import {envoyEvents} from './envoy-events.js'
import {requireSigning} from './invariants.js'
import type {PassFaults, PassOutcome} from './leader.js'
import {APART} from './network.js'
import {calm, pass} from './moments.js'
import {offlineEvents} from './offline-events.js'
import {peopleEvents} from './people-events.js'
import type {Kind, Scene} from './scene.js'
import type {Server} from './servers.js'

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]

/** A sentence for the history, which begins after what the event has done is told. */
export function happen(scene: Scene): void {
  const {random} = scene.network
  for (;;) {
    const kind = random.weighted(weights)
    const said = kinds[kind]?.act(scene)
    if (said === undefined) continue
    scene.network.tell(() => `${kind}: ${said}`)
    backUp(scene)
    return
  }
}

/** So many backups are kept. */
const BACKUPS = 40

/** A backup that is older is of no use. */
const BACKUP_AGE = 30 * DAY

function backUp({network, backups}: Scene): void {
  backups.push({at: network.now, fleet: network.store.fleet})
  if (backups.length > BACKUPS) backups.shift()
}

/** A cluster's Envoys are away for months, and nothing else is at fault: what everyone else needs is renewed all the same. */
function waitForHands(scene: Scene, away: Owner, weeks: number): void {
  const {network, leading, offlineRoots} = scene
  for (const server of network.servers) {
    if (!server.isUp) network.restart(server)
    if (Math.abs(server.ahead) > APART) server.ahead = network.randomAhead()
    server.isLagging = false
  }

  for (const envoy of network.envoys) {
    envoy.isUp = envoy.owner !== away
    network.repair(envoy)
  }

  for (const envoy of network.envoysOf(away)) network.disconnect(envoy, 'it is offline')
  const begin = network.now
  for (let week = 0; week < weeks; week += 1) {
    pass(scene, 7 * DAY)
    calm(scene, 30)
    requireSigning(network, leading, begin + HANDS_FIRST, offlineRoots)
  }
}

/** An issuer that had come near its end before cannot be replaced in time. */
const HANDS_FIRST = 30 * DAY

const kinds: Readonly<Record<string, Kind>> = {
  pass: {
    weight: 24,
    act: ({network, leader, leading, former}) => {
      const {random} = network
      const server = former !== undefined && random.chance(0.2) ? former : leading
      if (!server.isUp) return undefined
      const faults: PassFaults = {
        ...(random.chance(0.15) && {behind: 1 + random.below(6)}),
        ...(random.chance(0.2) && {endsAfter: random.below(4)}),
      }
      return `${server.name} plans ${JSON.stringify(faults)}: ${leader.pass(server, faults)}`
    },
  },
  calm: {
    weight: 14,
    act: scene => {
      const passes = 1 + scene.network.random.below(6)
      calm(scene, passes)
      return `${passes} passes at most`
    },
  },
  hear: {
    weight: 8,
    act: ({network}) => {
      const server = network.random.pick(network.livingServers)
      if (server === undefined) return undefined
      network.see(server)
      return `${server.name} sees the newest store`
    },
  },
  lag: {
    weight: 3,
    act: ({network}) => {
      const server = network.random.pick(network.livingServers)
      if (server === undefined) return undefined
      server.isLagging = !server.isLagging
      return `${server.name} ${server.isLagging ? 'begins' : 'ends'} to lag`
    },
  },
  minutes: {
    weight: 8,
    act: scene => {
      const minutes = 1 + scene.network.random.below(20)
      pass(scene, minutes * MINUTE)
      return `${minutes} pass`
    },
  },
  hours: {
    weight: 6,
    act: scene => {
      const hours = 1 + scene.network.random.below(20)
      pass(scene, hours * HOUR)
      return `${hours} pass`
    },
  },
  days: {
    weight: 14,
    act: scene => {
      const days = 1 + scene.network.random.below(12)
      pass(scene, days * DAY)
      calm(scene, 4)
      return `${days} pass, with all well`
    },
  },
  hands: {
    weight: 1,
    act: scene => {
      const {random, store} = scene.network
      const away = random.pick(registeredNames(store.fleet))
      if (away === undefined || store.fleet.rotation === undefined) return undefined
      const weeks = 8 + random.below(48)
      waitForHands(scene, away, weeks)
      return `${weeks} weeks in which nobody looks after ${away}, with all else well`
    },
  },
  'lost its server': {
    weight: 3,
    act: scene => {
      const {network} = scene
      const {rotation} = network.store.fleet
      const envoy = network.random.pick(network.envoys.filter(({stream, owner}) => stream !== undefined && owner !== OBSERVABILITY))
      if (envoy === undefined || rotation === undefined) return undefined
      envoy.isUp = false
      network.disconnect(envoy, 'its server cannot be reached')
      for (let round = 0; round < 4; round += 1) {
        calm(scene, 3)
        pass(scene, 5 * MINUTE)
      }

      envoy.isUp = true
      return `${envoy.id} for 20 minutes`
    },
  },
  weeks: {
    weight: 3,
    act: scene => {
      const weeks = 2 + scene.network.random.below(16)
      pass(scene, weeks * 7 * DAY)
      return `${weeks} pass without a server`
    },
  },
  crash: {
    weight: 3,
    act: ({network}) => {
      const server = network.random.pick(network.livingServers)
      if (server === undefined) return undefined
      server.isUp = false
      for (const envoy of network.envoys) if (envoy.stream?.server === server.name) network.disconnect(envoy, 'its server is gone')
      return server.name
    },
  },
  start: {
    weight: 6,
    act: ({network}) => {
      const server = network.random.pick(network.servers.filter(({isUp}) => !isUp))
      if (server === undefined) return undefined
      network.restart(server)
      network.see(server)
      return server.name
    },
  },
  elect: {
    weight: 4,
    act: scene => {
      const server = scene.network.random.pick(scene.network.livingServers)
      if (server === undefined || server === scene.leading) return undefined
      scene.former = scene.leading
      scene.leading = server
      hear(scene, server)
      return `${server.name} leads after ${scene.former.name}`
    },
  },
  jump: {
    weight: 2,
    act: ({network, hasJumps}) => {
      const server = network.random.pick(network.livingServers)
      if (!hasJumps || server === undefined) return undefined
      server.ahead = Math.round(network.random.between(-400, 400) * DAY)
      return `the clock of ${server.name} is ${Math.round(server.ahead / DAY)} days ahead`
    },
  },
  'set clock': {
    weight: 3,
    act: ({network}) => {
      const server = network.random.pick(network.servers.filter(({ahead}) => Math.abs(ahead) > APART))
      if (server === undefined) return undefined
      server.ahead = network.randomAhead()
      return `that of ${server.name} is right`
    },
  },
  'put back': {
    weight: 1,
    act: ({network, backups, leader, leading}) => {
      const backup = network.random.pick(backups.filter(({at}) => network.now - at < BACKUP_AGE))
      if (backup === undefined || network.livingServers.length === 0) return undefined
      const outcomes: PassOutcome[] = []
      network.putBack(backup.fleet, () => {
        for (let passes = network.random.below(4); passes > 0 && leading.isUp; passes -= 1) outcomes.push(leader.pass(leading))
      })
      const planned = outcomes.length === 0 ? '' : `, and ${leading.name} plans on its reports: ${outcomes.join(', ')}`
      return `the store is as it was ${((network.now - backup.at) / DAY).toFixed(3)} d before${planned}`
    },
  },
  ...envoyEvents,
  ...offlineEvents,
  ...peopleEvents,
}

const weights: ReadonlyMap<string, number> = new Map(Object.entries(kinds).map(([name, {weight}]) => [name, weight]))

function hear({network}: Scene, server: Server): void {
  if (!server.isLagging) network.see(server)
}
