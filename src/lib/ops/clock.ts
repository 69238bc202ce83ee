/**
 * Whether the clock of this machine is believed. While it is not, nothing is signed, and nothing is dropped because its time is over
 * (docs/explanation/security.md#clocks). A pure state machine: the server reads the clocks (server/clock.ts), a command reads them once.
 */
import {AtlasError} from '../model/errors.js'
import {renderAge, renderDuration} from '../model/duration.js'
import type {Fleet} from '../model/fleet.js'
import {readKey} from '../pki/read.js'
import {CLOCK_SKEW} from '../pki/rotation.js'
import type {StateStore} from '../store/store.js'
import type {OpsDependencies} from './dependencies.js'

/** How far two clocks may differ, and how far one may be set, before it is doubted; milliseconds. */
export const CLOCK_LIMIT = CLOCK_SKEW * 1000

/** What to do about a clock that is doubted. */
export const CLOCK_HINT = 'set the clock of this machine; a clock that is right is believed by a server that runs for 10 minutes'

/** What the clocks show at one moment, milliseconds. */
export interface ClockReading {
  /** This machine's clock, since 1970: the one that is judged. */
  readonly wall: number
  /** A clock that is never set (store/steady.ts). */
  readonly steady: number
  /** The Kubernetes API server's clock, since 1970; undefined: there is none. */
  readonly server: number | undefined
  /** The newest time in the store, since 1970. It counts only until the clock is believed for the first time. */
  readonly newest: number | undefined
}

/**
 * `server`: the clock differs from the API server's; `moved`: it was set while the process ran; `store`: it shows a time before the newest
 * one in the store. `ahead`: by how much it differs, milliseconds, negative where it is behind.
 */
export interface ClockDoubt {
  readonly kind: 'moved' | 'server' | 'store'
  readonly ahead: number
}

export interface ClockState {
  /** `wall - steady` when the clock was last believed; undefined: it never was. */
  readonly believed: number | undefined
  /** What the clock is set to now, as `wall - steady`, and since when by the steady clock. */
  readonly shown: {readonly offset: number; readonly since: number}
  readonly doubt: ClockDoubt | undefined
  /** Whether the API server has confirmed a time, or one has held for long enough: a clock that is just started with may be wrong. */
  readonly isConfirmed: boolean
}

/**
 * The next state. The API server decides where there is one. Elsewhere a clock that was set is believed once it has kept the new time for
 * `heldMs`, or is back at the time that was believed before.
 * @param before undefined: the process begins
 */
export function stepClock(before: ClockState | undefined, reading: ClockReading, {heldMs}: {readonly heldMs: number}): ClockState {
  const {wall, steady, server, newest} = reading
  const offset = wall - steady
  const {believed, isConfirmed = false} = before ?? {}
  if (server !== undefined) {
    if (isNear(wall, server)) return believe(offset, steady)
    const doubt = sameDoubt(before?.doubt, {kind: 'server', ahead: wall - server})
    return {believed, shown: {offset, since: steady}, doubt, isConfirmed}
  }

  const shown = before !== undefined && isNear(offset, before.shown.offset) ? before.shown : {offset, since: steady}
  // The period begins again, so that small corrections over a year do not add up to one that is doubted.
  if (steady - shown.since >= heldMs) return believe(offset, steady)
  const doubt = believed === undefined ? doubtByStore(wall, newest) : doubtByMove(offset, believed)
  if (doubt !== undefined) return {believed, shown, doubt: sameDoubt(before?.doubt, doubt), isConfirmed}
  return {believed: believed ?? offset, shown, doubt: undefined, isConfirmed}
}

/** Whether the clock was set from one look to the next. */
export function wasSet(before: ClockState, after: ClockState): boolean {
  return !isNear(before.shown.offset, after.shown.offset)
}

/** The most likely time: the clock's own, or where it is doubted, what the API server shows or the clock would show had it not been set. */
export function likelyTime({doubt, believed}: ClockState, {wall, steady, server}: Omit<ClockReading, 'newest'>): number {
  if (doubt === undefined) return wall
  return server ?? (believed === undefined ? wall : believed + steady)
}

