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

/** What Thanos Query asks each endpoint again and again, to learn what it holds. */
const THANOS_INFO = '/thanos.info.Info/Info'

/**
 * Where a connection ends, and why: a refused client certificate shows its reason here and nowhere else
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
 * One line per request, when it ends. On the Thanos path (`unlogged: 'routine'`) all that went well of what Thanos Query asks every
 * few seconds of every replica is left out: it would be most of the log. With `'health-checks'` those too: only where their host
 * name leads nowhere else, or whoever sends it would go unseen.
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

const asks = create(AccessLogFilterSchema, {
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
  routine: asks,
  'health-checks': create(AccessLogFilterSchema, {
    filterSpecifier: {case: 'andFilter', value: {filters: [unless(':authority', envoyNames.healthHost), asks]}},
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
