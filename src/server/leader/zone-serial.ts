/**
 * The highest serial of the DNS zone that this server has seen. A zone that was deleted, or put back to an earlier state, goes on above it:
 * name servers do not take a zone with a lower serial over (RFC 1982). How a serial is chosen: manifest/zone.ts.
 */
import {zoneIn} from '../../lib/manifest/derived.js'
import {serialIn} from '../../lib/manifest/zone.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {ZONE} from '../../lib/ops/derive.js'

export interface ZoneSerial {
  /** Looks at the zone in a fleet. */
  look(fleet: Fleet): void
  /** Undefined: no zone was seen yet. */
  readonly highest: () => number | undefined
}

/** Has seen no zone yet. */
export function openZoneSerial(): ZoneSerial {
  let highest: number | undefined
  let last: string | undefined
  return {
    look(fleet) {
      const text = fleet.derived.get(ZONE)
      if (text === last) return
      last = text
      const serial = serialIn(zoneIn(text) ?? '')
      if (serial !== undefined) highest = Math.max(highest ?? 0, serial)
    },
    highest: () => highest,
  }
}
