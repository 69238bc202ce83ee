/** The limits of what is measured with a large fleet, and which figures keep to them. */
import {type Row, round} from './kubernetes-limits.js'
import type {LargeFigures} from './large.js'

const MIB = 1024 ** 2

/** One change is compared with the smallest fleet of the same run. */
export function judgeLarge(all: readonly LargeFigures[]): readonly Row[] {
  const [smallest] = all
  return all.flatMap(one => {
    const row = (what: string, value: number, limit: number, unit: string): Row => ({
      what: `N = ${one.clusters}, ${what}`,
      limit: `${round(limit)}${unit}`,
      got: `${round(value)}${unit}`,
      ok: value <= limit,
    })
    const isSotwOk = one.sotw === 'served' ? one.sotwBytes <= 4 * MIB : one.sotw.includes('DELTA_GRPC')
    return [
      ...(smallest === undefined || smallest === one
        ? []
        : [
            row(
              `one address changed, the server alone, against N = ${smallest.clusters}`,
              one.serverChangeMs / smallest.serverChangeMs,
              2,
              ' x',
            ),
            row(`a cluster added, the server alone, against N = ${smallest.clusters}`, one.serverAddMs / smallest.serverAddMs, 2, ' x'),
            row(`one address changed in the directory, against N = ${smallest.clusters}`, one.changeMs / smallest.changeMs, 2, ' x'),
          ]),
      row(
        'a cluster added, bytes to the observability node, messages around them included',
        one.serverAddBytes,
        one.pages ? 5400 : 2500,
        ' B',
      ),
      ...(one.pages && one.clusters <= 1000 ? [row('resident memory of the observability Envoy', one.envoyMiB, 450, ' MiB')] : []),
      row('resident memory, all connected', one.residentMiB, 1.2 * 1024, ' MiB'),
      row('largest delta response', one.messageBytes / MIB, 4, ' MiB'),
      {what: `N = ${one.clusters}, state of the world`, limit: '4 MiB, or a refusal with the reason', got: one.sotw, ok: isSotwOk},
      row('largest object that Atlas alone reads', one.ownObjectBytes / MIB, 1, ' MiB'),
      row('report of all proxies', one.reportBytes / MIB, 1, ' MiB'),
      row('connections and streams refused by the relay', one.relayRefused, 0, ''),
      row('clusters without a connection to the relay', one.clusters - one.relayConnections, 0, ''),
    ]
  })
}
