/**
 * A report as compressed JSON, and its digest. Each proxy's part is made once and the parts are compressed in groups, so that a report
 * costs what differs from the last one. report.ts reads it.
 */
import {createHash} from 'node:crypto'
import {gzipSync} from 'node:zlib'
import {remember, rememberLast} from '../model/remember.js'
import type {Leftover, ProxyReport, ReplicaReport, Report} from '../model/report.js'

/** Proxies that are compressed together: more compress better, fewer cost less when one of them differs. */
const GROUP = 64

/** Members of gzip one after the other, which are one text for every reader (RFC 1952, section 2.2). */
export function packReport({report, leftovers}: ReplicaReport): Buffer {
  const {proxies, ...rest} = report
  const groups = Array.from({length: Math.ceil(proxies.length / GROUP)}, (_, index) => proxies.slice(index * GROUP, (index + 1) * GROUP))
  const members = groups.map((group, index) => packers(index)(`${index === 0 ? '' : ','}${group.map(proxy => jsonOf(proxy)).join(',')}`))
  const end = `],${JSON.stringify(rest).slice(1, -1)}},"leftovers":${JSON.stringify(leftovers)}}`
  return Buffer.concat([gzipSync('{"report":{"proxies":['), ...members, gzipSync(end)])
}

/** The digest of a report without its times: the same digest, nothing worth writing. */
export function digestOf(report: Report, leftovers: readonly Leftover[]): string {
  const {at: _, proxies, refusals, ...rest} = report
  // A client that is refused connects again every few seconds, from another port, for as long as it runs.
  const refused = new Set(refusals.map(({reason, message, cluster}) => JSON.stringify([reason, message, cluster])))
  return createHash('sha256')
    .update(`[[${proxies.map(proxy => timelessJsonOf(proxy)).join(',')}]`)
    .update(`,${JSON.stringify(rest)},${JSON.stringify(leftovers)},${JSON.stringify([...refused].sort())}]`)
    .digest('hex')
}

const jsonOf = remember((proxy: ProxyReport) => JSON.stringify(proxy))

/** Streams are renewed every hour, which changes nothing about the proxy. */
const timelessJsonOf = remember(({lastChange: _l, connectedSince: _c, sequence: _s, ...proxy}: ProxyReport) => JSON.stringify(proxy))

/** Each group keeps its last text and member. */
function packers(index: number): (text: string) => Buffer {
  const known = openPackers[index] ?? rememberLast((text: string) => gzipSync(text))
  openPackers[index] = known
  return known
}

const openPackers: ((text: string) => Buffer)[] = []
