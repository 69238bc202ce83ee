/**
 * When Atlas takes over a Service of the 2021 program. Until the new Envoy of the cluster has acknowledged its configuration, the
 * Service keeps its selector and leads to that program's Envoy (docs/how-to/migrate-from-goatlas.md).
 */
import {isMarked} from '../../manifest/derived.js'
import {type Fleet, type ObjectKey, isUnreadable} from '../../model/fleet.js'
import {indexBy} from '../../model/index-by.js'
import {OBSERVABILITY, derivedOwner, parseObjectKey} from '../../model/names.js'
import type {ProxyReport} from '../../model/report.js'
import type {ProxyTimeouts} from '../../model/settings.js'

/** Whether the object is a Service of the 2021 program that must not be changed yet. */
export function isHeld(fleet: Fleet, object: ObjectKey, now: Date): boolean {
  const present = fleet.derived.get(object)
  return present !== undefined && isForeignService(object, present) && !(takenOverAt(fleet, object) <= now.getTime())
}

/** When the first such Service can be taken over, by what is known now; milliseconds since 1970, Infinity for never. */
export function takeoverDue(fleet: Fleet): number {
  let due = Infinity
  for (const object of byForeignness(fleet.derived).get(true) ?? []) due = Math.min(due, takenOverAt(fleet, object))
  return due
}

function isForeignService(object: ObjectKey, present: string): boolean {
  return parseObjectKey(object).kind === 'Service' && !isMarked(present)
}

/** Each pass of the reconciler asks, and few or none of the objects are foreign. */
const byForeignness = indexBy<ObjectKey, string, boolean>(isForeignService)

/**
 * By what open streams of living replicas have acknowledged: the observability Envoy must be connected, and after the cluster's Envoy has
 * acknowledged, the observability Envoy needs one round of its health check before it sends requests there.
 */
function takenOverAt(fleet: Fleet, object: ObjectKey): number {
  const owner = derivedOwner(object)
  if (owner === undefined || owner === 'zone' || fleet.settings === undefined || isUnreadable(fleet, owner)) return Infinity
  const living = (fleet.replicas ?? []).flatMap(replica => fleet.reports.get(replica)?.report.proxies ?? []).filter(hasAcknowledged)
  if (!living.some(({cluster}) => cluster === OBSERVABILITY)) return Infinity
  const since = living
    .filter(({cluster}) => cluster === owner)
    .map(({connectedSince, lastChange = connectedSince}) => Date.parse(lastChange))
  return Math.min(Infinity, ...since) + roundOf(fleet.settings.timeouts)
}

/** Whether the Envoy has its listeners and certificates, and has acknowledged everything. */
function hasAcknowledged({types, frozen}: ProxyReport): boolean {
  const has = (name: string): boolean => types.some(({type, acknowledged}) => type === name && acknowledged > 0)
  return frozen === undefined && has('Listener') && has('Secret') && types.every(({state}) => state === 'synced')
}

/** The longest time that one health check takes, from the end of the check before; milliseconds. Its jitter is 15 % (envoy/cluster.ts). */
function roundOf({healthInterval, healthTimeout}: ProxyTimeouts): number {
  return (healthInterval * 1.15 + healthTimeout) * 1000
}
