/** What server replicas tell each other: ConfigMaps `atlas-proxies-<replica>` (compressed) and `atlas-replicas`. */
import {createHash} from 'node:crypto'
import {gunzipSync, gzipSync} from 'node:zlib'
import {AtlasError} from '../model/errors.js'
import type {Leftover, ReplicaReport, Report} from '../model/report.js'
import type {Manifest} from './manifest.js'
import {at} from './path.js'
import {parseReplicaReport} from './report.js'

const REPORT = 'report.json.gz'
const DIGEST = 'digest'
const LIVING = 'living'
/** Some 20,000 proxies; what packs smaller than it is must not fill the memory of whoever reads it. */
const UNPACKED_MAX = 8 * 1024 * 1024

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
    return {...parseReplicaReport(unpacked(packed)), digest: manifest.data?.[DIGEST] ?? ''}
  })
}

/** What it says apart from times that go on by themselves: equal digest, nothing new. */
export function digestOf(report: Report, leftovers: readonly Leftover[]): string {
  const {at: _, proxies, refusals, ...rest} = report
  // Streams are renewed every hour, which is nothing new of the proxy.
  const timeless = proxies.map(({lastChange: _l, connectedSince: _c, sequence: _s, ...proxy}) => proxy)
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

function unpacked(packed: string): unknown {
  try {
    return JSON.parse(gunzipSync(Buffer.from(packed, 'base64'), {maxOutputLength: UNPACKED_MAX}).toString('utf8'))
  } catch {
    return undefined
  }
}
