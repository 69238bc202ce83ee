/** The objects that Kubernetes keeps beside the fleet, each made from the fleet alone: Services of the sidecars, values, the DNS zone. */
import {derivedOf, derivedZone, isMarked, zoneIn} from '../manifest/derived.js'
import {renderZone} from '../manifest/zone.js'
import type {Change} from '../model/change.js'
import {type Fleet, type ObjectKey, isRegistered, isUnreadable} from '../model/fleet.js'
import {type Owner, derivedOwner, objectKey, objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {isHeld} from './goatlas/takeover.js'
import type {OpsDependencies} from './dependencies.js'

export interface DerivedPlan {
  readonly written: readonly Change[]
  /** To be made last, when nothing refers to these objects any more. */
  readonly removed: readonly Change[]
}

/** @param owners whose objects are looked at @param withEndpoints whether the DNS zone is looked at, too */
export function planDerived(
  fleet: Fleet,
  settings: Settings,
  {owners, withEndpoints}: {readonly owners: readonly Owner[]; readonly withEndpoints: boolean},
  dependencies: OpsDependencies,
): DerivedPlan {
  const names = new Set<string>(owners)
  const zone = withEndpoints ? [derivedZone(renderZone(fleet, zoneIn(fleet.derived.get(ZONE)), dependencies.now()))] : []
  const needed = new Map<ObjectKey, string>([...owners.flatMap(owner => [...derivedOf(fleet, settings, owner)]), ...zone])
  const written = [...needed]
    .filter(([object, text]) => fleet.derived.get(object) !== text && !isHeld(fleet, object, dependencies.now()))
    .map(([object, value]): Change => ({kind: 'derived', object, value}))
  const removed = [...fleet.derived]
    .filter(([object, text]) => !needed.has(object) && isMarked(text) && isInScope(fleet, names, derivedOwner(object)))
    .map(([object]): Change => ({kind: 'derived', object, value: undefined}))
  return {written, removed}
}

const ZONE: ObjectKey = objectKey('ConfigMap', objectNames.zone)

/** An object of one of the owners, or of a cluster that is not known any more: no scope names such a cluster. */
function isInScope(fleet: Fleet, names: ReadonlySet<string>, owner: Owner | 'zone' | undefined): boolean {
  if (owner === undefined || owner === 'zone' || isUnreadable(fleet, owner)) return false
  return names.has(owner) || (!isRegistered(fleet, owner) && !fleet.records.has(owner))
}
