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
  /** Of every zone so far. */
  readonly serials: readonly number[]
}

/** The resolver of the probe's network, which is the name server of chart `atlas`. */
export const RESOLVER = '127.53.0.1'
