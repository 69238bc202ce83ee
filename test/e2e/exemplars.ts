/** A metric with an exemplar, as an instrumented program pushes it into a Prometheus by OTLP. */
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'

/** The name of the series, once Prometheus has added the suffix of counters. */
export const TRACED = 'traced_total'

/**
 * Pushes one sample of `TRACED`, with an exemplar of this trace.
 * @param trace 32 hexadecimal digits
 * @throws Error where Prometheus does not take it
 */
export async function pushExemplar(prometheus: HostPort, trace: string): Promise<void> {
  const at = {timeUnixNano: `${Date.now()}000000`, asDouble: 1}
  const point = {...at, exemplars: [{...at, traceId: trace, spanId: trace.slice(0, 16)}]}
  const metric = {name: 'traced', sum: {aggregationTemporality: 2, isMonotonic: true, dataPoints: [point]}}
  const response = await fetch(`http://${renderHostPort(prometheus)}/api/v1/otlp/v1/metrics`, {
    method: 'POST',
    headers: {'content-type': 'application/json'},
    body: JSON.stringify({resourceMetrics: [{resource: {}, scopeMetrics: [{metrics: [metric]}]}]}),
    signal: AbortSignal.timeout(10_000),
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`)
}
