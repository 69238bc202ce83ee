/** The log lines about the fleet: what operators change in it, what breaks, and what is repaired. Events on the objects: leader/events.ts. */
import {describe} from '../../lib/model/change.js'
import {type Fault, type Subject, faultsBetween} from '../../lib/model/fleet.js'
import type {FleetObserver} from './current-fleet.js'
import type {Log} from '../log.js'

/** Changes of other kinds are the servers' own work. */
const CHANGED_BY_OPERATORS: ReadonlySet<string> = new Set(['registration', 'settings'])

/** Faults that a server finds when it starts are logged once, like those that come later. */
export function openFleetLog(log: Log): FleetObserver {
  function logBroken(subject: Subject, {object, source, key, message}: Fault): void {
    log.warn('broken; serving its last valid state', {subject, object: source ?? object, key, error: message})
  }

  return {
    started(fleet) {
      for (const [subject, fault] of fleet.faults) logBroken(subject, fault)
    },
    changed({before, after, changes}) {
      const {broken, repaired} = faultsBetween(before, after)
      for (const [subject, fault] of broken) logBroken(subject, fault)
      for (const [subject, {object, source}] of repaired) log.info('repaired', {subject, object: source ?? object})
      for (const change of changes) if (CHANGED_BY_OPERATORS.has(change.kind)) log.info(describe(change))
    },
  }
}
