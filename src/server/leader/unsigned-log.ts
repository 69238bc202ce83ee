/** Reports why certificates are not signed, once for each reason: an operator who waits for one looks into the log and at the Events. */
import type {Fleet} from '../../lib/model/fleet.js'
import type {Clock} from '../../lib/ops/dependencies.js'
import {unsignedReasons} from '../../lib/ops/signing.js'
import type {Log} from '../log.js'

const HINT = 'check the clock of this machine, or restore what is missing from a backup; a server never makes a root'

/**
 * Called before each pass of the reconciler. A clock that is doubted is logged by server/clock.ts.
 * @param changed called when there is a reason that was not there before
 */
export function openUnsignedLog(log: Log, clock: Clock, changed: (fleet: Fleet) => void): (fleet: Fleet) => void {
  let logged: string | undefined
  return fleet => {
    if (clock.clockDoubt?.() !== undefined) return
    const reasons = unsignedReasons(fleet, clock)
    const why = reasons.length === 0 ? undefined : reasons.join('; ')
    if (why !== undefined && why !== logged) {
      log.error(why, {hint: HINT})
      changed(fleet)
    }
    if (why === undefined && logged !== undefined) log.info('certificates are signed again')
    logged = why
  }
}
