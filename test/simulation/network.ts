/** The simulated network: a store, servers and Envoys, and the true time. What the leader plans is in leader.ts, what happens in events.ts. */
import type {Credential, TrustBundle} from '../../src/lib/model/authority.js'
import {type Change, describe as describeChange} from '../../src/lib/model/change.js'
import {type Fleet, isServed, recordOf} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner, spiffe} from '../../src/lib/model/names.js'
import type {ProxyReport} from '../../src/lib/model/report.js'
import type {Settings} from '../../src/lib/model/settings.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {Signer} from '../../src/lib/pki/signer.js'
import {admit} from '../../src/server/ads/admission.js'
import {type Envoy, type Offered, type Stream, type Taken, give, reportOf, take} from './envoys.js'
import type {Random} from './random.js'
import {Server} from './servers.js'
import {SimulatedStore} from './store.js'
import {isAnchored, isRooted, isValid, peerOf} from './trust.js'

/** What a step of the leader was planned on. */
export interface Step {
  /** The fleet that its server saw. */
  readonly seen: Fleet
  readonly version: number
}

/** What runs beside the streams, and checks the model of them (sessions.ts). */
export interface StreamChecks {
  /** An Envoy has opened its stream: it subscribes, and lists what it has. */
  opened(envoy: Envoy, stream: Stream, server: Server, now: Date): void
  /** Its server has heard of what is in the store. */
  given(envoy: Envoy, server: Server, now: Date): void
  closed(envoy: Envoy): void
  /** It answers what it was sent. @throws Violation where it has something else than the model says */
  taken(envoy: Envoy, taken: Taken, now: Date): void
  /** @throws Violation where its server would report something else */
  requireReported(envoy: Envoy, server: Server, report: ProxyReport): void
}

export interface NetworkParts {
  readonly random: Random
  readonly signer: Signer
  readonly settings: Settings
  /** Called after each object that was written; `step` where the leader wrote it. */
  readonly observe: (before: Fleet, after: Fleet, changes: readonly Change[], step: Step | undefined) => void
  /** Called before the store is put back to an earlier state. */
  readonly beforePutBack: (fleet: Fleet) => void
  /** Undefined: the history is not wanted. */
  readonly tell: ((sentence: string) => void) | undefined
  readonly recordsAttempts: boolean
  /** Undefined: nothing runs beside the streams. */
  readonly checks: StreamChecks | undefined
}

const BEGIN = Date.parse('2026-11-23T00:00:00Z')

/** A clock that is right is ahead or behind by this much at most, milliseconds: two of them are at most 5 minutes apart. */
export const APART = 150_000

export class Network {
  /** Milliseconds since 1970: the true time, which no clock need show. */
  now = BEGIN
  readonly store: SimulatedStore
  readonly servers: Server[]
  readonly envoys: Envoy[] = []
  readonly random: Random
  readonly signer: Signer
  readonly settings: Settings
  readonly tell: (sentence: () => string) => void
  /** What the leader is writing. */
  step: Step | undefined
  readonly #checks: StreamChecks | undefined
  readonly #beforePutBack: (fleet: Fleet) => void
  #sequence = 0

  constructor({random, signer, settings, observe, tell, recordsAttempts, checks, beforePutBack}: NetworkParts, servers: number) {
    this.#checks = checks
    this.#beforePutBack = beforePutBack
    this.random = random
    this.signer = signer
    this.settings = settings
    this.tell = sentence => tell?.(sentence())
    this.store = new SimulatedStore(
      (before, after, changes) => {
        tell?.(`    written: ${changes.map(change => describeChange(change)).join('; ')}`)
        observe(before, after, changes, this.step)
      },
      {attempts: recordsAttempts},
    )
    this.servers = Array.from({length: servers}, (_, index) => new Server(`ads-${index}`, this.randomAhead()))
  }

  /** How long it has lived. */
  get years(): number {
    return (this.now - BEGIN) / 31_536_000_000
  }

  get date(): Date {
    return new Date(this.now)
  }

  randomAhead(): number {
    return Math.round(this.random.between(-APART, APART))
  }

  /** By the clock of a server. */
  timeOf({ahead}: Server): Date {
    return new Date(this.now + ahead)
  }

  /** The process of a server begins again. */
  restart(server: Server): void {
    server.restart(this.store.fleet, this.timeOf(server))
    this.see(server)
  }

  get observability(): Envoy | undefined {
    return this.envoys.find(({owner}) => owner === OBSERVABILITY)
  }

