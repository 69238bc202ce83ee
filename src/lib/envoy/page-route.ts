/**
 * Routes of web pages. At the observability Envoy: one scope for each cluster and kind of page, by path and by host name, and one for the
 * start page. At a downstream Envoy: what a page may be asked for, and the replica that answers. What a request's headers and path
 * become on the way: page-filter.ts.
 */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import {
  type Route,
  type RouteMatch,
  RouteMatchSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '../../gen/envoy/config/route/v3/route_components_pb.js'
import {type RouteConfiguration, RouteConfigurationSchema} from '../../gen/envoy/config/route/v3/route_pb.js'
import type {ScopedRouteConfiguration} from '../../gen/envoy/config/route/v3/scoped_route_pb.js'
import {type Cluster, type ClusterServices, targetOf} from '../model/cluster.js'
import {type ClusterName, type PageKind, envoyNames, pageHostName, pageKinds} from '../model/names.js'
import {pageReplicas, pageTarget} from '../model/page.js'
import {renderHostPort} from '../model/address.js'
import type {Settings} from '../model/settings.js'
import {byHost, LUA_FILTER, startPage} from './page-filter.js'
import {longStream, methodIs, pathRoute, scope} from './route.js'

/** `/prom/<cluster>/`: the key is the kind and the cluster's name, which the listener cuts from the path. */
export function pagePathScope(settings: Settings, cluster: Cluster, kind: PageKind): ScopedRouteConfiguration {
  return pageScope(settings, cluster, {kind, name: envoyNames.pageOf(kind, cluster.name), key: [kind, cluster.name, NONE]})
}

/** `<cluster>.prom.<domain>`: the key is the host name, without a port. */
export function pageHostScope(settings: Settings, cluster: Cluster, kind: PageKind, domain: string): ScopedRouteConfiguration {
  const key = [...keyOf(byHost), pageHostName(kind, cluster.name, domain)]
  return pageScope(settings, cluster, {kind, name: envoyNames.pageHostOf(kind, cluster.name), key})
}

/** The start page, made by `atlas serve`, and the same as JSON. */
export function startPageScope({timeouts}: Settings): ScopedRouteConfiguration {
  const action = longStream(envoyNames.pagesServers, timeouts.thanosConnection)
  return scope(envoyNames.pages, [...keyOf(startPage), NONE], [anyHost(START_PATHS.map(path => pathRoute(path, action)))])
}

/** The paths of the server's own pages. */
export const START_PATHS = ['/', '/status.json'] as const

/** The fragment of a scope's key that only host names have. */
export const NONE = '-'

/** 11902 to 11904: `page` is answered by the first replica that is there, `page-<i>` by replica i. */
export function downstreamPageRoutes(settings: Settings, cluster: ClusterServices, kind: PageKind): RouteConfiguration {
  const virtualHosts = [undefined, ...pageReplicas(cluster, kind)].map(replica => host(settings, cluster, {kind, replica}))
  return create(RouteConfigurationSchema, {name: envoyNames.page(kind), virtualHosts})
}

/** The same for a page that Atlas refuses to show: the answer says why. */
export function refusedPageRoutes(cluster: Cluster, kind: PageKind): RouteConfiguration {
  return create(RouteConfigurationSchema, {name: envoyNames.page(kind), virtualHosts: [refusedHost(cluster, kind)]})
}

interface ScopeSpec {
  readonly kind: PageKind
  readonly name: string
  readonly key: readonly string[]
}

function pageScope({timeouts}: Settings, cluster: Cluster, {kind, name, key}: ScopeSpec): ScopedRouteConfiguration {
  const own = cluster.pages.paths[kind]
  const action = longStream(envoyNames.pageOf(kind, cluster.name), timeouts.thanosConnection)
  const route = create(RouteSchema, {
    match: anyPath(),
    action: {case: 'route', value: action},
    ...(own === '' ? {} : {metadata: {filterMetadata: {[LUA_FILTER]: {path: own}}}}),
  })
  return scope(name, key, [anyHost([route])])
}

/** Every request that the scope gets: its key has said already whose page it is. */
function anyHost(routes: Route[]): VirtualHost {
  return create(VirtualHostSchema, {name: VIRTUAL_HOST, domains: ['*'], routes})
}

const VIRTUAL_HOST = 'page'

/** As the listener cuts a header's value at "/". */
function keyOf(value: string): readonly string[] {
  return value.split('/').slice(1)
}

function host(
  {timeouts}: Settings,
  cluster: ClusterServices,
  {kind, replica}: {readonly kind: PageKind; readonly replica: number | undefined},
): VirtualHost {
  const target = targetOf(pageTarget(cluster, kind), replica ?? 0)
  const action = {
    ...longStream(envoyNames.page(kind, replica), timeouts.thanosConnection),
    hostRewriteSpecifier: {case: 'hostRewriteLiteral' as const, value: renderHostPort(target)},
    ...(cluster.pages.paths[kind] === '' ? {} : {prefixRewrite: `${cluster.pages.paths[kind]}/`}),
  }
  return create(VirtualHostSchema, {
    name: envoyNames.pageHost(replica),
    domains: [envoyNames.pageHost(replica)],
    routes: [...deniedRoutes(cluster, kind), {match: anyPath(), action: {case: 'route', value: action}}],
  })
}

function refusedHost({name}: Cluster, kind: PageKind): VirtualHost {
  const text = `The registration of ${name} names an address of its Envoy's own machine or network for the ${kind} page; Atlas shows it only with goatlas.io/allow-local-targets: "true".\n`
  return anyHost([denial(anyPath(), text)])
}

/**
 * What a page is not asked for: administration, lifecycle, profiles, and whatever writes. The listener has brought the path into its one
 * spelling before, and refuses escaped slashes (docs/explanation/envoy.md#web-pages); a pattern matches the whole path.
 */
function deniedRoutes({pages}: ClusterServices, kind: PageKind): readonly Route[] {
  const admin = pages.allowAdmin ? [] : denied[kind].map(path => denial(below(path), ADMIN_DENIED))
  const alerts =
    kind === 'alertmanager' && !pages.allowAdmin ? [denial(below(`${ROUTE_PREFIX}/api/${VERSIONS}/alerts`, 'POST'), ADMIN_DENIED)] : []
  const silences = ['POST', 'DELETE', 'PUT'].map(each => denial(below(`${ROUTE_PREFIX}/api/${VERSIONS}/silences?`, each), SILENCES_DENIED))
  return [...admin, ...alerts, ...(kind === 'alertmanager' && !pages.allowSilences ? silences : [])]
}

const ADMIN_DENIED = 'Atlas does not pass this path on; the registration allows it with goatlas.io/allow-admin: "true".\n'
const SILENCES_DENIED = 'The registration denies silences: goatlas.io/allow-silences: "false".\n'

/** A server may have a route prefix that its registration does not name: the same paths are denied below any. */
const ROUTE_PREFIX = '(/.*)?'

/** Alertmanager serves version 1 of its API up to 0.26. */
const VERSIONS = 'v[12]'

/** Not /debug below any prefix: Prometheus may have a label of that name. */
const PROFILES = `/debug|${ROUTE_PREFIX}/debug/pprof`

const denied: Readonly<Record<PageKind, readonly string[]>> = {
  alertmanager: [`${ROUTE_PREFIX}/-/reload`, `(${PROFILES})`],
  prom: [`${ROUTE_PREFIX}/api/v1/(admin|write|read|otlp)`, `${ROUTE_PREFIX}/-/(quit|reload)`, `(${PROFILES})`],
  thanos: [`${ROUTE_PREFIX}/-/(quit|reload)`, `${ROUTE_PREFIX}/api/v1/blocks/(cleanup|mark)`, `(${PROFILES})`],
}

/** The path itself and everything below it; with a method, only for that. */
function below(pattern: string, method?: string): RouteMatch {
  const path: MessageInitShape<typeof RouteMatchSchema> = {pathSpecifier: {case: 'safeRegex', value: {regex: `${pattern}(/.*)?`}}}
  if (method === undefined) return create(RouteMatchSchema, path)
  return create(RouteMatchSchema, {...path, headers: [methodIs(method)]})
}

function anyPath(): RouteMatch {
  return create(RouteMatchSchema, {pathSpecifier: {case: 'prefix', value: '/'}})
}

function denial(match: RouteMatch, text: string): Route {
  return create(RouteSchema, {
    match,
    action: {case: 'directResponse', value: {status: 403, body: {specifier: {case: 'inlineString', value: text}}}},
  })
}

/** The names of a cluster's scopes, of both ways. */
export function pageScopeNames(name: ClusterName): readonly string[] {
  return pageKinds.flatMap(kind => [envoyNames.pageOf(kind, name), envoyNames.pageHostOf(kind, name)])
}
