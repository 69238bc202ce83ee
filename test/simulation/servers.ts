/** One server replica of the simulation: what it has seen of the store, its clock, and what it reports. */
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import type {Owner} from '../../src/lib/model/names.js'
import type {ProxyReport, Report} from '../../src/lib/model/report.js'
import {type ClockState, newestTime, renderDoubt, stepClock} from '../../src/lib/ops/clock.js'
import type {Records} from '../../src/lib/ops/protect.js'
import {defaultFleetTimes} from '../../src/server/fleet/current-fleet.js'
import {type Protection, openProtection} from '../../src/server/fleet/protection.js'
import {openAbsentNodes} from '../../src/server/proxies/absent-nodes.js'
import {readKey} from '../../src/lib/pki/read.js'
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
    const reading = {wall: true_ + this.ahead, steady: true_, server: true_, newest: newestTime(this.seen)}
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
        : {certificate: readKey(this.certificate).sha256, trust: trustDigest(trust)}
    const absent = this.absent.entries(now)
    const digest = JSON.stringify([tls, proxies, absent])
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
}
