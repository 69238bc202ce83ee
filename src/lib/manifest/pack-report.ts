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
  const {proxies: _, ...rest} = report
  const members = [...packAhead(report)]
  const end = `],${JSON.stringify(rest).slice(1, -1)}},"leftovers":${JSON.stringify(leftovers)}}`
  return Buffer.concat([gzipSync('{"report":{"proxies":['), ...members, gzipSync(end)])
}

/** The members with the proxies, which are remembered for `packReport`. The caller iterates with pauses. */
export function* packAhead({proxies}: Report): Generator<Buffer, void> {
  for (let index = 0; index * GROUP < proxies.length; index += 1) {
    const group = proxies.slice(index * GROUP, (index + 1) * GROUP)
    yield packers(index)(`${index === 0 ? '' : ','}${group.map(proxy => jsonOf(proxy)).join(',')}`)
  }
}

/** What `digestOf` needs of each proxy, which is remembered for it. The caller iterates with pauses. */
export function* renderAhead(proxies: Iterable<ProxyReport>): Generator<undefined, void> {
  for (const proxy of proxies) {
    timelessJsonOf(proxy)
    yield
  }
}

/** The digest of a report without its times: the same digest, nothing worth writing. */
export function digestOf(report: Report, leftovers: readonly Leftover[]): string {
  const {at: _, clockHeldUntil: __, proxies, refusals, ...rest} = report
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
