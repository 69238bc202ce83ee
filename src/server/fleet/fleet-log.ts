/**
 * The log lines about the fleet: what operators change in it, whichever process has written it, what breaks, and what is repaired. Events on
 * the objects: leader/events.ts.
 */
import {isDeepStrictEqual} from 'node:util'
import type {CertifiedKey} from '../../lib/model/authority.js'
import type {Change} from '../../lib/model/change.js'
import {type Fault, type Fleet, type Subject, faultsBetween} from '../../lib/model/fleet.js'
import {someOf} from '../../lib/model/listing.js'
import {describeStage} from '../../lib/model/rotation.js'
import {type Settings, defaultSettings} from '../../lib/model/settings.js'
import type {Log, LogLevel} from '../log.js'
import {openMinuteBudget} from '../minute-budget.js'
import type {FleetObserver, FleetUpdate} from './current-fleet.js'
import {newsOfRecord} from './record-news.js'

/** More lines about changes are counted in one line at the end of the minute: a Git tool may write a fleet of thousands at once. */
export const CHANGES_PER_MINUTE = 100

/** So many clusters are named in a line, and the others counted. */
const NAMED = 10

/** What has happened to a cluster, or to what all have in common. */
interface News {
  readonly level: LogLevel
  /** The same text of several clusters makes one line. */
  readonly text: string
  readonly owner?: string
}

/** Faults that a server finds when it starts are logged once, like those that come later. */
export function openFleetLog(log: Log): FleetObserver {
  const budget = openMinuteBudget(CHANGES_PER_MINUTE, (_, lines) => log.warn('log lines about changes are left out', {lines}))

  function logBroken(subject: Subject, {object, source, key, message}: Fault): void {
    log.warn('broken; serving its last valid state', {subject, object: source ?? object, key, error: message})
  }

  return {
    started(fleet) {
      for (const [subject, fault] of fleet.faults) logBroken(subject, fault)
    },
    changed(update) {
      const {broken, repaired} = faultsBetween(update.before, update.after)
      for (const [subject, fault] of broken) logBroken(subject, fault)
      for (const [subject, {object, source}] of repaired) log.info('repaired', {subject, object: source ?? object})
      for (const {level, text, owners} of linesOf(update))
        // What is cut off is never crowded out by other changes, and one update has few such lines.
        if (level === 'warn' || budget.take('')) log[level](text, owners.length === 0 ? {} : {clusters: someOf(owners, NAMED)})
    },
  }
}

function linesOf({before, after, changes}: FleetUpdate): readonly (News & {readonly owners: readonly string[]})[] {
  const lines = new Map<string, News & {owners: string[]}>()
  for (const news of changes.flatMap(change => newsOf(before, after, change))) {
    const line = lines.get(news.text) ?? {...news, owners: []}
    if (news.owner !== undefined && !line.owners.includes(news.owner)) line.owners.push(news.owner)
    lines.set(news.text, line)
  }

  return [...lines.values()]
}

/** Empty for the servers' own work, such as a report. */
function newsOf(before: Fleet, after: Fleet, change: Change): readonly News[] {
  const info = (text: string, owner?: string): readonly News[] => [{level: 'info', text, ...(owner !== undefined && {owner})}]
  switch (change.kind) {
    case 'registration': {
      if (change.value === undefined) return info('the registration was deleted', change.name)
      const earlier = before.registrations.get(change.name)
      if (isDeepStrictEqual(earlier, change.value)) return []
      return info(earlier === undefined ? 'registered' : 'the registration was changed', change.name)
    }

    case 'record': {
      const news = newsOfRecord(before.records.get(change.owner), change.value)
      if (news === undefined) return []
      return [{level: news.type === 'Warning' ? 'warn' : 'info', text: `${wordsOf[news.reason] ?? ''}${news.message}`, owner: change.owner}]
    }

    case 'identity':
      return isReplaced(before.identities.get(change.owner), change.value) ? info('rotated: a new identity was issued', change.owner) : []
    case 'credential':
      return isReplaced(before.credentials.get(change.owner), change.value)
        ? info('rotated: a new ADS credential was issued, to be applied in the cluster', change.owner)
        : []
    case 'rotation':
      return rotationNews(before, after).flatMap(text => info(text))
    case 'settings':
      return settingsNews(before.settings, change.value).flatMap(text => info(text))
    default:
      return []
  }
}

/** An object that could not be read, and can be again, brings all that it holds once more: that is no news. */
function isReplaced(before: CertifiedKey | undefined, after: CertifiedKey | undefined): boolean {
  return before !== undefined && after !== undefined && before.certificate !== after.certificate
}

/** Before the message of news whose message does not say it. */
const wordsOf: Readonly<Record<string, string>> = {
  Revoked: 'revoked: ',
  Restored: 'restored: ',
  Suspended: 'suspended: ',
  CredentialRevoked: 'revoked: ',
}

/** A rotation writes what it waits for, too, which is no line of the log. */
function rotationNews({rotation: before}: Fleet, {rotation: after}: Fleet): readonly string[] {
  if (after === undefined) return before === undefined ? [] : [`the rotation of the ${before.part} has ended`]
  if (before?.startedAt !== after.startedAt) return [`the rotation of the ${after.part} has begun, ${describeStage(after)}`]
  return before.stage === after.stage ? [] : [`the rotation of the ${after.part} goes on, ${describeStage(after)}`]
}

function settingsNews(before: Settings | undefined, after: Settings | undefined): readonly string[] {
  if (after === undefined) return ['the settings were deleted']
  if (before === undefined) return ['the settings were written']
  const keys = (Object.keys({...defaultSettings, ...after}) as (keyof Settings)[]).filter(
    key => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  )
  return keys.length === 0 ? [] : [`the settings were changed: ${keys.join(', ')}`]
}
