/** What discovery-probe.ts is told, and what it prints, a line each. */

/** How often each program looks, in seconds, and which clusters come, one after the other. */
export interface Looking {
  /** `reload` of CoreDNS's plugin `file`. */
  readonly zone: number
  /** `--store.sd-dns-interval` of Thanos Query. */
  readonly dns: number
  /** `--endpoint.sd-config-reload-interval` of Thanos Query. */
  readonly file: number
  readonly clusters: readonly string[]
}

/** Milliseconds since the beginning of `atlas cluster add`. */
export interface Added {
  readonly added: string
  /** The API server has the endpoints file, or the zone, with the cluster. */
  readonly endpointsWritten: number
  readonly zoneWritten: number
  /** A call passes both Envoys; the downstream Envoy is started as soon as it has its credential. */
  readonly called: number
  /** A query at Thanos Query has a sample of the cluster. */
  readonly byFile: number
  readonly byDns: number
}

export interface Seen {
  /** The clusters that each Thanos Query answers for. */
  readonly byFile: readonly string[]
  readonly byDns: readonly string[]
  readonly byGroup: readonly string[]
  /** The clusters of the stores that each lists, joined, at several times. */
  readonly stores: readonly {readonly byFile: string; readonly byDns: string; readonly byGroup: string}[]
  /** Of every zone so far. */
  readonly serials: readonly number[]
}

/** What the Thanos Query with the file answers, while the user's own group in it has one living member, and when that dies. */
export interface WithGroup {
  /** The clusters that answer while one of the members of the group is alive. */
  readonly withGroup: readonly string[]
  /** Those of each query from the death of the last member on, and milliseconds until it was answered. */
  readonly dying: readonly {readonly clusters: readonly string[]; readonly ms: number}[]
  readonly withDeadGroup: readonly string[]
}

/** The resolver of the probe's network, which is the name server of chart `atlas`. */
export const RESOLVER = '127.53.0.1'
