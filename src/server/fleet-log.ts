/** What people do to the fleet, and what breaks and is repaired in it, told to the log. Beside the objects leader/events.ts says it. */
import {type Change, describe} from '../lib/model/change.js'
import {type Fault, type Fleet, type Subject, faultsBetween} from '../lib/model/fleet.js'
import type {Log} from './log.js'

/** What is at fault when a server starts: said once, like what breaks later. */
export function logFleetAtStart(fleet: Fleet, log: Log): void {
  for (const [subject, fault] of fleet.faults) tellFault(subject, fault, log)
}

/** The rest is the server's own work. */
export function logChanges(before: Fleet, after: Fleet, changes: readonly Change[], log: Log): void {
  const {broken, repaired} = faultsBetween(before, after)
  for (const [subject, fault] of broken) tellFault(subject, fault, log)
  for (const [subject, {object, source}] of repaired) log.info('repaired', {subject, object: source ?? object})
  for (const change of changes) if (change.kind === 'registration' || change.kind === 'settings') log.info(describe(change))
}

function tellFault(subject: Subject, {object, source, key, message}: Fault, log: Log): void {
  log.warn('broken; what was known stays in force', {subject, object: source ?? object, key, error: message})
}
