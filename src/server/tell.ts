/** What people do to the fleet, and what breaks and is mended in it, told to the log and, by the leader, beside the objects themselves. */
import {type Change, describe, reduce} from '../lib/model/change.js'
import {messageOf} from '../lib/model/errors.js'
import {type Fault, type Fleet, type ObjectKey, type Subject} from '../lib/model/fleet.js'
import {objectNames} from '../lib/model/names.js'
import type {Announcement, StateStore} from '../lib/store/store.js'
import {whyUnsigned} from '../lib/ops/reconcile.js'
import {type Log, bounded} from './log.js'

/** What is at fault when a server starts: said once, like what breaks later. */
export function tellAtStart(fleet: Fleet, log: Log): void {
  for (const [subject, fault] of fleet.faults) tellFault(subject, fault, log)
}

/** The rest is the server's own work. */
export function tellOf(changes: readonly Change[], log: Log): void {
  for (const change of changes) {
    if (change.kind === 'fault' && change.value !== undefined) tellFault(change.subject, change.value, log)
    else if (change.kind === 'fault' || change.kind === 'registration' || change.kind === 'settings') log.info(describe(change))
  }
}

function tellFault(subject: Subject, {object, source, key, message}: Fault, log: Log): void {
  log.warn('broken; what was known stays in force', {subject, object: source ?? object, key, error: message})
}

export interface Announcer {
  /** What stands as it is when this server begins to lead: what is broken is said again, under the same name. */
  begin(fleet: Fleet): void
  /** @param before the fleet that the changes were made to, @param after what they made of it */
  changed(before: Fleet, changes: readonly Change[], after: Fleet): void
}

/** Says beside objects what has become of them; failing to is logged and costs nothing else. */
export function openAnnouncer(store: StateStore, log: Log): Announcer {
  const say = (object: ObjectKey, announcement: Announcement): void => {
    store.announce(object, announcement).catch((error: unknown) => {
      log.warn('could not be said beside the object', {object, error: messageOf(error)})
    })
  }

  const broken = ({object, key, message}: Fault): void => {
    say(object, {type: 'Warning', reason: 'Broken', message: bounded(`${key}: ${message}. What was known before stays in force.`)})
  }

  /** Whoever registers a cluster that gets nothing looks at the registration first. */
  const unsigned = (fleet: Fleet): void => {
    const why = whyUnsigned(fleet)
    const waiting = why === undefined ? [] : [...fleet.registrations.keys()].filter(name => !fleet.credentials.has(name))
    for (const name of waiting) say(`Service/${objectNames.registration(name)}`, {type: 'Warning', reason: 'NotSigned', message: why ?? ''})
  }

  return {
    begin(fleet) {
      for (const fault of fleet.faults.values()) broken(fault)
      unsigned(fleet)
    },

    changed(before, changes, after) {
      if (changes.some(({kind}) => kind === 'registration' || kind === 'authority')) unsigned(after)
      let fleet = before
      for (const change of changes) {
        if (change.kind === 'fault' && change.value !== undefined) broken(change.value)
        const mended = mendedBy(fleet, change)
        if (mended !== undefined) say(mended.object, {type: 'Normal', reason: 'Mended', message: `${mended.key} can be read again`})
        if (change.kind === 'credential' && change.value !== undefined && change.owner !== 'atlas' && !fleet.credentials.has(change.owner))
          say(`Service/${objectNames.registration(change.owner)}`, {
            type: 'Normal',
            reason: 'Registered',
            message: `the ADS credential is in Secret ${objectNames.credential(change.owner)}; its Envoy may join`,
          })
        fleet = change.kind === 'fault' ? reduce(fleet, change) : fleet
      }
    },
  }
}

/** The fault that a change ends. */
function mendedBy(fleet: Fleet, change: Change): Fault | undefined {
  if (change.kind === 'registration') return fleet.faults.get(`registration/${change.name}`)
  if (change.kind === 'fault' && change.value === undefined) return fleet.faults.get(change.subject)
  return undefined
}
