/** Which renewals the leader lets through in each pass (ops/renewals.ts), and what is reported while they wait. */
import {renderDuration} from '../../lib/model/duration.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {someOf} from '../../lib/model/listing.js'
import type {Owner} from '../../lib/model/names.js'
import type {Rotation} from '../../lib/model/rotation.js'
import type {Clock} from '../../lib/ops/dependencies.js'
import {lookAhead} from '../../lib/ops/due.js'
import {type RenewalPlan, agedOwners, planRenewals} from '../../lib/ops/renewals.js'
import type {Evidence} from '../../lib/ops/rotation/evidence.js'
import {type UsedCredentials, nextSuperseded, usedCredentials} from '../../lib/ops/superseded.js'
import {inShortTurns} from '../../lib/store/short-turns.js'

/** Milliseconds. */
export interface RenewalTimes {
  /** How long the next tenth of the renewals waits for Envoys that do not acknowledge the one before. */
  readonly acknowledgeMs: number
  /** How often a rotation of the issuer or the root is looked at in the first minutes of a stage; later it is a tenth as often. */
  readonly rotationMs: number
}

export const defaultRenewalTimes: RenewalTimes = {acknowledgeMs: 120_000, rotationMs: 2000}

/** What decides which renewals go on. */
export interface RenewalSources {
  /** Whether the clock is confirmed, or has held for long enough. */
  readonly isClockConfirmed: () => boolean
  /** By which a rotation goes on; undefined: not known yet. */
  readonly evidence: () => Evidence | undefined
  /** What `evidence` is made of and remembers; the caller iterates with pauses. */
  readonly evidenceAhead: () => Iterable<unknown>
}

export interface RenewalGate {
  /** Those of one pass, which must look at their owners. */
  take(fleet: Fleet): Promise<RenewalPlan & {readonly evidence: Evidence | undefined; readonly used: UsedCredentials | undefined}>
  /** Milliseconds until it is worth another look; undefined: no renewal waits, and no replaced credential comes to be refused. */
  wait(): number | undefined
  /** Why renewals wait for longer than they should, as a sentence. */
  failure(): string | undefined
  /** Another server leads, or led meanwhile: what the last pass has found does not count any more. */
  forget(): void
}

/** While renewals wait for acknowledgements, they are looked for this often, milliseconds. */
const LOOK = 2000
/** For so long a stage of a rotation is new, milliseconds: nearly all Envoys acknowledge within seconds. */
const NEW_STAGE = 300_000

/** Names in a message. */
const NAMES_MAX = 5

const nothing: RenewalPlan = {owners: new Set(), others: false, isWaiting: false, late: []}

/** No renewal has been let through yet. */
export function openRenewals(
  {isClockConfirmed, evidence, evidenceAhead}: RenewalSources,
  clock: Clock,
  {acknowledgeMs, rotationMs}: RenewalTimes,
): RenewalGate {
  const renewedBefore = new Set<Owner>()
  let plan: RenewalPlan | undefined
  let rotation: Rotation | undefined
  /** When a credential that was replaced is to be refused, milliseconds since 1970. */
  let refusedFrom = Infinity
  return {
    async take(fleet) {
      rotation = fleet.rotation
      if (fleet.settings === undefined) return {...nothing, evidence: undefined, used: undefined}
      await inShortTurns(lookAhead(fleet))
      await inShortTurns(evidenceAhead())
      const [known, now] = [evidence(), clock.now()]
      const aged = await inShortTurns(agedOwners(fleet, fleet.settings, now, known))
      const isConfirmed = isClockConfirmed()
      const facts = {proxies: known?.proxies ?? [], evidence: known, isClockConfirmed: isConfirmed, renewedBefore, acknowledgeMs}
      plan = planRenewals(fleet, fleet.settings, now, facts, aged)
      if (!isConfirmed && clock.clockDoubt?.() === undefined) for (const owner of plan.owners) renewedBefore.add(owner)
      const used = known && usedCredentials(known)
      refusedFrom = used === undefined ? Infinity : nextSuperseded(fleet, fleet.settings, used)
      return {...plan, evidence: known, used}
    },
    wait() {
      const untilRefused = refusedFrom === Infinity ? undefined : Math.max(LOOK, refusedFrom - clock.now().getTime())
      if (plan?.isWaiting === true) return Math.min(LOOK, rotation === undefined ? LOOK : rotationMs)
      if (rotation === undefined) return untilRefused
      return clock.now().getTime() - Date.parse(rotation.since) < NEW_STAGE ? rotationMs : 10 * rotationMs
    },
    forget() {
      plan = undefined
      rotation = undefined
      refusedFrom = Infinity
    },
    failure() {
      const late = plan?.late ?? []
      if (late.length === 0) return undefined
      return `renewals wait: ${someOf(late, NAMES_MAX)} did not acknowledge a new identity within ${renderDuration(acknowledgeMs / 1000)}. Certificates in the last sixth of their life are renewed all the same`
    },
  }
}
