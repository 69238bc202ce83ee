/**
 * Which statistics Envoy keeps: those that status, dashboards and alerts read. Without this it keeps 124 for every cluster
 * (docs/explanation/envoy.md#statistics).
 */
import {create} from '@bufbuild/protobuf'
import {type StatsMatcher, StatsMatcherSchema} from '../../gen/envoy/config/metrics/v3/stats_pb.js'

/** Kept whole: their number doesn't grow with the fleet. */
const prefixes = [
  'access_logs.',
  'cluster_manager.',
  'connection_limit.',
  'control_plane.',
  'http.',
  'listener.',
  'listener_manager.',
  'overload.',
  'runtime.',
  'sds.',
  'server.',
  'cluster.xds.',
  'cluster.ads-servers.',
]

/** Kept of every cluster. */
const suffixes = [
  '.membership_healthy',
  '.membership_total',
  '.update_failure',
  '.health_check.attempt',
  '.health_check.failure',
  '.health_check.success',
  '.http2.keepalive_timeout',
  '.ssl.connection_error',
  '.ssl.fail_verify_error',
  '.ssl.fail_verify_san',
  '.ssl.handshake',
  '.ssl_context_update_by_sds',
  '.upstream_context_secrets_not_ready',
  '.upstream_cx_active',
  '.upstream_cx_connect_fail',
  '.upstream_cx_connect_timeout',
  '.upstream_cx_max_duration_reached',
  '.upstream_cx_rx_bytes_total',
  '.upstream_cx_total',
  '.upstream_cx_tx_bytes_total',
  '.upstream_rq_2xx',
  '.upstream_rq_4xx',
  '.upstream_rq_5xx',
  '.upstream_rq_active',
  '.upstream_rq_max_duration_reached',
  '.upstream_rq_pending_failure_eject',
  '.upstream_rq_pending_overflow',
  '.upstream_rq_retry',
  '.upstream_rq_time',
  '.upstream_rq_total',
]

/** For the bootstrap: Envoy doesn't create any other statistic. */
export function statsMatcher(): StatsMatcher {
  return create(StatsMatcherSchema, {
    statsMatcher: {
      case: 'inclusionList',
      value: {
        patterns: [
          ...prefixes.map(value => ({matchPattern: {case: 'prefix' as const, value}})),
          ...suffixes.map(value => ({matchPattern: {case: 'suffix' as const, value}})),
        ],
      },
    },
  })
}
