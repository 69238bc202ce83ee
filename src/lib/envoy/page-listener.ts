/**
 * Listeners for web pages: 10904 and 10902 of the observability Envoy, for an ingress, and 11902 to 11904 of a downstream Envoy. As in
 * listener.ts, not a byte of them depends on which clusters are registered.
 */
import {create} from '@bufbuild/protobuf'
import {HeaderValueOption_HeaderAppendAction as AppendAction} from '../../gen/envoy/config/core/v3/base_pb.js'
import {type TypedExtensionConfig, TypedExtensionConfigSchema} from '../../gen/envoy/config/core/v3/extension_pb.js'
import type {Listener} from '../../gen/envoy/config/listener/v3/listener_pb.js'
import {BufferSchema} from '../../gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.js'
import {
  HttpConnectionManagerSchema,
  HttpConnectionManager_CodecType as Codec,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  type HttpFilter,
  HttpFilterSchema,
  type ScopedRoutes_ScopeKeyBuilder_FragmentBuilder as FragmentBuilder,
  ScopedRoutes_ScopeKeyBuilder_FragmentBuilderSchema as FragmentBuilderSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {HeaderMutationSchema} from '../../gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.js'
import type {HostPort} from '../model/address.js'
import type {InternalPort} from '../model/internal-ports.js'
import {type PageKind, envoyNames, pageKinds, spiffe} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {requestLog} from './access-log.js'
import {duration, extension, fromAds} from './core.js'
import {http2} from './http2.js'
import {common, internalProtection, listener} from './listener.js'
import {ingressReplies, pageReplies} from './local-reply.js'
import {NONE, START_PATHS} from './page-route.js'
import {byHost, pageFilter, SCOPE_HEADER, SCOPE_HOST_HEADER, startPage} from './page-filter.js'
import {deliveredSecrets, downstreamTls, type PeerName} from './tls.js'

/** Connections that one listener holds at a time; browsers open up to six each, an ingress as many as it has requests. */
const MAX_CONNECTIONS = 4096

/**
 * Seconds until a response ends of which nothing was sent. Longer than any query takes; a page's live notifications may be silent for
 * longer, and browsers then open them again.
 */
const IDLE_TIMEOUT = 600

/** Seconds within which a request must have arrived whole, and the most that its body may have: a query, a silence. */
const REQUEST_TIMEOUT = 60
const MAX_REQUEST_BYTES = 4 * 1024 * 1024

/** A query by GET stands in the path. */
const MAX_HEADERS_KIB = 60
const MAX_HEADERS = 100

/** 10904: every page, by host name and by path, and the start page. Plaintext on the node's local address, or mutual TLS. */
export function pagesListener(settings: Settings, at: HostPort): Listener {
  const scopeOfPath = `request.url_path in [${START_PATHS.map(quoted).join(', ')}] ? ${quoted(startPage)} : request.url_path`
  return ingressListener(settings, {name: envoyNames.pages, port: 10_904, at, kinds: pageKinds, scopeOfPath, hasStartPage: true})
}

/** 10902: the pages of Thanos alone; the rest as 10904. */
export function thanosPagesListener(settings: Settings, at: HostPort): Listener {
  const scopeOfPath = `request.url_path.startsWith('/thanos/') ? request.url_path : '/-/-'`
  return ingressListener(settings, {name: envoyNames.thanosPages, port: 10_902, at, kinds: ['thanos'], scopeOfPath, hasStartPage: false})
}

/** 11902 to 11904: admits the observability Envoy alone. */
export function pageListener({trustDomain, timeouts}: Settings, kind: PageKind, at: HostPort): Listener {
  const observability: PeerName = {exact: spiffe.observability(trustDomain)}
  const name = envoyNames.page(kind)
  return listener({
    name,
    at,
    connections: MAX_CONNECTIONS,
    manager: create(HttpConnectionManagerSchema, {
      ...pageCommon(name, []),
      localReplyConfig: pageReplies(kind),
      codecType: Codec.HTTP2,
      routeSpecifier: {case: 'rds', value: {routeConfigName: name, configSource: fromAds}},
      commonHttpProtocolOptions: {maxHeadersCount: MAX_HEADERS, maxConnectionDuration: duration(timeouts.thanosConnection)},
      http2ProtocolOptions: http2('bulk', timeouts, MAX_STREAMS),
    }),
    tls: downstreamTls(deliveredSecrets(envoyNames.trust), [observability]),
    admits: [observability],
  })
}

/** Requests on one connection at a time. */
const MAX_STREAMS = 1024

interface IngressSpec {
  readonly name: string
  readonly port: InternalPort
  readonly at: HostPort
  readonly kinds: readonly PageKind[]
  /** A CEL expression: what stands in `SCOPE_HEADER` for a request whose host name is not that of a page. */
  readonly scopeOfPath: string
  readonly hasStartPage: boolean
}

function ingressListener(settings: Settings, {name, port, at, kinds, scopeOfPath, hasStartPage}: IngressSpec): Listener {
  const protection = internalProtection(settings, port, 'AUTO')
  const key = scopeKey(settings, kinds, scopeOfPath)
  return listener({
    name,
    at,
    internal: true,
    connections: MAX_CONNECTIONS,
    manager: create(HttpConnectionManagerSchema, {
      ...pageCommon(name, [pageFilter(), bodyLimit()]),
      codecType: protection.codecType,
      localReplyConfig: ingressReplies(settings, {hasStartPage}),
      earlyHeaderMutationExtensions: [key.headers],
      routeSpecifier: {
        case: 'scopedRoutes',
        value: {
          name,
          scopeKeyBuilder: {fragments: [...key.fragments]},
          rdsConfigSource: fromAds, // required, but unused: the scopes carry their routes
          configSpecifier: {case: 'scopedRds', value: {scopedRdsConfigSource: fromAds}},
        },
      },
      commonHttpProtocolOptions: {maxHeadersCount: MAX_HEADERS, ...protection.limits},
      http2ProtocolOptions: http2('bulk', settings.timeouts, MAX_STREAMS),
    }),
    ...protection.transport,
  })
}

/**
 * How a request chooses its scope. A scope's key has three parts: kind and cluster from the path, or the host name without its port. All
 * scopes of an Envoy share one key space, in which 10901 has keys of one part (docs/explanation/envoy.md#web-pages). Envoy overwrites both headers
 * before it looks at them, so a client's own have no effect.
 */
function scopeKey({webDomain}: Settings, kinds: readonly PageKind[], scopeOfPath: string) {
  const isHost =
    webDomain === undefined
      ? undefined
      : `request.headers[':authority'].matches('^[a-z0-9-]+[.](${kinds.join('|')})[.]${webDomain.replaceAll('.', '[.]')}(:[0-9]+)?$')`
  const [page, host] =
    isHost === undefined
      ? [`%CEL(${scopeOfPath})%`, NONE]
      : [`%CEL(${isHost} ? ${quoted(byHost)} : (${scopeOfPath}))%`, `%CEL(${isHost} ? request.headers[':authority'] : ${quoted(NONE)})%`]
  return {
    headers: overwrite({[SCOPE_HEADER]: page, [SCOPE_HOST_HEADER]: host}),
    fragments: [part(SCOPE_HEADER, '/', 1), part(SCOPE_HEADER, '/', 2), part(SCOPE_HOST_HEADER, ':', 0)],
  }
}

function overwrite(headers: Readonly<Record<string, string>>): TypedExtensionConfig {
  const mutation = extension('envoy.http.early_header_mutation.header_mutation', HeaderMutationSchema, {
    mutations: Object.entries(headers).map(([key, value]) => ({
      action: {case: 'append' as const, value: {header: {key, value}, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD}},
    })),
  })
  return create(TypedExtensionConfigSchema, {name: mutation.name, typedConfig: mutation.configType.value})
}

function part(name: string, elementSeparator: string, index: number): FragmentBuilder {
  return create(FragmentBuilderSchema, {
    type: {case: 'headerValueExtractor', value: {name, elementSeparator, extractType: {case: 'index', value: index}}},
  })
}

function quoted(text: string): string {
  return `'${text}'`
}

function bodyLimit(): HttpFilter {
  return create(HttpFilterSchema, extension('envoy.filters.http.buffer', BufferSchema, {maxRequestBytes: MAX_REQUEST_BYTES}))
}

/** Envoy brings a path into its one spelling before it is routed, and refuses escaped slashes, so that no spelling gets around a denial. */
function pageCommon(name: string, filters: readonly HttpFilter[]) {
  return {
    ...common(name, filters),
    accessLog: [requestLog(name, 'pages')],
    streamIdleTimeout: duration(IDLE_TIMEOUT),
    requestTimeout: duration(REQUEST_TIMEOUT),
    maxRequestHeadersKb: MAX_HEADERS_KIB,
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: EscapedSlashes.REJECT_REQUEST,
  }
}
