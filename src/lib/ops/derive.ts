/** What Kubernetes keeps beside the fleet, brought to what it should be: Services of the sidecars, values. Each is made from the fleet alone. */
import {derivedOf, derivedZone, isMarked, zoneIn} from '../manifest/derived.js'
import {renderZone} from '../manifest/zone.js'
import type {Change} from '../model/change.js'
import {type Fleet, type ObjectKey, isRegistered} from '../model/fleet.js'
import {type Owner, derivedOwner, objectKey, objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {isAtFault, isHeld} from './goatlas/takeover.js'
import type {OpsDependencies} from './dependencies.js'

export interface DerivedPlan {
  readonly written: readonly Change[]
  /** To be made when nobody is told to use them any more. */
  readonly removed: readonly Change[]
}

/** @param owners whose objects are looked at @param announces whether the zone is, too */
export function planDerived(
  fleet: Fleet,
  settings: Settings,
  {owners, announces}: {readonly owners: readonly Owner[]; readonly announces: boolean},
  dependencies: OpsDependencies,
): DerivedPlan {
  const asked = new Set<string>(owners)
  const zone = announces ? [derivedZone(renderZone(fleet, zoneIn(fleet.derived.get(ZONE)), dependencies.now()))] : []
  const wanted = new Map<ObjectKey, string>([...owners.flatMap(owner => [...derivedOf(fleet, settings, owner)]), ...zone])
  const written = [...wanted]
    .filter(([object, text]) => fleet.derived.get(object) !== text && !isHeld(fleet, object, dependencies.now()))
    .map(([object, value]): Change => ({kind: 'derived', object, value}))
  const removed = [...fleet.derived]
    .filter(([object, text]) => !wanted.has(object) && isMarked(text) && isAskedFor(fleet, asked, derivedOwner(object)))
    .map(([object]): Change => ({kind: 'derived', object, value: undefined}))
  return {written, removed}
}

const ZONE: ObjectKey = objectKey('ConfigMap', objectNames.zone)

/** Of a cluster that is not known at all, nobody would ever ask. */
function isAskedFor(fleet: Fleet, asked: ReadonlySet<string>, owner: Owner | 'zone' | undefined): boolean {
  if (owner === undefined || owner === 'zone' || isAtFault(fleet, owner)) return false
  return asked.has(owner) || (!isRegistered(fleet, owner) && !fleet.records.has(owner))
}
