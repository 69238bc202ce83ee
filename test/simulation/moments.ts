/** What every event is made of: time goes by, and for a moment all that is not at fault does what it should. */
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import type {Envoy} from './envoys.js'
import {heedWarning} from './offline-events.js'
import type {Scene} from './scene.js'

const HOUR = 3_600_000

/** Time goes by, in which Envoys whose streams have come to the end of their life connect again. */
export function pass({network}: Pick<Scene, 'network'>, milliseconds: number): void {
  network.now += milliseconds
  if (milliseconds < HOUR) return
  for (const envoy of network.envoys) if (envoy.owner === OBSERVABILITY) network.connect(envoy)
  for (const envoy of network.envoys) if (envoy.owner !== OBSERVABILITY) network.connect(envoy)
}

/** Everything that is not at fault does what it should for a moment. @param slow an Envoy that takes nothing meanwhile */
export function calm(scene: Scene, passes: number, slow?: Envoy): void {
  const {network, leader, leading} = scene
  heedWarning(scene)
  for (let round = 0; round < passes; round += 1) {
    network.seeAll()
    for (const envoy of network.envoys) {
      if (envoy.files === undefined) network.apply(envoy)
      if (envoy.stream === undefined) network.connect(envoy)
      if (envoy !== slow) network.take(envoy)
    }

    for (const server of network.livingServers) network.publish(server)
    network.seeAll()
    if (leading.isUp && leader.pass(leading) === 'nothing') return
  }
}
