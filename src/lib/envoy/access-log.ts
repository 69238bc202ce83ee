/** Access logs: JSON lines on standard output, one per request and one per connection. */
import {create, type JsonObject} from '@bufbuild/protobuf'
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
  GrpcStatusFilter_Status,
} from '../../gen/envoy/config/accesslog/v3/accesslog_pb.js'
import {StdoutAccessLogSchema} from '../../gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js'
import {envoyNames} from '../model/names.js'
import {extension} from './core.js'

/** Thanos Query calls it on each endpoint every few seconds, to learn which labels and times the endpoint has. */
const THANOS_INFO = '/thanos.info.Info/Info'

/**
 * One line per connection, when it ends. The only place where Envoy shows why it refused a client certificate
 * (docs/explanation/envoy.md#refused-certificates).
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
    undefined,
  )
}

/**
 * One line per request, when it ends. `unlogged: 'routine'` leaves out successful calls of `Info`, which would be most of the log on
 * the Thanos path. `'health-checks'` leaves out health checks too, by their host name: only for a listener where that name leads
 * nowhere else, because any client can send it.
 */
export function requestLog(listener: string, unlogged: 'health-checks' | 'nothing' | 'routine'): AccessLog {
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
    filters[unlogged],
  )
}

const routine = create(AccessLogFilterSchema, {
  filterSpecifier: {
    case: 'orFilter',
    value: {
      filters: [
        unless(':path', THANOS_INFO),
        {filterSpecifier: {case: 'grpcStatusFilter', value: {statuses: [GrpcStatusFilter_Status.OK], exclude: true}}},
      ],
    },
  },
})

const filters = {
  nothing: undefined,
  routine,
  'health-checks': create(AccessLogFilterSchema, {
    filterSpecifier: {case: 'andFilter', value: {filters: [unless(':authority', envoyNames.healthHost), routine]}},
  }),
}

function unless(name: string, exact: string): AccessLogFilter {
  return create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: 'headerFilter',
      value: {
        header: {
          name,
          headerMatchSpecifier: {case: 'stringMatch', value: {matchPattern: {case: 'exact', value: exact}}},
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
