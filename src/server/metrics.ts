/** Every metric of the server, in a registry of its own. Labels have few values: never a node's id, never text from outside. */
import {Counter, Gauge, Histogram, Registry, collectDefaultMetrics} from 'prom-client'
import {type Fleet, clustersOf} from '../lib/model/fleet.js'
import {type ConnectedProxy, openClusterMetrics} from './cluster-metrics.js'

/** What the gauges show. */
export interface Measured {
  readonly isReady: boolean
  readonly isLeading: boolean
  readonly isStoreReachable: boolean
  /** Milliseconds of `performance.now`. */
  readonly storeHeardAt: number | undefined
  readonly isClockBelieved: boolean
  /** Whether some or all certificates cannot be signed. */
  readonly isSigningBlocked: boolean
  /** Milliseconds; undefined: there is no API server to compare with. */
  readonly clockAhead: number | undefined
  readonly fleet: Fleet
  /** The open streams; undefined where Envoys are not served. */
  readonly connected: readonly ConnectedProxy[] | undefined
  readonly now: Date
  readonly frozenStreams: number
  readonly certificateEnd: Date | undefined
}

export type Metrics = ReturnType<typeof openMetrics>

/** New metrics; two servers in one process share none. */
export function openMetrics() {
  const registry = new Registry()
  const registers = [registry]
  // The event loop's delay is looked at every 500 ms: every 10 ms, the default, costs an idle server more than all else it does.
  collectDefaultMetrics({register: registry, eventLoopMonitoringPrecision: 500})
  return {
    registry,
    ready: new Gauge({name: 'atlas_ready', help: '1 while the server is ready.', registers}),
    streams: new Gauge({name: 'atlas_ads_streams', help: 'Open ADS streams.', labelNames: ['variant', 'path'] as const, registers}),
    streamsEnded: new Counter({
      name: 'atlas_ads_streams_ended_total',
      help: 'ADS streams ended, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    refused: new Counter({
      name: 'atlas_ads_refused_total',
      help: 'Connections and streams that were not admitted, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    notes: new Counter({
      name: 'atlas_ads_notes_total',
      help: 'Events on ADS streams, such as acked and nacked, by type of resource.',
      labelNames: ['note', 'type'] as const,
      registers,
    }),
    responses: new Counter({name: 'atlas_ads_responses_total', help: 'Responses sent.', labelNames: ['type'] as const, registers}),
    responseBytes: new Counter({
      name: 'atlas_ads_response_bytes_total',
      help: 'Bytes of responses sent.',
      labelNames: ['type'] as const,
      registers,
    }),
    throttled: new Counter({
      name: 'atlas_ads_throttled_total',
      help: 'Times that reading a stream was delayed because its cluster sent requests too fast.',
      registers,
    }),
    frozen: new Gauge({
      name: 'atlas_ads_frozen_streams',
      help: 'Streams whose node is frozen: it is sent nothing because what it needs is broken.',
      registers,
    }),
    pushes: new Counter({name: 'atlas_pushes_total', help: 'Pushes of changes to the nodes concerned.', registers}),
    pushSeconds: new Histogram({
      name: 'atlas_push_seconds',
      help: 'From a change until it was pushed to every node concerned.',
      buckets: [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
    changes: new Counter({name: 'atlas_store_changes_total', help: 'Changes seen in the store.', labelNames: ['kind'] as const, registers}),
    storeUp: new Gauge({name: 'atlas_store_up', help: '1 while the store can be read.', registers}),
    storeSilence: new Gauge({
      name: 'atlas_store_silence_seconds',
      help: 'Time since the Kubernetes API server last sent anything; its watches send something every minute.',
      registers,
    }),
    signingBlocked: new Gauge({
      name: 'atlas_signing_blocked',
      help: '1 while some or all certificates cannot be signed; /readyz names the reason. Always 0 in role ads.',
      registers,
    }),
    clockTrusted: new Gauge({
      name: 'atlas_clock_trusted',
      help: '0 while the clock of this machine is doubted: then nothing is signed or dropped.',
      registers,
    }),
    clockSkew: new Gauge({
      name: 'atlas_clock_skew_seconds',
      help: "By how much the clock of this machine is ahead of the Kubernetes API server's; negative where it is behind.",
      registers,
    }),
    leader: new Gauge({name: 'atlas_leader', help: '1 while this server is the leader, which signs and writes.', registers}),
    clusters: new Gauge({name: 'atlas_clusters', help: 'Registered clusters.', registers}),
    faults: new Gauge({name: 'atlas_faults', help: 'Stored objects and entries that cannot be read.', registers}),
    reconciles: new Counter({
      name: 'atlas_reconciles_total',
      help: 'Passes of the reconciler, by outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    byCluster: openClusterMetrics(),
    certificateEnd: new Gauge({
      name: 'atlas_certificate_not_after_seconds',
      help: 'When the certificate that the server shows ends, seconds since 1970.',
      registers,
    }),
  }
}

/** Sets every gauge but `streams`, which is counted as streams open and close. @returns all metrics in Prometheus' text format */
export async function renderMetrics(metrics: Metrics, measured: Measured): Promise<string> {
  metrics.ready.set(Number(measured.isReady))
  metrics.leader.set(Number(measured.isLeading))
  metrics.storeUp.set(Number(measured.isStoreReachable))
  if (measured.storeHeardAt !== undefined) metrics.storeSilence.set((performance.now() - measured.storeHeardAt) / 1000)
  metrics.signingBlocked.set(Number(measured.isSigningBlocked))
  metrics.clockTrusted.set(Number(measured.isClockBelieved))
  if (measured.clockAhead !== undefined) metrics.clockSkew.set(measured.clockAhead / 1000)
  metrics.clusters.set(clustersOf(measured.fleet).length)
  metrics.faults.set(measured.fleet.faults.size)
  metrics.frozen.set(measured.frozenStreams)
  metrics.certificateEnd.set((measured.certificateEnd?.getTime() ?? 0) / 1000)
  return `${await metrics.registry.metrics()}\n${metrics.byCluster.text(measured)}`
}
