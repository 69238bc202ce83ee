/** Whether a rotation waits for so long that a person should look. */
import type {Fleet} from '../../model/fleet.js'
import {describeStage} from '../../model/rotation.js'
import {isPlanned} from './waited.js'

/**
 * How long the clients of the internal ports have to take up a replaced Secret, milliseconds: kubelet refreshes the files within two
 * minutes, and what a client has loaded cannot be seen from here.
 */
export const CLIENTS_GRACE = 3_600_000

/** An Envoy that is connected acknowledges within seconds, and one that was cut off comes back within minutes. Milliseconds. */
const LATE = 15 * 60_000

/** For how long the present stage has waited, milliseconds; 0 where no stage waits. */
export function rotationWaits({rotation}: Fleet, now: Date): number {
  if (rotation === undefined || rotation.waitingFor.length === 0) return 0
  return Math.max(0, now.getTime() - Date.parse(rotation.since))
}

/** A sentence without its full stop; undefined: no stage waits, or not for long. */
export function lateRotation(fleet: Fleet, now: Date): string | undefined {
  const {rotation} = fleet
  if (rotation === undefined || rotationWaits(fleet, now) < LATE) return undefined
  // The hour that clients of the internal ports have, and nodes that were connected, is planned: it needs no person.
  if (rotation.waitingFor.every(each => isPlanned(each)) && rotationWaits(fleet, now) < LATE + CLIENTS_GRACE) return undefined
  const [first = '', ...others] = rotation.waitingFor
  const more = others.length === 0 ? '' : `; and ${others.length} more`
  return `the rotation of the ${rotation.part} waits at ${describeStage(rotation)} since ${rotation.since}: ${first}${more}`
}
