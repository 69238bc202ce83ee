/** What people do to the fleet, and what breaks and is mended in it, told to the log and, by the leader, beside the objects themselves. */
import {type Change, describe} from '../lib/model/change.js'
import {messageOf} from '../lib/model/errors.js'
import {type Fault, type Fleet, type ObjectKey, type Subject} from '../lib/model/fleet.js'
import {objectNames} from '../lib/model/names.js'
import type {Refusal} from '../lib/store/refused.js'
import type {Announcement, StateStore} from '../lib/store/store.js'
import {whyUnsigned} from '../lib/ops/reconcile.js'
import {type Log, bounded} from './log.js'

/** What is at fault when a server starts: said once, like what breaks later. */
export function tellAtStart(fleet: Fleet, log: Log): void {
  for (const [subject, fault] of fleet.faults) tellFault(subject, fault, log)
}

/** The rest is the server's own work. */
export function tellOf(before: Fleet, after: Fleet, changes: readonly Change[], log: Log): void {
  const {broken, mended} = differenceOf(before, after)
  for (const [subject, fault] of broken) tellFault(subject, fault, log)
  for (const [subject, {object, source}] of mended) log.info('mended', {subject, object: source ?? object})
  for (const change of changes) if (change.kind === 'registration' || change.kind === 'settings') log.info(describe(change))
}

function tellFault(subject: Subject, {object, source, key, message}: Fault, log: Log): void {
  log.warn('broken; what was known stays in force', {subject, object: source ?? object, key, error: message})
}

/** What has broken, or in another way than before, and what is not at fault any more. What stays as broken as it was is no news. */
function differenceOf(before: Fleet, after: Fleet): Readonly<Record<'broken' | 'mended', readonly (readonly [Subject, Fault])[]>> {
  if (before.faults === after.faults) return {broken: [], mended: []}
  return {
    broken: [...after.faults].filter(([subject, fault]) => !isSame(fault, before.faults.get(subject))),
    mended: [...before.faults].filter(([subject]) => !after.faults.has(subject)),
  }
}

function isSame(fault: Fault, other: Fault | undefined): boolean {
  return fault.object === other?.object && fault.key === other.key && fault.message === other.message && fault.source === other.source
}

export interface Announcer {
  /** An object can't be written. */
  refused(refusal: Refusal): void
  /** What stands as it is when this server begins to lead: said before, as a rule. */
  begin(fleet: Fleet): void
  changed(before: Fleet, after: Fleet, changes: readonly Change[]): void
}

/** Says beside objects what has become of them; failing to is logged and costs nothing else. */
export function openAnnouncer(store: StateStore, log: Log): Announcer {
  const say = (object: ObjectKey, announcement: Announcement): void => {
    store.announce(object, announcement).catch((error: unknown) => {
      log.warn('could not be said beside the object', {object, error: messageOf(error)})
    })
  }

  const broken = ({object, key, message}: Fault, {isNew}: {readonly isNew: boolean}): void => {
    say(object, {type: 'Warning', reason: 'Broken', message: bounded(`${key}: ${message}. What was known before stays in force.`), isNew})
  }

  /** Whoever registers a cluster that gets nothing looks at the registration first. */
  const unsigned = (fleet: Fleet): void => {
    const why = whyUnsigned(fleet)
    const waiting = why === undefined ? [] : [...fleet.registrations.keys()].filter(name => !fleet.credentials.has(name))
    for (const name of waiting)
      say(`Service/${objectNames.registration(name)}`, {type: 'Warning', reason: 'NotSigned', message: why ?? '', isNew: false})
  }

  return {
    refused({object, error}) {
      say(object, {type: 'Warning', reason: 'Refused', message: bounded(`it can not be written: ${error.message}`), isNew: true})
    },

    begin(fleet) {
      for (const fault of fleet.faults.values()) broken(fault, {isNew: false})
      unsigned(fleet)
    },

    changed(before, after, changes) {
      if (changes.some(({kind}) => kind === 'registration' || kind === 'authority')) unsigned(after)
      const difference = differenceOf(before, after)
      for (const [, fault] of difference.broken) broken(fault, {isNew: true})
      for (const [, {object, key}] of difference.mended)
        say(object, {type: 'Normal', reason: 'Mended', message: `${key} can be read again`, isNew: true})
      for (const change of changes) {
        if (change.kind !== 'credential' || change.value === undefined || change.owner === 'atlas') continue
        if (before.credentials.has(change.owner) || before.faults.has(`credential/${change.owner}`)) continue
        say(`Service/${objectNames.registration(change.owner)}`, {
          type: 'Normal',
          reason: 'Registered',
          message: `the ADS credential is in Secret ${objectNames.credential(change.owner)}; its Envoy may join`,
          isNew: true,
        })
      }
    },
  }
}
