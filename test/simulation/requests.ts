/** Requests between Envoys, from the observability Envoy to the port of a downstream one and back: what worked goes on to work. */
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {isImpatient} from '../../src/lib/ops/rotation/waiting.js'
import {trustDigest} from '../../src/lib/pki/trust-digest.js'
import type {Envoy, Stream} from './envoys.js'
import {Violation} from './invariants.js'
import {type Network, isCutOff} from './network.js'
import {isAnchored} from './trust.js'

/** While both Envoys of a pair stay connected, none of them comes to refuse the other. */
export class Requests {
  /** The streams of each pair that worked when it was last looked at. */
  readonly #worked = new Map<Envoy, readonly (Stream | undefined)[]>()
  /** Clusters that rotations have left behind, or given up, until their Envoys have what is stored. */
  readonly #left = new Set<Owner>()
  /** Those that have not come to the state since to which the store was put back: what they have may not go together meanwhile. */
  readonly #unsettled = new Set<Envoy>()
  /** The version of the store with the present trust bundle. */
  #bundle = 0

  /** What is written. */
  observe(before: Fleet, after: Fleet, network: Network): void {
    const {rotation, trust} = before
    if (trust !== after.trust) this.#bundle = network.store.version
    for (const owner of rotation?.skipped ?? []) this.#left.add(owner)
    if (isImpatient(before, network.date) || isImpatient(after, network.date)) for (const {owner} of network.envoys) this.#left.add(owner)
  }

  /** Envoys get, one after the other, what was in the store when the backup was made. */
  beforePutBack(network: Network): void {
    this.#worked.clear()
    for (const envoy of network.envoys) this.#unsettled.add(envoy)
  }

  /** Both Envoys use what they have now. */
  requireAccepted(network: Network): void {
    const {observability} = network
    if (observability === undefined) return
    for (const envoy of this.#unsettled) if (hasWhatIsStored(envoy, network.store.fleet)) this.#unsettled.delete(envoy)
    for (const envoy of network.envoys) {
      if (envoy.owner === OBSERVABILITY) continue
      if (this.#unsettled.has(envoy) || this.#unsettled.has(observability)) {
        this.#worked.delete(envoy)
        continue
      }

      const streams = [envoy.stream, observability.stream]
      // A server that hears of nothing sends an Envoy that reconnects what has been replaced.
      if (streams.some(stream => stream !== undefined && network.server(stream.server)?.isLagging === true)) {
        this.#worked.delete(envoy)
        continue
      }

      const [before, why] = [this.#worked.get(envoy), whyRefused(envoy, observability)]
      // One that came back when the bundle was written already is given what it lacks, by a server that may lag.
      const isLate = (envoy.stream?.version ?? 0) > this.#bundle && observability.trust !== network.store.fleet.trust
      if (why === undefined && !streams.includes(undefined) && !isLate) this.#worked.set(envoy, streams)
      else this.#worked.delete(envoy)
      const isSame = before?.every((stream, index) => stream !== undefined && stream === streams[index]) === true
      const isExcused = envoy.refuses || observability.refuses || this.#left.has(envoy.owner) || isCutOff(network.store.fleet, envoy.owner)
      if (why !== undefined && isSame && !isExcused) throw new Violation(`requests to ${envoy.id}, which is connected, are refused: ${why}`)
    }

    // The observability Envoy may take the bundle that refuses a cluster long after it was written.
    const {fleet} = network.store
    if (!hasWhatIsStored(observability, fleet)) return
    for (const owner of this.#left) if (network.envoysOf(owner).every(envoy => hasWhatIsStored(envoy, fleet))) this.#left.delete(owner)
  }
}

function hasWhatIsStored({identity, trust, owner}: Envoy, fleet: Fleet): boolean {
  const isPresent = identity?.certificate === fleet.identities.get(owner)?.certificate
  return isPresent && trust !== undefined && fleet.trust !== undefined && trustDigest(trust) === trustDigest(fleet.trust)
}

function whyRefused(envoy: Envoy, observability: Envoy): string | undefined {
  const [own, other] = [envoy.identity, observability.identity]
  if (own === undefined || other === undefined || envoy.trust === undefined || observability.trust === undefined)
    return 'a secret is missing'
  if (!isAnchored(own, observability.trust.issuers)) return 'the observability Envoy refuses its identity'
  return isAnchored(other, envoy.trust.issuers) ? undefined : 'it refuses the identity of the observability Envoy'
}
