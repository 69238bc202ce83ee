/** Access logs: JSON lines on standard output, one per request and one per connection. */
import {create, type JsonObject} from '@bufbuild/protobuf'
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
} from '../../gen/envoy/config/accesslog/v3/accesslog_pb.js'
import {StdoutAccessLogSchema} from '../../gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js'
import {extension} from './pieces.js'

/** Where a connection ends, and why: a refused client certificate shows its reason here and nowhere else (facts/envoy.md 2). */
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
    undefined,
  )
}

/**
 * One line per request, when it ends. Requests for `unlogged` are left out: only where that host name leads nowhere but to the
 * health check, or whoever sends it would go unseen.
 */
export function requestLog(listener: string, unlogged?: string): AccessLog {
  return log(
    {
      log: 'request',
      listener,
      time: '%START_TIME%',
      from: '%DOWNSTREAM_REMOTE_ADDRESS%',
      peer: '%DOWNSTREAM_PEER_URI_SAN%',
      authority: '%REQ(:AUTHORITY)%',
      method: '%REQ(:METHOD)%',
      path: '%REQ(:PATH)%',
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
    unlogged === undefined ? undefined : notFor(unlogged),
  )
}

function notFor(host: string): AccessLogFilter {
  return create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'headerFilter',
      value: {
        header: {
          name: ':authority',
          headerMatchSpecifier: {case: 'stringMatch', value: {matchPattern: {case: 'exact', value: host}}},
          invertMatch: true,
        },
      },
    },
  })
}

function log(format: JsonObject, filter: AccessLogFilter | undefined): AccessLog {
  return create(AccessLogSchema, {
    ...extension('envoy.access_loggers.stdout', StdoutAccessLogSchema, {
      accessLogFormat: {case: 'logFormat', value: {format: {case: 'jsonFormat', value: format}, omitEmptyValues: true}},
    }),
    ...(filter === undefined ? {} : {filter}),
  })
}