/** A sentence without its full stop. It stays the same while the doubt does. @param heldMs undefined: the process ends before it looks again */
export function renderDoubt({kind, ahead}: ClockDoubt, heldMs: number | undefined): string {
  // In whole minutes: the clocks that are compared differ by some milliseconds from reading to reading.
  const [by, direction] = [renderAge(Math.round(Math.abs(ahead) / 60_000) * 60), ahead > 0 ? 'ahead of' : 'behind']
  const held = heldMs === undefined ? '' : ` until it has kept its time for ${renderDuration(heldMs / 1000)}, or is set`
  if (kind === 'server')
    return `the clock of this machine is ${by} ${direction} the Kubernetes API server's: nothing is signed or dropped until they agree`
  if (kind === 'moved')
    return `the clock of this machine was set ${by} ${ahead > 0 ? 'ahead' : 'back'}: nothing is signed or dropped${held}`
  return `the clock of this machine is ${by} behind the newest time in the store: nothing is signed or dropped${held}`
}

/** The newest time at which something in the store began, milliseconds since 1970; undefined: nothing there has a time. */
export function newestTime({authority, identities, credentials, clients, server, records, requests}: Fleet): number | undefined {
  const keys = [...authority.values(), ...identities.values(), ...credentials.values(), ...clients.values(), ...(server ? [server] : [])]
  let newest = -Infinity
  for (const key of keys) newest = Math.max(newest, beginOf(key))
  for (const {suspendedSince, revokedSince} of records.values()) newest = Math.max(newest, timeOf(suspendedSince), timeOf(revokedSince))
  for (const {requestedAt, answeredAt} of requests.values()) newest = Math.max(newest, timeOf(requestedAt), timeOf(answeredAt))
  return newest === -Infinity ? undefined : newest
}

/**
 * For a command, which sees its clock once: with `clockDoubt`, unless the caller judges the clock itself.
 * @param fleet as just loaded from `store`
 */
export function judgedOnce(dependencies: OpsDependencies, store: Pick<StateStore, 'serverTime'>, fleet: Fleet): OpsDependencies {
  if (dependencies.clockDoubt !== undefined) return dependencies
  const wall = dependencies.now().getTime()
  const {doubt} = stepClock(undefined, {wall, steady: 0, server: store.serverTime(), newest: newestTime(fleet)}, {heldMs: Infinity})
  return {...dependencies, clockDoubt: () => doubt && renderDoubt(doubt, undefined)}
}

/** The time and whether it is believed, of one moment: a clock that is set during the work does not change the result. */
export function atOnce(dependencies: OpsDependencies): OpsDependencies {
  // The time first: a clock that is set in between is then doubted, though this time may be right.
  const now = dependencies.now()
  const doubt = dependencies.clockDoubt?.()
  return {...dependencies, now: () => now, clockDoubt: () => doubt}
}

/** While the clock is doubted nothing is signed. @throws AtlasError `failed` while it is */
export function requireBelieved({clockDoubt}: Pick<OpsDependencies, 'clockDoubt'>): void {
  const doubt = clockDoubt?.()
  if (doubt !== undefined) throw new AtlasError('failed', doubt, {hint: CLOCK_HINT})
}

function believe(offset: number, steady: number): ClockState {
  return {believed: offset, shown: {offset, since: steady}, doubt: undefined, isConfirmed: true}
}

function doubtByStore(wall: number, newest: number | undefined): ClockDoubt | undefined {
  return newest === undefined || newest - wall <= CLOCK_LIMIT ? undefined : {kind: 'store', ahead: wall - newest}
}

function doubtByMove(offset: number, believed: number): ClockDoubt | undefined {
  return isNear(offset, believed) ? undefined : {kind: 'moved', ahead: offset - believed}
}

/** The doubt as it was first found, so that its text does not change from look to look. */
function sameDoubt(before: ClockDoubt | undefined, now: ClockDoubt): ClockDoubt {
  if (before?.kind !== now.kind) return now
  return now.kind === 'store' || isNear(before.ahead, now.ahead) ? before : now
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= CLOCK_LIMIT
}

/** -Infinity for a certificate that does not decode, which is a fault of its own. */
function beginOf(key: Parameters<typeof readKey>[0]): number {
  try {
    return readKey(key).notBefore.getTime()
  } catch {
    return -Infinity
  }
}

function timeOf(text: string | undefined): number {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? -Infinity : time
}
