/** Which renewals the leader lets through in each pass (ops/renewals.ts), and what is reported while they wait. */
import {renderDuration} from '../../lib/model/duration.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Owner} from '../../lib/model/names.js'
import type {ProxyReport} from '../../lib/model/report.js'
import type {Clock} from '../../lib/ops/dependencies.js'
import {type RenewalPlan, planRenewals} from '../../lib/ops/renewals.js'
import {lookAheadInTurns} from './plan-in-turns.js'

/** Milliseconds. */
export interface RenewalTimes {
  /** How long the next tenth of the renewals waits for Envoys that do not acknowledge the one before. */
  readonly acknowledgeMs: number
}

export const defaultRenewalTimes: RenewalTimes = {acknowledgeMs: 120_000}

/** What decides which renewals go on. */
export interface RenewalSources {
  /** The connected Envoys, by the newest reports. */
  readonly proxies: () => readonly ProxyReport[]
  /** Whether the clock is confirmed, or has held for long enough. */
  readonly isClockConfirmed: () => boolean
}

export interface RenewalGate {
  /** Those of one pass, which must look at their owners. */
  take(fleet: Fleet): Promise<RenewalPlan>
  /** Milliseconds until it is worth another look; undefined: no renewal waits. */
  wait(): number | undefined
  /** Why renewals wait for longer than they should, as a sentence. */
  failure(): string | undefined
}

/** While renewals wait for acknowledgements, they are looked for this often, milliseconds. */
const LOOK = 2000

/** Names in a message. */
const NAMES_MAX = 5

const nothing: RenewalPlan = {owners: new Set(), others: false, isWaiting: false, late: []}

/** No renewal has been let through yet. */
export function openRenewals({proxies, isClockConfirmed}: RenewalSources, clock: Clock, {acknowledgeMs}: RenewalTimes): RenewalGate {
  const renewedBefore = new Set<Owner>()
  let plan: RenewalPlan | undefined
  return {
    async take(fleet) {
      if (fleet.settings === undefined) return nothing
      await lookAheadInTurns(fleet)
      const isConfirmed = isClockConfirmed()
      const facts = {proxies: proxies(), isClockConfirmed: isConfirmed, renewedBefore, acknowledgeMs}
      plan = planRenewals(fleet, fleet.settings, clock.now(), facts)
      if (!isConfirmed && clock.clockDoubt?.() === undefined) for (const owner of plan.owners) renewedBefore.add(owner)
      return plan
    },
    wait: () => (plan?.isWaiting === true ? LOOK : undefined),
    failure() {
      const late = plan?.late ?? []
      if (late.length === 0) return undefined
      const more = late.length > NAMES_MAX ? ` and ${late.length - NAMES_MAX} more` : ''
      return `renewals wait: ${late.slice(0, NAMES_MAX).join(', ')}${more} did not acknowledge a new identity within ${renderDuration(acknowledgeMs / 1000)}. Certificates in the last sixth of their life are renewed all the same`
    },
  }
}
