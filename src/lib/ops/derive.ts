/** The objects that Kubernetes keeps beside the fleet, each made from the fleet alone: Services of the sidecars, values, the DNS zone. */
import {derivedOf, derivedZone, isMarked, zoneIn} from '../manifest/derived.js'
import {renderZone} from '../manifest/zone.js'
import type {Change} from '../model/change.js'
import {type Fleet, type ObjectKey, isUnreadable} from '../model/fleet.js'
import {indexBy} from '../model/index-by.js'
import {ownersOfDerived} from '../model/kinds.js'
import {type Owner, derivedOwner, objectKey, objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {isHeld} from './goatlas/takeover.js'
import type {OpsDependencies} from './dependencies.js'

export interface DerivedPlan {
  readonly written: readonly Change[]
  /** To be made last, when nothing refers to these objects any more. */
  readonly removed: readonly Change[]
}

/**
 * @param owners whose objects are looked at; an owner of which nothing else is known has none, and loses those that it still has
 * @param withEndpoints whether the DNS zone is looked at, too
 */
export function planDerived(
  fleet: Fleet,
  settings: Settings,
  {owners, withEndpoints}: {readonly owners: readonly Owner[]; readonly withEndpoints: boolean},
  dependencies: OpsDependencies,
): DerivedPlan {
  const zone = withEndpoints ? [derivedZone(renderZone(fleet, zoneIn(fleet.derived.get(ZONE)), dependencies.now()))] : []
  const needed = new Map<ObjectKey, string>([...owners.flatMap(owner => [...derivedOf(fleet, settings, owner)]), ...zone])
  const written = [...needed]
    .filter(([object, text]) => fleet.derived.get(object) !== text && !isHeld(fleet, object, dependencies.now()))
    .map(([object, value]): Change => ({kind: 'derived', object, value}))
  const present = byOwner(fleet.derived)
  const removed = owners
    .filter(owner => !isUnreadable(fleet, owner))
    .flatMap(owner => [...(present.get(owner) ?? [])])
    .filter(object => !needed.has(object) && isMarked(fleet.derived.get(object) ?? ''))
    .map((object): Change => ({kind: 'derived', object, value: undefined}))
  return {written, removed}
}

/** The owners of derived objects, also of clusters that are not known any more. */
export function ownersOfDerivedObjects(fleet: Fleet): readonly Owner[] {
  return [...byOwner(fleet.derived).keys()].filter((owner): owner is Owner => owner !== 'zone')
}

/** The owners of objects that this program has not written yet: the 2021 program's, or a person's. */
export function ownersOfUnmarkedObjects(fleet: Fleet): readonly Owner[] {
  return [...(byMark(fleet.derived).get(false) ?? [])].flatMap(object => ownersOfDerived(object))
}

const byMark = indexBy<ObjectKey, string, boolean>((_, text) => isMarked(text))

const byOwner = indexBy<ObjectKey, string, Owner | 'zone'>(object => derivedOwner(object) ?? 'zone')

const ZONE: ObjectKey = objectKey('ConfigMap', objectNames.zone)
