/** What server replicas tell each other: ConfigMaps `atlas-proxies-<replica>` (compressed) and `atlas-replicas`. */
import {createHash} from 'node:crypto'
import {gunzipSync, gzipSync} from 'node:zlib'
import {AtlasError} from '../model/errors.js'
import type {Leftover, ReplicaReport, Report} from '../model/report.js'
import type {Manifest} from './manifest.js'
import {at} from './place.js'

const REPORT = 'report.json.gz'
const DIGEST = 'digest'
const LIVING = 'living'
/** Far above what a thousand proxies need; a report of a stranger's making must not fill the memory. */
const UNPACKED_MAX = 64 * 1024 * 1024

/** `binaryData` and `data` of the ConfigMap. An object holds 1 MiB at most (etcd), some 10,000 proxies. */
export function encodeReport({
  report,
  leftovers,
  digest,
}: ReplicaReport): Pick<Manifest, 'data'> & {readonly binaryData: Record<string, string>} {
  return {binaryData: {[REPORT]: gzipSync(JSON.stringify({report, leftovers})).toString('base64')}, data: {[DIGEST]: digest}}
}

/** @throws AtlasError `invalid` */
export function decodeReport(manifest: Manifest): ReplicaReport {
  return at(`binaryData.${REPORT}`, () => {
    const packed = (manifest['binaryData'] as Readonly<Record<string, unknown>> | undefined)?.[REPORT]
    if (typeof packed !== 'string') throw new AtlasError('invalid', 'wanted the report of a server replica; there is nothing')
    const {report, leftovers = []} = unpacked(packed) ?? {}
    if (report?.format !== 1 || !Array.isArray(report.proxies) || !Array.isArray(report.unrepaired) || !Array.isArray(leftovers))
      throw new AtlasError('invalid', 'wanted the report of a server replica, format 1; it is something else')
    return {report, leftovers, digest: manifest.data?.[DIGEST] ?? digestOf(report, leftovers)}
  })
}

/** What it says apart from times that go on by themselves: equal digest, nothing new. */
export function digestOf(report: Report, leftovers: readonly Leftover[]): string {
  const {at: _, proxies, refusals, ...rest} = report
  const timeless = proxies.map(({lastChange: __, ...proxy}) => proxy)
  // Whoever is refused comes again every few seconds, from another port, for as long as it runs.
  const refused = new Set(refusals.map(({reason, message, cluster}) => JSON.stringify([reason, message, cluster])))
  return createHash('sha256')
    .update(JSON.stringify([timeless, rest, leftovers, [...refused].sort()]))
    .digest('hex')
}

/** The names of living replicas as ConfigMap data. */
export function encodeReplicas(living: readonly string[]): Readonly<Record<string, string>> {
  return {[LIVING]: living.join(',')}
}

export function decodeReplicas(manifest: Manifest): readonly string[] {
  return (manifest.data?.[LIVING] ?? '').split(',').filter(name => name !== '')
}

function unpacked(packed: string): Partial<ReplicaReport> | undefined {
  try {
    return JSON.parse(gunzipSync(Buffer.from(packed, 'base64'), {maxOutputLength: UNPACKED_MAX}).toString('utf8')) as Partial<ReplicaReport>
  } catch {
    return undefined
  }
}
