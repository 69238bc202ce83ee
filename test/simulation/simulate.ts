/** One seed of the simulation: its network, its events, and the end, when all faults are over and everything must come to rest. */
import {keptElsewhere} from '../../src/lib/model/authority.js'
import type {Change} from '../../src/lib/model/change.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {parseAddress} from '../../src/lib/model/address.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import {servedNames} from '../../src/lib/model/fleet.js'
import {rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import type {Signer} from '../../src/lib/pki/signer.js'
import {happen} from './events.js'
import {calm, pass} from './moments.js'
import {Violation, checkWrite} from './invariants.js'
import {Leader, type PlantedFault} from './leader.js'
import {APART, Network, type StreamChecks} from './network.js'
import {heedWarning, makeOffline} from './offline-events.js'
import {addCluster} from './people-events.js'
import {Requests} from './requests.js'
import {Random} from './random.js'
import type {Scene} from './scene.js'
import {Thief} from './thief.js'
import {isValid} from './trust.js'

export interface SimulationOptions {
  readonly events: number
  /** Makes the signer of the seed. */
  readonly signer: (seed: string) => Signer
  readonly planted?: PlantedFault | undefined
  /** Given each sentence of the history. */
  readonly tell?: ((sentence: string) => void) | undefined
  /** Whether all attempts to write are kept, so that another store can repeat them. */
  readonly recordsAttempts?: boolean
  /** What runs beside the streams; by default nothing. */
  readonly checks?: StreamChecks | undefined
}

export interface Simulated {
  readonly seed: number
  readonly network: Network
  /** What was wrong; undefined: nothing. */
  readonly failure: string | undefined
  /** Rotations that have ended. */
  readonly rotations: number
}

const DAY = 86_400_000

/** The same seed and options give the same history. */
export function simulate(seed: number, {events, signer, planted, tell, recordsAttempts = false, checks}: SimulationOptions): Simulated {
  const random = new Random(seed)
  const [thief, requests] = [new Thief(), new Requests()]
  const numbered = numberFingerprints()
  let rotations = 0
  const settings = {...defaultSettings, addresses: [parseAddress('203.0.113.7')]}
  const network: Network = new Network(
    {
      ...{random, settings, signer: signer(String(seed)), recordsAttempts, checks},
      tell: tell && (sentence => tell(`${((network.now - begin) / DAY).toFixed(3)} d  ${numbered(sentence)}`)),
      observe(before, after, changes, step) {
        thief.observe(changes)
        requests.observe(before, after, network)
        if (before.rotation !== undefined && after.rotation === undefined) rotations += 1
        checkWrite(network, before, after, changes, step)
      },
      beforePutBack(fleet) {
        thief.beforePutBack(network, fleet)
        requests.beforePutBack(network)
      },
    },
    2 + random.below(2),
  )
  const begin = network.now
  const [leading] = network.servers
  if (leading === undefined) throw new Error('there is no server')
  const scene: Scene = {
    ...{network, leader: new Leader(network, planted), leading, former: undefined},
    ...{hasJumps: random.chance(0.2), offlineRoots: [], added: 0, backups: []},
  }
  try {
    install(scene)
    for (let count = 0; count < events; count += 1) {
      happen(scene)
      network.seeAll()
      requests.requireAccepted(network)
      if (count % 8 === 0) thief.requireRefused(network)
    }

    network.tell(() => 'all faults end')
    settle(scene)
    thief.requireRefused(network)
    thief.requireWritten(network, scene.leading)
    return {seed, network, failure: undefined, rotations}
  } catch (error) {
    const failure = error instanceof Violation ? error.message : `an error was thrown: ${error instanceof Error ? (error.stack ?? '') : ''}`
    network.tell(() => `VIOLATION: ${failure}`)
    return {seed, network, failure, rotations}
  }
}

/** A fingerprint depends on how a certificate is encoded, which is replaced for most seeds: the history has its number in place of it. */
function numberFingerprints(): (sentence: string) => string {
  const numbers = new Map<string, number>()
  return sentence =>
    sentence.replaceAll(/\b[\da-f]{64}\b/g, sha256 => {
      const number = numbers.get(sha256) ?? numbers.size + 1
      numbers.set(sha256, number)
      return String(number)
    })
}

/** As `atlas init` and `cluster add`. */
function install(scene: Scene): void {
  const {network} = scene
  const {random, settings} = network
  network.store.put({kind: 'settings', value: settings}, ...authorityOf(scene))
  network.addEnvoy(OBSERVABILITY, 'atlas-0')
  const clusters = 1 + random.below(3)
  for (scene.added = 1; scene.added <= clusters; scene.added += 1) addCluster(network, `c${scene.added}`, 1 + random.below(2))
  calm(scene, 12)
}

/** In some seeds the key of the root is never in the store. */
function authorityOf(scene: Scene): readonly Change[] {
  const {network} = scene
  const {random, settings, signer} = network
  if (!random.chance(0.25)) return [{kind: 'authority', part: 'root', value: issue(rootSpec(settings), undefined, network.date, signer)}]
  const {offline, issuer, credentialIssuer} = makeOffline(network)
  scene.offlineRoots.push(offline)
  return [
    {kind: 'authority', part: 'issuer', value: issuer},
    {kind: 'authority', part: 'credentialIssuer', value: credentialIssuer},
    {kind: 'authority', part: 'root', value: {...offline, key: keptElsewhere}},
  ]
}

/** Passes until nothing is left to do, in each of which everything is as it should be. */
const PASSES = 150

/** Once faults end everything that is due is done, and no rotation is left. A month later it is still so. */
function settle(scene: Scene): void {
  rest(scene)
  for (let later = 0; later < 6; later += 1) {
    pass(scene, 5 * DAY)
    rest(scene)
  }
}

function rest(scene: Scene): void {
  const {network, leader} = scene
  for (const server of network.servers) {
    if (!server.isUp) network.restart(server)
    if (Math.abs(server.ahead) > APART) server.ahead = network.randomAhead()
    server.isLagging = false
  }

  for (let round = 0; ; round += 1) {
    if (round >= PASSES) throw new Violation(`there is no rest after ${PASSES} passes: ${whatIsLeft(scene)}`)
    network.seeAll()
    for (const envoy of network.envoys) {
      envoy.isUp = true
      network.repair(envoy)
      network.apply(envoy)
      // A pod that is started again reads what is in its files.
      if (envoy.stream?.credential !== envoy.files || round % 10 === 9) network.connect(envoy)
      network.take(envoy)
    }

    for (const server of network.livingServers) network.publish(server)
    heedWarning(scene)
    network.seeAll()
    const outcome = leader.pass(scene.leading)
    network.now += 2000
    if (outcome === 'nothing' && network.store.fleet.rotation === undefined && isAtRest(scene)) return
    // What is kept for an hour is dropped then.
    if (outcome === 'nothing') network.now += 600_000
  }
}

/** Whether each registered cluster has what it should, and its Envoys use it. */
function isAtRest({network}: Scene): boolean {
  return whatIsMissing(network) === undefined
}

function whatIsMissing(network: Network): string | undefined {
  const {fleet} = network.store
  const {trust} = fleet
  if (trust === undefined) return 'there is no trust bundle'
  const owners: readonly Owner[] = [OBSERVABILITY, ...servedNames(fleet)]
  for (const owner of owners) {
    const [identity, credential] = [fleet.identities.get(owner), fleet.credentials.get(owner)]
    if (identity === undefined || !isValid(identity, network.now)) return `the identity of ${owner} is missing or has ended`
    if (credential === undefined || !isValid(credential, network.now)) return `the credential of ${owner} is missing or has ended`
    for (const envoy of network.envoysOf(owner)) {
      if (envoy.stream === undefined) return `${envoy.id} is not connected: ${envoy.refusal ?? ''}`
      if (envoy.identity !== identity || envoy.trust !== trust) return `${envoy.id} lacks what is stored`
    }
  }

  if ([trust.roots, trust.issuers, trust.credentialIssuers].some(list => list.length !== 1))
    return 'the trust bundle holds more than it should'
  if ([...fleet.requests.values()].some(({state}) => state === 'waiting')) return 'a request waits'
  return undefined
}

function whatIsLeft({network}: Scene): string {
  const {rotation} = network.store.fleet
  const waiting =
    rotation === undefined ? '' : `the rotation of the ${rotation.part} is at ${rotation.stage}: ${rotation.waitingFor.join('; ')}`
  return [whatIsMissing(network) ?? '', waiting].filter(part => part !== '').join('; ')
}
