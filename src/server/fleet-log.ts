/** What people do to the fleet, and what breaks and is mended in it, told to the log. Beside the objects leader/events.ts says it. */
import {type Change, describe} from '../lib/model/change.js'
import type {Fault, Fleet, Subject} from '../lib/model/fleet.js'
import type {Log} from './log.js'

/** What is at fault when a server starts: said once, like what breaks later. */
export function logFleetAtStart(fleet: Fleet, log: Log): void {
  for (const [subject, fault] of fleet.faults) tellFault(subject, fault, log)
}

/** The rest is the server's own work. */
export function logChanges(before: Fleet, after: Fleet, changes: readonly Change[], log: Log): void {
  const {broken, mended} = faultsBetween(before, after)
  for (const [subject, fault] of broken) tellFault(subject, fault, log)
  for (const [subject, {object, source}] of mended) log.info('mended', {subject, object: source ?? object})
  for (const change of changes) if (change.kind === 'registration' || change.kind === 'settings') log.info(describe(change))
}

/** What has broken, or in another way than before, and what is not at fault any more. What stays as broken as it was is no news. */
export function faultsBetween(before: Fleet, after: Fleet): Readonly<Record<'broken' | 'mended', readonly (readonly [Subject, Fault])[]>> {
  if (before.faults === after.faults) return {broken: [], mended: []}
  return {
    broken: [...after.faults].filter(([subject, fault]) => !isSame(fault, before.faults.get(subject))),
    mended: [...before.faults].filter(([subject]) => !after.faults.has(subject)),
  }
}

function isSame(fault: Fault, other: Fault | undefined): boolean {
  return fault.object === other?.object && fault.key === other.key && fault.message === other.message && fault.source === other.source
}

function tellFault(subject: Subject, {object, source, key, message}: Fault, log: Log): void {
  log.warn('broken; what was known stays in force', {subject, object: source ?? object, key, error: message})
}