  get livingServers(): readonly Server[] {
    return this.servers.filter(({isUp}) => isUp)
  }

  server(name: string): Server | undefined {
    return this.livingServers.find(server => server.name === name)
  }

  envoysOf(owner: Owner): readonly Envoy[] {
    return this.envoys.filter(envoy => envoy.owner === owner)
  }

  addEnvoy(owner: Owner, id: string): Envoy {
    const envoy: Envoy = {
      ...{owner, id, isUp: true, refuses: false, ahead: this.randomAhead(), files: this.store.fleet.credentials.get(owner)},
      ...{formerFiles: undefined, stream: undefined, former: undefined, refusal: undefined, trust: undefined, identity: undefined},
      doubted: new Set(),
    }
    this.envoys.push(envoy)
    return envoy
  }

  /** A server hears of what is in the store, and judges its streams again. */
  see(server: Server): void {
    if (!server.isUp) return
    this.#hear(server)
    this.publish(server)
  }

  #hear(server: Server): void {
    server.hear(this.store.fleet, {wall: this.timeOf(server), steady: this.now})
    server.version = this.store.version
    server.certificate = server.seen.server ?? server.certificate
    const admitted = server.admittedBy(this.timeOf(server))
    for (const envoy of this.envoys) {
      const {stream} = envoy
      if (stream?.server !== server.name) continue
      const why = admitted.has(stream) ? undefined : this.whyDenied(server, server.seen, stream)
      if (why === undefined) {
        admitted.add(stream)
        this.#give(envoy, server)
      } else this.disconnect(envoy, why)
    }
  }

  /** Every server but those that lag. */
  seeAll(): void {
    for (const server of this.livingServers) if (!server.isLagging) this.see(server)
  }

  /**
   * A backup is restored. Watches begin again: every server hears of it, and writes its report again.
   * @param soon what happens before that: it takes seconds, in which the reports are those of the backup
   */
  putBack(fleet: Fleet, soon: () => void): void {
    // What was revoked a moment ago, and no server has heard of, is lost.
    this.seeAll()
    this.#beforePutBack(this.store.fleet)
    this.store.putBack(fleet)
    for (const server of this.livingServers) this.#hear(server)
    soon()
    for (const server of this.livingServers) this.see(server)
  }

  /** A server writes its report. */
  publish(server: Server): void {
    const streaming = this.envoys.filter(({stream}) => stream?.server === server.name)
    const proxies = streaming.flatMap(envoy => this.#report(envoy, server) ?? [])
    const changes = server.planReport(this.store.fleet, proxies, this.timeOf(server))
    if (changes.length > 0) this.store.put(...changes)
  }

  disconnect(envoy: Envoy, why: string): void {
    if (envoy.stream === undefined) return
    const server = this.server(envoy.stream.server)
    envoy.former = {stream: envoy.stream, endedAt: this.now}
    if (envoy.stream.offered !== undefined) envoy.doubted = new Set(envoy.stream.unread)
    envoy.stream = undefined
    this.#checks?.closed(envoy)
    envoy.refusal = why
    if (envoy.owner === OBSERVABILITY && !envoy.isUp)
      for (const other of this.envoys) if (other.stream?.relay !== undefined) this.disconnect(other, 'its relay is gone')
    if (server === undefined) return
    server.absent.left({cluster: envoy.owner, id: envoy.id}, this.timeOf(server))
    this.publish(server)
  }

  /** An Envoy opens a stream, in place of the one that it has. @returns whether it could */
  connect(envoy: Envoy): boolean {
    if (!envoy.isUp) return false
    this.disconnect(envoy, 'it connects again')
    const server = this.random.pick(this.livingServers)
    const outcome = this.#open(envoy, server)
    if (typeof outcome === 'string' || server === undefined) {
      envoy.refusal = typeof outcome === 'string' ? outcome : 'there is no server'
      return false
    }

    envoy.stream = outcome
    envoy.former = undefined
    envoy.refusal = undefined
    server.absent.returned({cluster: envoy.owner, id: envoy.id})
    this.#checks?.opened(envoy, outcome, server, this.date)
    this.#give(envoy, server)
    this.publish(server)
    outcome.version = this.store.version
    return true
  }

  /** An Envoy takes what its server sends, or refuses it. */
  take(envoy: Envoy, taken: Taken = 'both'): void {
    take(envoy, taken)
    this.#checks?.taken(envoy, taken, this.date)
  }

  /** An Envoy no longer refuses what it is sent. One that has refused something is started again: its server sends that again in minutes only. */
  repair(envoy: Envoy): void {
    envoy.refuses = false
    if (envoy.stream?.hasRefused === true) this.connect(envoy)
  }

  /** The process of an Envoy begins again. */
  restartEnvoy(envoy: Envoy): void {
    this.disconnect(envoy, 'it begins again')
    Object.assign(envoy, {trust: undefined, identity: undefined, refuses: false, doubted: new Set()})
    this.connect(envoy)
  }

  /** The credential in the store is put into the files of an Envoy. */
  apply(envoy: Envoy, credential: Credential | undefined = this.store.fleet.credentials.get(envoy.owner)): void {
    if (credential === undefined || credential === envoy.files) return
    envoy.formerFiles = envoy.files
    envoy.files = credential
  }

  /** Why a server, by what it knows, ends or refuses a stream; undefined: it serves it. */
  whyDenied(server: Server, seen: Fleet, stream: Pick<Stream, 'credential' | 'relay'>, now = this.timeOf(server)): string | undefined {
    const {credential, relay} = stream
    const {sha256, uris} = readKey(credential)
    const by = spiffe.observability(this.settings.trustDomain)
    const xfcc = relay === undefined ? [] : [`By=${by};Hash=${sha256};URI=${uris[0] ?? ''}`]
    const outcome = admit(seen, peerOf(relay ?? credential), xfcc, now)
    return outcome.kind === 'denied' ? outcome.reason : undefined
  }

  /** A server sends an Envoy what it has seen. */
  #give(envoy: Envoy, server: Server): void {
    give(envoy, offeredBy(server.seen, envoy.owner))
    this.#checks?.given(envoy, server, this.date)
  }

  /** What a server reports of an Envoy. */
  #report(envoy: Envoy, server: Server): ProxyReport | undefined {
    const report = reportOf(envoy)
    if (report !== undefined) this.#checks?.requireReported(envoy, server, report)
    return report
  }

  /** Why an Envoy's stream cannot be opened now. */
  #open(envoy: Envoy, server: Server | undefined): Stream | string {
    const {owner, files} = envoy
    if (server?.certificate === undefined) return 'there is no server'
    if (files === undefined) return 'it has no credential'
    const isRelayed = owner !== OBSERVABILITY
    const relay = isRelayed ? this.observability : undefined
    const [shown, clock] = [isRelayed ? relay?.identity : server.certificate, this.now + envoy.ahead]
    if (shown === undefined || (isRelayed && relay?.isUp !== true)) return 'the observability Envoy is away'
    if (!isRooted(shown, files, clock)) return 'it does not trust the roots of what it is shown'
    if (!isValid(shown, clock)) return 'what it is shown is not valid'
    if (relay !== undefined && !accepts(relay, files, this.now)) return 'the observability Envoy does not accept its credential'
    if (relay?.trust !== undefined && !isAnchored(server.certificate, relay.trust.issuers)) return 'the relay does not accept the server'
    const opened = {server: server.name, credential: files, relay: isRelayed ? shown : undefined}
    const why = this.whyDenied(server, server.seen, opened)
    if (why !== undefined) return why
    this.#sequence += 1
    return {
      ...{...opened, since: this.timeOf(server).toISOString(), sequence: this.#sequence, version: Infinity},
      ...{offered: undefined, unread: new Set(), doubted: new Set(), hasRefused: false},
    }
  }
}

/** What a server has for the Envoys of an owner. Without one of them it sends nothing (lib/envoy/build.ts). */
function offeredBy({identities, trust, registrations}: Fleet, owner: Owner): Offered | undefined {
  const identity = identities.get(owner)
  const isKnown = owner === OBSERVABILITY || registrations.has(owner)
  return identity === undefined || trust === undefined || !isKnown ? undefined : {identity, trust}
}

/** Whether the listener for ADS of the observability Envoy accepts a credential. */
function accepts(
  {trust, ahead}: {readonly trust: TrustBundle | undefined; readonly ahead: number},
  files: Credential,
  now: number,
): boolean {
  return trust !== undefined && isAnchored(files, trust.credentialIssuers) && isValid(files, now + ahead)
}

/** Whether an owner's certificates are refused on purpose. */
export function isCutOff(fleet: Fleet, owner: Owner): boolean {
  if (owner === OBSERVABILITY) return false
  return !isServed(fleet, owner) || recordOf(fleet, owner).suspendedSince !== undefined
}
