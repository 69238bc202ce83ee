/** One server replica of the simulation: what it has seen of the store, its clock, and what it reports. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import type {Owner} from '../../src/lib/model/names.js'
import type {AbsentNode, ProxyReport, Report} from '../../src/lib/model/report.js'
import {type ClockState, newestTime, renderDoubt, stepClock} from '../../src/lib/ops/clock.js'
import type {Records} from '../../src/lib/ops/protect.js'
import {defaultFleetTimes} from '../../src/server/fleet/current-fleet.js'
import {type Protection, openProtection} from '../../src/server/fleet/protection.js'
import {openAbsentNodes} from '../../src/server/proxies/absent-nodes.js'
import type {Stream} from './envoys.js'
import {readKey} from '../../src/lib/pki/read.js'
import {identitiesDigest} from '../../src/lib/pki/identities-digest.js'
import {trustDigest} from '../../src/lib/pki/trust-digest.js'

/** How long a server waits before it believes a clock that was set, milliseconds, as in production. */
const HELD = 600_000

export class Server {
  readonly name: string
  isUp = true
  /** Whether it has not heard of what was written last. */
  isLagging = false
  /** What is in the store, as far as it knows. */
  stored: Fleet = emptyFleet
  /** As it serves it: with what protects of a store that was put back. */
  seen: Fleet = emptyFleet
  version = 0
  /** The certificate that its port shows. */
  certificate: CertifiedKey | undefined
  /** By how much its clock is ahead, milliseconds. */
  ahead: number
  /** Owners whose renewals it has planned before its clock was confirmed. */
  renewedBefore = new Set<Owner>()
  /** Nodes that it served lately. */
  absent = openAbsentNodes()
  /** How often its process has begun again. */
  lives = 0
  #protection: Protection
  #clock: ClockState | undefined
  #steady = 0
  #wall = new Date(0)
  #admitted: {readonly basis: readonly unknown[]; readonly streams: Set<Stream>} = {basis: [], streams: new Set()}
  /** What its last report says, and the digest of that. */
  #reported: {readonly facts: ReportFacts; readonly digest: string} | undefined

  constructor(name: string, ahead: number) {
    this.name = name
    this.ahead = ahead
    this.#protection = this.#forgetful()
  }

  /** What is in the store comes to it, as in server/fleet/current-fleet.ts. */
  hear(stored: Fleet, {wall, steady}: {readonly wall: Date; readonly steady: number}): void {
    const before = this.seen
    this.#wall = wall
    this.#steady = steady
    this.#protection.records(this.stored)
    this.stored = stored
    this.seen = this.#served()
    if (this.#protection.look(stored, {before, after: this.seen}).length > 0) this.seen = this.#served()
  }

  /** The streams that it has admitted by all that decides it: most of what is written concerns none of that. */
  admittedBy(now: Date): Set<Stream> {
    const {settings, trust, records, registrations, faults} = this.seen
    const basis = [settings, trust, records, registrations, faults, now.getTime()]
    if (!basis.every((each, index) => each === this.#admitted.basis[index])) this.#admitted = {basis, streams: new Set()}
    return this.#admitted.streams
  }

  /** What it keeps in mind of a store that was put back. */
  get protection(): Records {
    return this.#protection.records(this.stored)
  }

  /** The process begins again, and reads what the one before has reported. */
  restart({reports}: Fleet, now: Date): void {
    const last = reports.get(this.name)
    this.isUp = true
    this.lives += 1
    this.#protection = this.#forgetful()
    this.stored = emptyFleet
    this.seen = emptyFleet
    this.absent = openAbsentNodes()
    if (last !== undefined) this.absent.recall(last, now)
    this.#clock = undefined
    this.renewedBefore = new Set()
  }

  #served(): Fleet {
    return reduceAll(this.stored, this.#protection.lost(this.stored))
  }

  #forgetful(): Protection {
    return openProtection({protectedMs: defaultFleetTimes.protectedMs, now: () => this.#wall, steady: () => this.#steady})
  }

  /** Looks at its clock and, in Kubernetes, at that of the API server. */
  lookAtClock(true_: number): ClockState {
    const newest = this.#clock?.believed === undefined ? newestTime(this.seen) : undefined
    const reading = {wall: true_ + this.ahead, steady: true_, server: true_, newest}
    this.#clock = stepClock(this.#clock, reading, {heldMs: HELD})
    return this.#clock
  }

  /** Why it does not believe its clock. */
  doubt(true_: number): string | undefined {
    const {doubt} = this.lookAtClock(true_)
    return doubt && renderDoubt(doubt, HELD)
  }

  /** Its report, where that differs from the one in the store. */
  planReport(stored: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Change[] {
    const {trust} = this.seen
    const present = stored.reports.get(this.name)
    const tls =
      this.certificate === undefined || trust === undefined
        ? undefined
        : {certificate: readKey(this.certificate).sha256, trust: trustDigest(trust), identities: identitiesDigest(this.seen.identities)}
    const absent = this.absent.entries(now)
    const digest = this.#digestOf({certificate: tls?.certificate, trust: tls?.trust, identities: tls?.identities, proxies, absent})
    if (present === undefined || present.digest === digest) return []
    const at = now.toISOString()
    const report: Report = {
      ...{format: 1, at, startedAt: at, address: '', ready: true, reasons: [], warnings: []},
      store: {description: 'simulated', reachable: true},
      ...(tls !== undefined && {tls}),
      ...{proxies, absent, withoutProxy: [], refusals: [], unrepaired: [], faults: []},
    }
    return [{kind: 'report', replica: this.name, value: {report, leftovers: [], digest}}]
  }

  /** The text of what it reports is long, nearly always the same, and asked for after each thing that happens. */
  #digestOf(facts: ReportFacts): string {
    if (this.#reported === undefined || !areSame(this.#reported.facts, facts)) this.#reported = {facts, digest: JSON.stringify(facts)}
    return this.#reported.digest
  }
}

interface ReportFacts {
  readonly certificate: string | undefined
  readonly trust: string | undefined
  readonly identities: string | undefined
  readonly proxies: readonly ProxyReport[]
  readonly absent: readonly AbsentNode[]
}

/** Of Envoys that say the same there is the same report (envoys.ts). */
function areSame(some: ReportFacts, others: ReportFacts): boolean {
  return (
    some.certificate === others.certificate &&
    some.trust === others.trust &&
    some.identities === others.identities &&
    some.proxies.length === others.proxies.length &&
    some.absent.length === others.absent.length &&
    some.proxies.every((proxy, index) => proxy === others.proxies[index]) &&
    some.absent.every(({cluster, id, since}, index) => {
      const other = others.absent[index]
      return other?.since === since && other.id === id && other.cluster === cluster
    })
  )
}
