/**
 * Access logs: JSON lines on standard output. What an operator looks up has a line: failures, slow calls, a sample of the rest; the
 * whole is in Envoy's statistics, which cost less.
 */
import {create, type JsonObject, type MessageInitShape} from '@bufbuild/protobuf'
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
  ComparisonFilter_Op,
  GrpcStatusFilter_Status as Grpc,
} from '../../gen/envoy/config/accesslog/v3/accesslog_pb.js'
import {ExpressionFilterSchema} from '../../gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js'
import {StdoutAccessLogSchema} from '../../gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js'
import {FractionalPercentSchema} from '../../gen/envoy/type/v3/percent_pb.js'
import {envoyNames} from '../model/names.js'
import {extension} from './core.js'
import {PAGE_METADATA} from './page-filter.js'

/** Milliseconds from which on a call on the Thanos path counts as slow, and has a line. */
const SLOW = 1000

/** Characters of a path that a line has: a query by GET may have thousands. */
const PATH_MAX = 500

/** Percent of the other calls that have a line. An Envoy passes its choice on in `x-request-id`: the same calls have a line at both. */
const SAMPLE = 1

/**
 * One line per connection that showed a certificate or failed, when it ends. The only place where Envoy shows why it refused a client
 * certificate (docs/explanation/envoy.md#refused-certificates). A load balancer's check, which connects and sends nothing, has none.
 */
export function connectionLog(listener: string): AccessLog {
  return log(
    {
      log: 'connection',
      listener,
      time: '%START_TIME%',
      from: '%DOWNSTREAM_REMOTE_ADDRESS%',
      peer: '%DOWNSTREAM_PEER_URI_SAN%',
      fingerprint: '%DOWNSTREAM_PEER_FINGERPRINT_256%',
      sni: '%REQUESTED_SERVER_NAME%',
      failure: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
      flags: '%RESPONSE_FLAGS%',
      details: '%CONNECTION_TERMINATION_DETAILS%',
      milliseconds: '%DURATION%',
    },
    filter({
      case: 'extensionFilter',
      value: extension('envoy.access_loggers.extension_filters.cel', ExpressionFilterSchema, {expression: CONNECTION_COUNTS}),
    }),
  )
}

const CONNECTION_COUNTS = "connection.mtls || connection.transport_failure_reason != '' || connection.termination_details != ''"

/**
 * One line per request that `logged` selects, when it ends. `all`: each. `pages` and `alerts`: requests that failed or were slow, and a sample.
 * `streams`: each ADS stream, and of those that the limit of openings refuses a sample. `calls`: failed and slow ones, and a sample. `calls-but-health-checks` leaves out health checks, by their host name: only
 * for a listener where that name leads nowhere else, because any client can send it.
 */
export function requestLog(
  listener: string,
  logged: 'alerts' | 'all' | 'calls' | 'calls-but-health-checks' | 'pages' | 'streams',
): AccessLog {
  return log(
    {
      log: 'request',
      listener,
      time: '%START_TIME%',
      from: '%DOWNSTREAM_REMOTE_ADDRESS%',
      peer: '%DOWNSTREAM_PEER_URI_SAN%',
      authority: '%REQ(:AUTHORITY)%',
      method: '%REQ(:METHOD)%',
      ...(logged === 'pages' ? pageFields : {path: '%REQ(:PATH)%'}),
      status: '%RESPONSE_CODE%',
      grpc_status: '%GRPC_STATUS%',
      flags: '%RESPONSE_FLAGS%',
      details: '%RESPONSE_CODE_DETAILS%',
      cluster: '%UPSTREAM_CLUSTER%',
      upstream: '%UPSTREAM_HOST%',
      upstream_failure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
      milliseconds: '%DURATION%',
      bytes_received: '%BYTES_RECEIVED%',
      bytes_sent: '%BYTES_SENT%',
    },
    filters[logged],
  )
}

const pageFields = {page: `%DYNAMIC_METADATA(${PAGE_METADATA}:prefix)%`, path: `%REQ(:PATH):${PATH_MAX}%`}

const sampled = filter({
  case: 'runtimeFilter',
  value: {runtimeKey: 'atlas.access_log_sample', percentSampled: create(FractionalPercentSchema, {numerator: SAMPLE})},
})

const failed = filter({case: 'statusCodeFilter', value: {comparison: atLeast(400, 'atlas.access_log_status')}})
const flagged = filter({case: 'responseFlagFilter', value: {}}) // any flag
const slow = filter({case: 'durationFilter', value: {comparison: atLeast(SLOW, 'atlas.access_log_slow')}})

const requests = any([failed, flagged, slow, sampled])

const calls = any([failed, filter({case: 'grpcStatusFilter', value: {statuses: [Grpc.OK], exclude: true}}), flagged, slow, sampled])

const filters = {
  all: undefined,
  streams: any([filter({case: 'grpcStatusFilter', value: {statuses: [Grpc.RESOURCE_EXHAUSTED], exclude: true}}), sampled]),
  alerts: requests,
  pages: requests,
  calls,
  'calls-but-health-checks': filter({case: 'andFilter', value: {filters: [unless(':authority', envoyNames.healthHost), calls]}}),
}

type FilterSpecifier = NonNullable<MessageInitShape<typeof AccessLogFilterSchema>['filterSpecifier']>

function filter(filterSpecifier: FilterSpecifier): AccessLogFilter {
  return create(AccessLogFilterSchema, {filterSpecifier})
}

function any(alternatives: AccessLogFilter[]): AccessLogFilter {
  return filter({case: 'orFilter', value: {filters: alternatives}})
}

/** A comparison with a fixed number. Envoy requires a runtime key; no layer of Atlas's bootstraps sets it. */
export function atLeast(defaultValue: number, runtimeKey: string) {
  return {op: ComparisonFilter_Op.GE, value: {defaultValue, runtimeKey}}
}

function unless(name: string, exact: string): AccessLogFilter {
  const headerMatchSpecifier = {case: 'stringMatch' as const, value: {matchPattern: {case: 'exact' as const, value: exact}}}
  return filter({case: 'headerFilter', value: {header: {name, headerMatchSpecifier, invertMatch: true}}})
}

function log(format: JsonObject, chosen: AccessLogFilter | undefined): AccessLog {
  return create(AccessLogSchema, {
    ...extension('envoy.access_loggers.stdout', StdoutAccessLogSchema, {
      accessLogFormat: {case: 'logFormat', value: {format: {case: 'jsonFormat', value: format}, omitEmptyValues: true}},
    }),
    ...(chosen === undefined ? {} : {filter: chosen}),
  })
}
