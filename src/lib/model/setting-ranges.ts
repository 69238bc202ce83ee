/**
 * What `init` accepts for each duration among the settings. Stored settings are read without these rules: an upgrade stops no server
 * because of what an earlier release accepted, and a test may shorten a life to seconds.
 */
import {parseDuration, renderDuration} from './duration.js'
import {AtlasError, invalid} from './errors.js'
import type {Lifetimes, ProxyTimeouts} from './settings.js'

/** Seconds. */
interface Range {
  readonly min: number
  readonly max: number
}

export type SettingName = keyof Lifetimes | keyof ProxyTimeouts

const HOUR = 3600
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/**
 * Certificates are renewed at a third to a half before their end: below an hour, one restart of the server is enough to let them end,
 * and `30s` is more likely a slip of the pen for `30d` than meant.
 */
const ranges: Readonly<Record<SettingName, Range>> = {
  root: {min: 30 * DAY, max: 100 * YEAR},
  issuer: {min: DAY, max: 50 * YEAR},
  identity: {min: HOUR, max: YEAR},
  credential: {min: DAY, max: 20 * YEAR},
  suspension: {min: HOUR, max: YEAR},
  superseded: {min: HOUR, max: YEAR},
  connect: {min: 0.1, max: 60},
  adsConnection: {min: 1, max: 7 * DAY},
  thanosConnection: {min: 1, max: DAY},
  keepaliveInterval: {min: 1, max: HOUR},
  keepaliveTimeout: {min: 0.1, max: 60},
  healthInterval: {min: 0.1, max: HOUR},
  healthTimeout: {min: 0.1, max: 60},
}

/** Every duration that `init` sets. */
export const settingNames = Object.keys(ranges) as readonly SettingName[]

/** The shortest and the longest duration that `init` accepts for a setting, such as `1h to 1y`. */
export function rangeOf(name: SettingName): string {
  return `${renderDuration(ranges[name].min)} to ${renderDuration(ranges[name].max)}`
}

/** The longest duration that `init` accepts for a setting, in seconds. */
export function longestOf(name: SettingName): number {
  return ranges[name].max
}

/** The duration `text` for the setting `name`, in seconds. @throws AtlasError `invalid`, with the range, where it is outside of that */
export function parseSetting(name: SettingName, text: string, what: string): number {
  const {min, max} = ranges[name]
  const duration = parseDuration(text, what)
  if (duration < min || duration > max) throw invalid(what, `from ${rangeOf(name)}`, text)
  return duration
}

/**
 * A certificate that lives as long as its issuer would outlive it.
 * @throws AtlasError `invalid`, naming both lifetimes, where one is not shorter than that of its issuer
 */
export function requireOrder(lifetimes: Lifetimes): void {
  const pairs = [
    ['issuer', 'root'],
    ['identity', 'issuer'],
    ['credential', 'root'],
  ] as const
  for (const [signed, issuer] of pairs) {
    if (lifetimes[signed] < lifetimes[issuer]) continue
    const [shorter, longer] = [renderDuration(lifetimes[signed]), renderDuration(lifetimes[issuer])]
    throw new AtlasError('invalid', `the life of ${signed}, ${shorter}, must be shorter than that of ${issuer}, ${longer}`, {
      hint: 'the root lives longest; it signs the issuer, and the issuer identities: set the longer ones in the same command',
    })
  }
}
