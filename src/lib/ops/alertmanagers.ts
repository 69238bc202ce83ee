/** The stored list of Alertmanagers, by what is found in Kubernetes: a list that is uncertain changes nothing. */
import {ALERTMANAGERS_MAX, type Alertmanager} from '../model/alertmanager.js'
import type {Change} from '../model/change.js'
import {type Fleet, isBroken} from '../model/fleet.js'
import {parseIpAddress} from '../model/ip-address.js'
import {byText} from '../model/listing.js'
import {sameValue} from './commit.js'

/** What the leader has found, and since when each name of the stored list is gone; both by the same clock, milliseconds. */
export interface FoundAlertmanagers {
  readonly found: readonly Alertmanager[]
  readonly goneSince: ReadonlyMap<string, number>
  readonly now: number
  /** A pod that is deleted and made again, such as for another node, keeps its place for so long. */
  readonly keptMs: number
}

/**
 * The change of the stored list; none while nothing is found, or too many are. Without a selector nothing is stored.
 * @param looked undefined: the leader has not looked yet, or can't
 */
export function planAlertmanagers(fleet: Fleet, looked: FoundAlertmanagers | undefined): readonly Change[] {
  const {settings, alertmanagers: stored} = fleet
  if (settings === undefined || isBroken(fleet, 'alertmanagers')) return []
  if (settings.alertmanagerSelector === undefined) return stored === undefined ? [] : [{kind: 'alertmanagers', value: undefined}]
  if (looked === undefined || looked.found.length === 0 || looked.found.length > ALERTMANAGERS_MAX) return []
  const value = withKept(stored ?? [], looked)
  return sameValue(stored, value) ? [] : [{kind: 'alertmanagers', value}]
}

/**
 * Names of the stored list that are not found, and may come back under the same host name: the pods of a StatefulSet. An IP address may
 * be another pod's soon.
 */
export function mayReturn(stored: readonly Alertmanager[], found: readonly Alertmanager[]): readonly Alertmanager[] {
  const names = new Set(found.map(({name}) => name))
  return stored.filter(({name, host}) => !names.has(name) && parseIpAddress(host) === undefined)
}

function withKept(stored: readonly Alertmanager[], {found, goneSince, now, keptMs}: FoundAlertmanagers): readonly Alertmanager[] {
  const kept = mayReturn(stored, found).filter(({name}) => now - (goneSince.get(name) ?? now) < keptMs)
  const all = [...found, ...kept.slice(0, ALERTMANAGERS_MAX - found.length)]
  return all.sort((a, b) => byText(a.name, b.name))
}
