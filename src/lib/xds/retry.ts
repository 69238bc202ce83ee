/**
 * When a version that the client NACKed alone is sent again. A client may refuse a version for a reason that passes: a listener's port
 * is still held by another process, an address comes later, or another resource of the type is in the way until it is removed
 * (envoyproxy/envoy#9349). So the version is retried by time, and once more when a removal of its type is acknowledged.
 */
import {type BackOff, backOff} from '../model/back-off.js'
import type {TypeStates} from './removal.js'
import type {NackedVersion, TypeState} from './type-state.js'

/** How long a NACKed version is withheld, in milliseconds: after its first NACK, and at most. */
const RETRY: BackOff = {first: 15_000, longest: 300_000}

/** When a version that was NACKed alone is sent again. A NACK before the retry, of what the client had requested again, changes nothing. */
export function nextRetryOf(before: NackedVersion | undefined, now: Date): Pick<NackedVersion, 'failures' | 'retryAt'> {
  if (before?.retryAt !== undefined) return before
  const failures = (before?.failures ?? 0) + 1
  return {failures, retryAt: now.getTime() + backOff(failures, RETRY)}
}

/** The NACKed versions after the client acknowledged a removal. Those that are wanted are due now: the removed resource may have been in their way. */
export function retryAfterRemoval(state: TypeState, removed: readonly string[]): TypeState['nackedVersions'] {
  const {nackedVersions, known} = state
  // A resource that is still wanted was removed only to be sent again: that repairs no other one.
  if (nackedVersions.size === 0 || removed.every(name => known.base.has(name))) return nackedVersions
  return withNacked(state, withheldNow(state), nacked => ({...nacked, failures: 0, retryAt: 0}))
}

/** The types with the versions whose retry is due among their suspects: each is sent in a response of its own. */
export function releaseRetries(types: TypeStates, now: Date): TypeStates {
  const released = new Map([...types].map(([typeUrl, state]) => [typeUrl, releaseDue(state, now)]))
  return [...released].every(([typeUrl, state]) => types.get(typeUrl) === state) ? types : released
}

/** When the next retry is due; undefined where no wanted version is withheld. */
export function nextRetry(types: TypeStates): Date | undefined {
  const times = [...types.values()].flatMap(state => withheldNow(state).map(({retryAt}) => retryAt))
  return times.length === 0 ? undefined : new Date(times.reduce((a, b) => Math.min(a, b)))
}

function releaseDue(state: TypeState, now: Date): TypeState {
  const due = withheldNow(state).filter(({retryAt}) => retryAt <= now.getTime())
  if (due.length === 0) return state
  const nackedVersions = withNacked(state, due, nacked => ({...nacked, retryAt: undefined}))
  return {...state, nackedVersions, suspects: [...state.suspects, ...due.map(({name, version}) => new Map([[name, version]]))]}
}

/** The versions that are wanted, lacking and withheld. */
function withheldNow(state: TypeState): readonly {readonly name: string; readonly version: string; readonly retryAt: number}[] {
  return [...state.nackedVersions].flatMap(([name, versions]) => {
    const version = state.known.differing.has(name) ? state.known.base.get(name)?.version : undefined
    const retryAt = version === undefined ? undefined : versions.get(version)?.retryAt
    return version === undefined || retryAt === undefined ? [] : [{name, version, retryAt}]
  })
}

function withNacked(
  {nackedVersions}: TypeState,
  changed: readonly {readonly name: string; readonly version: string}[],
  change: (nacked: NackedVersion) => NackedVersion,
): TypeState['nackedVersions'] {
  const next = new Map(nackedVersions)
  for (const {name, version} of changed) {
    const nacked = next.get(name)?.get(version)
    if (nacked !== undefined) next.set(name, new Map(next.get(name)).set(version, change(nacked)))
  }

  return next
}
