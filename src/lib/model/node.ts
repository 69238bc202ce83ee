/**
 * One Envoy, as it describes itself. Nothing here grants a right: the certificate decides which cluster the Envoy belongs to
 * (docs/explanation/security.md).
 */
import {parseAddress} from './address.js'
import {downstreamPorts} from './cluster.js'
import {parseUpstreamTls, type UpstreamTls} from './endpoint-tls.js'
import {AtlasError, invalid} from './errors.js'
import {OBSERVABILITY, type Owner, parseOwner} from './names.js'
import {ALERTS_PORT} from './settings.js'

export interface Node {
  readonly cluster: Owner
  /** Which replica; free text, bounded by `parseNode`. */
  readonly id: string
  /** Where its listeners for other clusters bind. */
  readonly bindAddress: string
  /** Where its plaintext listeners bind. */
  readonly localAddress: string
  /** Ports listened on instead of the standard ones. */
  readonly ports: ReadonlyMap<number, number>
  /** Such as `1.40.0`; undefined where Envoy reports none or no valid one: it then counts as the newest. */
  readonly envoyVersion?: string
  /** How many files it may have open, and its worker threads; undefined where its bootstrap does not say. */
  readonly openFiles?: number
  readonly workers?: number
  /** At 95 % of this heap it refuses requests; undefined where its bootstrap does not say. */
  readonly maxHeapBytes?: number
  /** The certificates that it has for Thanos endpoints with TLS; undefined for none. */
  readonly upstreamTls?: UpstreamTls
}

/** What an xDS `Node` carries, as far as Atlas reads it; `metadata` is the Struct as JSON. */
export interface NodeClaim {
  readonly cluster: string
  readonly id: string
  readonly metadata: unknown
  /** What the program calls itself: `envoy`. */
  readonly userAgent?: string | undefined
  readonly version?: {readonly major: number; readonly minor: number; readonly patch: number} | undefined
}

/** The node metadata keys that Atlas reads; all others are ignored. `directory` is for `cluster values` alone, which wrote it. */
export const nodeMetadata = {
  bindAddress: 'atlas.bind_address',
  directory: 'atlas.directory',
  localAddress: 'atlas.local_address',
  maxHeapBytes: 'atlas.max_heap_bytes',
  openFiles: 'atlas.open_files',
  ports: 'atlas.ports',
  upstreamTls: 'atlas.upstream_tls',
  workers: 'atlas.workers',
} as const

export const NODE_ID_MAX = 128

/**
 * Reads a node's claim.
 * @throws AtlasError `invalid` for a cluster name, id, address or port that cannot be
 */
export function parseNode(claim: NodeClaim): Node {
  const metadata = isRecord(claim.metadata) ? claim.metadata : {}
  const envoyVersion = versionOf(claim)
  const upstreamTls = metadata[nodeMetadata.upstreamTls]
  const [openFiles, workers] = [countIn(metadata[nodeMetadata.openFiles]), countIn(metadata[nodeMetadata.workers])]
  const maxHeapBytes = countIn(metadata[nodeMetadata.maxHeapBytes], BYTES_MAX)
  return {
    cluster: parseOwner(claim.cluster),
    id: parseNodeId(claim.id),
    bindAddress: parseIp(metadata[nodeMetadata.bindAddress], nodeMetadata.bindAddress) ?? '0.0.0.0',
    localAddress: parseIp(metadata[nodeMetadata.localAddress], nodeMetadata.localAddress) ?? '127.0.0.1',
    ports: parseNodePorts(metadata[nodeMetadata.ports]),
    ...(envoyVersion === undefined ? {} : {envoyVersion}),
    ...(openFiles === undefined ? {} : {openFiles}),
    ...(workers === undefined ? {} : {workers}),
    ...(maxHeapBytes === undefined ? {} : {maxHeapBytes}),
    ...(upstreamTls === undefined ? {} : {upstreamTls: parseUpstreamTls(upstreamTls, `node metadata ${nodeMetadata.upstreamTls}`)}),
  }
}

/** Which of a cluster's Envoys it is. @throws AtlasError `invalid` */
export function parseNodeId(text: string): string {
  if (text.length === 0 || text.length > NODE_ID_MAX || !/^[\x21-\x7E]+$/.test(text))
    throw invalid('node.id', `1 to ${NODE_ID_MAX} printable characters without blanks`, text)
  return text
}

/** The standard ports of an owner's Envoys that can be moved; 9902, for probes and statistics, is set in the bootstrap. */
export function listenerPorts(owner: Owner): readonly number[] {
  return owner === OBSERVABILITY ? [10_900, 10_901, 10_902, ALERTS_PORT, 10_904] : [ALERTS_PORT, ...Object.values(downstreamPorts)]
}

/** The port that the node listens on for `port`. */
export function listenedPort(node: Node, port: number): number {
  return node.ports.get(port) ?? port
}

/** Never refused: a version is for people, and grants nothing. */
function versionOf({userAgent, version}: NodeClaim): string | undefined {
  if (userAgent !== 'envoy' || version === undefined) return undefined
  const parts = [version.major, version.minor, version.patch]
  const isVersion = parts.every(part => Number.isInteger(part) && part >= 0 && part < 1000) && version.major > 0
  return isVersion ? parts.join('.') : undefined
}

const COUNT_MAX = 1_000_000_000
const BYTES_MAX = 1_000_000_000_000_000

/** Never refused, as a version: what is no whole number from 1 to `max` is not reported. */
function countIn(value: unknown, max = COUNT_MAX): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= max ? value : undefined
}

function parseIp(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null) return undefined
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  if (address === undefined || address.kind === 'dns')
    throw invalid(`node metadata ${what}`, 'an IP address', typeof value === 'string' ? value : JSON.stringify(value))
  return address.host
}

function parseNodePorts(value: unknown): ReadonlyMap<number, number> {
  if (value === undefined || value === null) return new Map()
  const wanted = 'an object of ports by port, such as {"10900": 20900}'
  if (!isRecord(value)) throw new AtlasError('invalid', `node metadata ${nodeMetadata.ports} must be ${wanted}`)
  const entries = Object.entries(value).map(([from, to]): [number, number] => {
    if (!isPort(Number(from)) || !isPort(to)) throw invalid(`node metadata ${nodeMetadata.ports}`, wanted, `${from}: ${String(to)}`)
    return [Number(from), to]
  })
  return new Map(entries.sort(([a], [b]) => a - b))
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
