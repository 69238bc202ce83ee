/** What a server knows of the proxies it serves: the answer of `/status` on its admin port, read by `atlas status`. */
import type {Fault} from './errors.js'
import type {Owner} from './names.js'

/** The state of one type of resource at a node: all that was sent is acknowledged, an answer is missing, or something was refused. */
export type SyncState = 'nack' | 'stale' | 'synced'

/** One type of resource on one stream. */
export interface TypeReport {
  /** The message's last name, such as `Cluster`. */
  readonly type: string
  readonly state: SyncState
  /** How many resources were sent, and how many of these the proxy has acknowledged in this very version. */
  readonly sent: number
  readonly acknowledged: number
  /** The message of the proxy's NACK, cut at 1000 characters. */
  readonly nack?: string
  /** Names of the resources in the refused response, at most 20. */
  readonly nackNames?: readonly string[]
}

/** One open stream of one proxy. Times are ISO 8601, UTC. */
export interface ProxyReport {
  readonly cluster: Owner
  /** What the proxy calls itself, `node.id`. */
  readonly id: string
  /** The version of Envoy that the proxy reports, such as `1.40.0`. */
  readonly envoyVersion?: string
  /** The limit of open files and the worker threads that its bootstrap names. */
  readonly openFiles?: number
  readonly workers?: number
  readonly maxHeapBytes?: number
  /** The names of the certificates that it has for Thanos endpoints with TLS. */
  readonly upstreamTls?: readonly string[]
  /** Tells the streams of one server apart, two of equal cluster and id too. */
  readonly sequence: number
  readonly variant: 'delta' | 'sotw'
  /** Directly to the server, or through the observability Envoy. */
  readonly path: 'direct' | 'relay'
  /** Of a relayed stream: SHA-256 of the certificate that the observability Envoy's connection began with. */
  readonly relayedBy?: string
  readonly connectedSince: string
  /** The last time that something was sent. */
  readonly lastChange?: string
  readonly types: readonly TypeReport[]
  /** The ADS credential that it came with. */
  readonly credential: {readonly sha256: string; readonly notAfter?: string; readonly rootsDigest?: string}
  /** The identity whose delivery it has acknowledged. */
  readonly identity?: {readonly version: string; readonly notAfter?: string}
  /** The versions of the trust bundle that it has acknowledged: for identities, and at the observability Envoy for ADS credentials. */
  readonly trust?: string
  readonly adsTrust?: string
  /** Why nothing is sent to it (promise 6). */
  readonly frozen?: string
  /** How many open streams carry this cluster and id; more than one means two proxies with one name, or a cut connection. */
  readonly equalIds: number
}

/** A node that was connected and is not, while that is not long ago. */
export interface AbsentNode {
  readonly cluster: Owner
  readonly id: string
  /** When its last stream ended, ISO 8601, UTC. */
  readonly since: string
  /** It was connected to its server when that was heard of last: that server has ended, or goes on and cannot reach the API server. */
  readonly leftWithServer?: true
}

/** A connection or stream that admission refused. */
export interface RefusalReport {
  readonly at: string
  /** A short name for the rule, stable for alerts, such as `node-cluster`. */
  readonly reason: string
  readonly message: string
  readonly peer: string
  /** The cluster of the certificate, where that much was known. */
  readonly cluster?: Owner
}

/** What an earlier stream of a node refused and no later one has repaired yet. */
export interface UnrepairedReport {
  readonly cluster: Owner
  readonly id: string
  /** Resource names by type. */
  readonly names: Readonly<Record<string, readonly string[]>>
}

/** Whether a server is ready: the answer of `/readyz`. */
export interface Readiness {
  readonly ready: boolean
  /** Why the server is not ready. */
  readonly reasons: readonly string[]
  /** What is wrong although the server serves. */
  readonly warnings: readonly string[]
}

export interface Report extends Readiness {
  readonly format: 1
  readonly at: string
  readonly startedAt: string
  /** When the clock has held at the latest, from which on certificates are issued again; absent: it has, or is confirmed. */
  readonly clockHeldUntil?: string
  /** Where the server answers ADS, HOST:PORT. */
  readonly address: string
  readonly store: {readonly description: string; readonly reachable: boolean}
  /**
   * What the ports for Envoys use: the certificate by its SHA-256, and the trust bundle by its digest (pki/trust-digest.ts); and what Envoys are
   * sent, by a digest of all identities (pki/identities-digest.ts), which a server of an earlier version does not report.
   */
  readonly tls?: {readonly certificate: string; readonly trust: string; readonly identities?: string}
  readonly proxies: readonly ProxyReport[]
  /** Absent where a server of an earlier version reports. */
  readonly absent?: readonly AbsentNode[]
  /** Registered clusters, and `atlas`, without an open stream. */
  readonly withoutProxy: readonly Owner[]
  readonly refusals: readonly RefusalReport[]
  readonly unrepaired: readonly UnrepairedReport[]
  /** Each with its subject: that of the server's version, which may be another one than the reader's. */
  readonly faults: readonly (Fault & {readonly subject: string})[]
}

/** Names of one type that a node may have without listing them, or list without having them. */
export interface Leftover {
  readonly cluster: Owner
  readonly id: string
  readonly typeUrl: string
  readonly sent: readonly string[]
  readonly removed: readonly string[]
}

/** What one server replica reports of its proxies to all others; kept until the leader deletes it. */
export interface ReplicaReport {
  readonly report: Report
  /**
   * What nodes have refused and no later stream has repaired: the server that serves the node next must know it
   * (docs/explanation/envoy.md#nack).
   */
  readonly leftovers: readonly Leftover[]
  /** SHA-256, lower-case hex, of the report without its times. */
  readonly digest: string
}
