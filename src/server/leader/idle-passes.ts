/**
 * Counts passes of the reconciler that change nothing: they find nothing to write, or what they write has no effect, such as a field
 * that a policy of the API server removes again. The more there are in a row, the later the next one begins.
 */
import {type BackOff, backOff} from '../../lib/model/back-off.js'
import type {Change} from '../../lib/model/change.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {valueIn} from '../../lib/model/kinds.js'
import {sameValue} from '../../lib/ops/commit.js'
import type {FleetUpdate} from '../fleet/current-fleet.js'

export interface IdlePasses {
  began(): void
  ended(pass: {readonly hasWritten: boolean}): void
  changed(update: FleetUpdate): void
  /** Another server led meanwhile. */
  forget(): void
  /** The next pass begins at the earliest after so many milliseconds. */
  wait(): number
}

/** @param times of the wait, milliseconds: after the first such pass, and the longest */
export function openIdlePasses(times: BackOff): IdlePasses {
  let count = 0
  /** Whether the fleet has changed since the last pass began. */
  let isChanged = false
  return {
    began() {
      isChanged = false
    },
    ended({hasWritten}) {
      count = hasWritten && isChanged ? 0 : count + 1
    },
    changed({before, changes}) {
      if (!changes.some(change => hasEffect(before, change))) return
      isChanged = true
      count = 0
    },
    forget() {
      count = 0
    },
    wait: () => backOff(count, times),
  }
}

/** A write that another program undoes at once changes a revision, or repeats a value. A report is never the reconciler's. */
function hasEffect(before: Fleet, change: Change): boolean {
  if (change.kind === 'revision') return false
  return change.kind === 'report' || !sameValue<unknown>(valueIn(before, change), change.value)
}
