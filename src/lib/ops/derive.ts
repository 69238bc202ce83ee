/** The objects that Kubernetes keeps beside the fleet, each made from the fleet alone: Services of the sidecars, values, the DNS zone. */
import {derivedOf, derivedZone, isMarked, zoneIn} from '../manifest/derived.js'
import {whyZoneTooLong} from '../manifest/text-limits.js'
import {type ZoneName, renderZone, zoneNames} from '../manifest/zone.js'
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
 * @param withZone whether anything reads the zone: if not, the one that Atlas has written is removed. One that is too long is not written
 * @param servedSerial the highest serial that the zone is known to have had
 */
export function planDerived(
  fleet: Fleet,
  settings: Settings,
  {
    owners,
    withEndpoints,
    withZone = true,
    servedSerial,
  }: {
    readonly owners: readonly Owner[]
    readonly withEndpoints: boolean
    readonly withZone?: boolean | undefined
    readonly servedSerial?: number | undefined
  },
  dependencies: OpsDependencies,
): DerivedPlan {
  const zone = withEndpoints && withZone ? wantedZone(fleet, settings, dependencies.now(), servedSerial) : []
  const needed = new Map<ObjectKey, string>([...owners.flatMap(owner => [...derivedOf(fleet, settings, owner)]), ...zone])
  const written = [...needed]
    .filter(([object, text]) => fleet.derived.get(object) !== text && !isHeld(fleet, object, dependencies.now()))
    .map(([object, value]): Change => ({kind: 'derived', object, value}))
  const present = byOwner(fleet.derived)
  const unread = withEndpoints && !withZone ? [ZONE] : []
  const removed = owners
    .filter(owner => !isUnreadable(fleet, owner))
    .flatMap(owner => [...(present.get(owner) ?? [])])
    .concat(unread)
    .filter(object => !needed.has(object) && isMarked(fleet.derived.get(object) ?? ''))
    .map((object): Change => ({kind: 'derived', object, value: undefined}))
  return {written, removed}
}

/** Why the zone stays as it is though the fleet differs: it would be too long. A name that is too long stays on its own (renderZone). */
export function whyNoZone(fleet: Fleet, settings: Settings): string | undefined {
  return whyZoneTooLong(zoneNamesOf(fleet, settings))
}

/** The names of the zone as it should be. */
export function zoneNamesOf(fleet: Fleet, settings: Settings): readonly ZoneName[] {
  return zoneNames(fleet, settings, zoneIn(fleet.derived.get(ZONE)))
}

/** The owners of derived objects, also of clusters that are not known any more. */
export function ownersOfDerivedObjects(fleet: Fleet): readonly Owner[] {
  return [...byOwner(fleet.derived).keys()].filter((owner): owner is Owner => owner !== 'zone')
}

/** The owners of objects that this program has not written yet: the 2021 program's, or a person's. */
export function ownersOfUnmarkedObjects(fleet: Fleet): readonly Owner[] {
  return [...(byMark(fleet.derived).get(false) ?? [])].flatMap(object => ownersOfDerived(object))
}

function wantedZone(
  fleet: Fleet,
  settings: Settings,
  now: Date,
  servedSerial: number | undefined,
): readonly (readonly [ObjectKey, string])[] {
  if (whyNoZone(fleet, settings) !== undefined) return []
  return [derivedZone(renderZone(fleet, zoneIn(fleet.derived.get(ZONE)), now, servedSerial))]
}

const byMark = indexBy<ObjectKey, string, boolean>((_, text) => isMarked(text))

const byOwner = indexBy<ObjectKey, string, Owner | 'zone'>(object => derivedOwner(object) ?? 'zone')

/** The ConfigMap of the DNS zone. */
export const ZONE: ObjectKey = objectKey('ConfigMap', objectNames.zone)
