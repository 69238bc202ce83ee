/**
 * When a Service that the 2021 program made becomes Atlas's. It leads to that program's Envoy, and goes on doing so until the
 * cluster's own new Envoy has acknowledged its configuration: then whoever dials it is led to ours (docs/how-to/migrate-from-goatlas.md).
 */
import {isMarked} from '../../manifest/derived.js'
import {type Fleet, type ObjectKey, isBroken} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner, derivedOwner, objectKey, parseObjectKey} from '../../model/names.js'
import type {ProxyReport} from '../../model/report.js'
import type {ProxyTimeouts} from '../../model/settings.js'

/** Whether the object is to go on leading to the 2021 program's Envoy at `now`. */
export function isHeld(fleet: Fleet, object: ObjectKey, now: Date): boolean {
  return isForeignService(fleet, object) && !(takenOverAt(fleet, object) <= now.getTime())
}

/** When the first of what is held is to become Atlas's, as far as can be told now; milliseconds since 1970, Infinity for never. */
export function takeoverDue(fleet: Fleet): number {
  let due = Infinity
  for (const object of fleet.derived.keys()) if (isForeignService(fleet, object)) due = Math.min(due, takenOverAt(fleet, object))
  return due
}

/** Whether a cluster's registration, or what was remembered of it, can't be read: then nothing of what leads to it is changed. */
export function isAtFault(fleet: Fleet, owner: Owner): boolean {
  return (
    isBroken(fleet, 'registration', owner) || isBroken(fleet, 'object', objectKey('Service', owner)) || isBroken(fleet, 'record', owner)
  )
}

function isForeignService(fleet: Fleet, object: ObjectKey): boolean {
  const present = fleet.derived.get(object)
  return present !== undefined && parseObjectKey(object).kind === 'Service' && !isMarked(present)
}

/**
 * The evidence is what open streams of living server replicas have acknowledged. The observability Envoy must be there to be led to,
 * and needs a round of its health check before it sends anything to an Envoy that was not there before.
 */
function takenOverAt(fleet: Fleet, object: ObjectKey): number {
  const owner = derivedOwner(object)
  if (owner === undefined || owner === 'zone' || fleet.settings === undefined || isAtFault(fleet, owner)) return Infinity
  const living = (fleet.replicas ?? []).flatMap(replica => fleet.reports.get(replica)?.report.proxies ?? []).filter(hasAcknowledged)
  if (!living.some(({cluster}) => cluster === OBSERVABILITY)) return Infinity
  const since = living
    .filter(({cluster}) => cluster === owner)
    .map(({connectedSince, lastChange = connectedSince}) => Date.parse(lastChange))
  return Math.min(Infinity, ...since) + roundOf(fleet.settings.timeouts)
}

/** Its door is open, with the certificate that belongs to it, and nothing is left to be said. */
function hasAcknowledged({types, frozen}: ProxyReport): boolean {
  const has = (wanted: string): boolean => types.some(({type, acknowledged}) => type === wanted && acknowledged > 0)
  return frozen === undefined && has('Listener') && has('Secret') && types.every(({state}) => state === 'synced')
}

/** The longest time between two checks, milliseconds: its jitter is 15 % (envoy/cluster.ts). */
function roundOf({healthInterval, healthTimeout}: ProxyTimeouts): number {
  return (healthInterval * 1.15 + healthTimeout) * 1000
}
