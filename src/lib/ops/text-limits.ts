/** Which texts for Thanos Query are longer than what carries them. Their last complete versions stay (derive.ts, reconcile.ts). */
import {renderEndpoints} from '../manifest/endpoints.js'
import {whyEndpointsTooLong, whyNameTooLong} from '../manifest/text-limits.js'
import type {Fleet} from '../model/fleet.js'
import {whyNoZone, zoneNamesOf} from './derive.js'

/** A sentence for each text, by its name. @param withZone whether the DNS zone is kept */
export function textsTooLong(fleet: Fleet, {withZone}: {readonly withZone: boolean}): ReadonlyMap<string, string> {
  const {settings} = fleet
  if (settings === undefined) return new Map()
  const zone: readonly (readonly [string, string | undefined])[] = withZone
    ? [
        ['zone', whyNoZone(fleet, settings)],
        ...zoneNamesOf(fleet, settings).map(({name, records}) => [`name ${name}`, whyNameTooLong(records)] as const),
      ]
    : []
  const endpoints = [undefined, ...settings.groups].map(group => {
    const text = group === undefined ? 'endpoints' : `endpoints of group ${group}`
    return [text, whyEndpointsTooLong(renderEndpoints(fleet, group), group)] as const
  })
  return new Map([...zone, ...endpoints].filter((entry): entry is [string, string] => entry[1] !== undefined))
}
