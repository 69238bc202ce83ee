/**
 * Routes of alerts. A downstream Envoy announces every Alertmanager of the observability cluster to its Prometheus (`GET
 * /sd/alertmanagers`, for `http_sd_configs`), each with a path of its own; the observability Envoy takes that path to the Alertmanager.
 * Prometheus must send each alert to every Alertmanager itself: Alertmanagers do not pass alerts on to each other.
 */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import {HeaderValueOption_HeaderAppendAction as AppendAction} from '../../gen/envoy/config/core/v3/base_pb.js'
import {
  HeaderMatcherSchema,
  type Route,
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '../../gen/envoy/config/route/v3/route_components_pb.js'
import {type RouteConfiguration, RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import {type Alertmanager, alertmanagerHost} from '../model/alertmanager.js'
import {type HostPort, renderHostPort} from '../model/address.js'
import {envoyNames} from '../model/names.js'
import {duration} from './core.js'
import {denyRoutes} from './rbac.js'
import {type Action, domainsOf, methodIs, onceIfUnsent} from './route.js'

/** The path of an Alertmanager's alerts, version 2 of its API: the only one that Prometheus 3 uses. */
const ALERTS = '/api/v2/alerts'

/** Where a downstream Envoy announces the Alertmanagers. */
const DISCOVERY = '/sd/alertmanagers'

/** The label from which `relabel_configs` take an Alertmanager's path; Prometheus 2 ignores `__alerts_path__` set directly. */
const PATH_LABEL = 'am_path'

/** Bytes of a request with alerts. Its length must be in its header, so that nothing is buffered to count it. */
const MAX_BYTES = 4 * 1024 * 1024

/** Seconds until a request with alerts is given up: Prometheus itself waits 10 s. */
const TIMEOUT = 10

/** Names the sender of an alert: the URI in its Envoy's certificate. */
const SENDER_HEADER = 'x-atlas-sender'

/** Observability 10903: `POST /am/<name>/api/v2/alerts`, and nothing else. Cookies and logins of a sender reach no Alertmanager. */
export function alertRoutes(alertmanagers: readonly Alertmanager[], denied: readonly string[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: envoyNames.alerts,
    virtualHosts: [
      {
        name: envoyNames.alerts,
        domains: ['*'],
        routes: alertmanagers.flatMap(({name}) => posts(alertPath(name), {...toOne(envoyNames.alertmanager(name)), prefixRewrite: ALERTS})),
      },
    ],
    requestHeadersToAdd: [
      {header: {key: SENDER_HEADER, value: '%DOWNSTREAM_PEER_URI_SAN%'}, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD},
    ],
    requestHeadersToRemove: ['authorization', 'cookie', 'proxy-authorization'],
    typedPerFilterConfig: denyRoutes(denied),
  })
}

/**
 * Downstream 10903: the list of Alertmanagers, the path of each, and for configurations of the 2021 program each by a host name of its
 * own, `alertmanager<N>`.
 * @param at where the Prometheus of the cluster reaches this listener
 */
export function alertRelayRoutes(alertmanagers: readonly Alertmanager[], at: HostPort): RouteConfiguration {
  const body = JSON.stringify(
    alertmanagers.map(({name}) => ({targets: [renderHostPort(at)], labels: {[PATH_LABEL]: alertPath(name), alertmanager: name}})),
  )
  return create(RouteConfigurationSchema, {
    name: envoyNames.alerts,
    maxDirectResponseBodySizeBytes: Math.max(body.length, ENVOY_BODY_LIMIT),
    virtualHosts: [
      {
        name: envoyNames.alerts,
        domains: ['*'],
        routes: [list(body), ...alertmanagers.flatMap(({name}) => posts(alertPath(name), toOne(envoyNames.alerts)))],
      },
      ...alertmanagers.map(({name}, index) => namedHost(alertmanagerHost(index), name)),
    ],
  })
}

/** Of a body that Envoy sends itself, unless the routes raise it. */
const ENVOY_BODY_LIMIT = 4096

function alertPath(name: string): string {
  return `/am/${name}${ALERTS}`
}

function namedHost(host: string, name: string): VirtualHost {
  return create(VirtualHostSchema, {
    name: host,
    domains: [...domainsOf(host)],
    routes: posts(ALERTS, {...toOne(envoyNames.alerts), prefixRewrite: alertPath(name)}),
  })
}

function list(body: string): Route {
  return create(RouteSchema, {
    match: {pathSpecifier: {case: 'path', value: DISCOVERY}, headers: [methodIs('GET')]},
    action: {case: 'directResponse', value: {status: 200, body: {specifier: {case: 'inlineString', value: body}}}},
    responseHeadersToAdd: [
      {header: {key: 'content-type', value: 'application/json'}, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD},
    ],
  })
}

/** A request is sent again once where it did not reach the other side; an alert that arrives twice is the same alert. */
function toOne(cluster: string): Action {
  return {clusterSpecifier: {case: 'cluster', value: cluster}, timeout: duration(TIMEOUT), retryPolicy: onceIfUnsent}
}

/** `POST` with a length in bounds is passed on. A longer one, or one that does not state its length, gets 413 and 411 (RFC 9110, 15.5). */
function posts(path: string, action: Action): Route[] {
  const post = (...headers: MessageInitShape<typeof HeaderMatcherSchema>[]) =>
    create(RouteMatchSchema, {
      pathSpecifier: {case: 'path', value: path},
      headers: [methodIs('POST'), ...headers].map(header => create(HeaderMatcherSchema, header)),
    })
  const within = {
    name: 'content-length',
    headerMatchSpecifier: {case: 'rangeMatch' as const, value: {start: 0n, end: BigInt(MAX_BYTES) + 1n}},
  }
  const stated = {name: 'content-length', headerMatchSpecifier: {case: 'presentMatch' as const, value: true}}
  return [
    create(RouteSchema, {match: post(within), action: {case: 'route', value: create(RouteActionSchema, action)}}),
    create(RouteSchema, {match: post(stated), action: {case: 'directResponse', value: {status: 413}}}),
    create(RouteSchema, {match: post(), action: {case: 'directResponse', value: {status: 411}}}),
  ]
}
