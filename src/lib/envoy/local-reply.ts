/**
 * What listeners answer themselves instead of Envoy's own few words: those of web pages where a page is not found or what is behind it does not
 * answer, and those of the Thanos path where no route takes a call. Nothing of the fleet is in these texts. Those of web pages have of the request
 * only the digits of its port. Denials of single paths have their text in page-route.ts.
 */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import {type AccessLogFilter, AccessLogFilterSchema} from '../../gen/envoy/config/accesslog/v3/accesslog_pb.js'
import {HeaderValueOption_HeaderAppendAction as AppendAction} from '../../gen/envoy/config/core/v3/base_pb.js'
import {
  type LocalReplyConfig,
  LocalReplyConfigSchema,
  type ResponseMapper,
  ResponseMapperSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import type {StringMatcherSchema} from '../../gen/envoy/type/matcher/v3/string_pb.js'
import {type PageKind, envoyNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {atLeast} from './access-log.js'
import {PAGE_METADATA} from './page-filter.js'

/** 10904 and 10902. `hasStartPage`: whether the listener has the start page at `/`, which 10902 has not. */
export function ingressReplies({webDomain, pagesByPath}: Settings, {hasStartPage}: {readonly hasStartPage: boolean}): LocalReplyConfig {
  const byHost = webDomain === undefined ? [] : [`//${webDomain}/`]
  const byPath = hasStartPage && (webDomain === undefined || pagesByPath) ? ['/'] : []
  const links = [...byHost, ...byPath]
  return replies([
    ...both([isFailure, isPage], {...noEnvoy, links}),
    ...both([isFailure], {...noServer, links: []}),
    ...both([isNotFound], {...noPage, links}),
  ])
}

/** 11902 to 11904. The start page stands at the observability Envoy; a reply of these is shown below the page's own address. */
export function pageReplies(kind: PageKind): LocalReplyConfig {
  return replies([...both([isFailure], {...noTarget(kind), links: []}), ...both([isNotFound], {...noReplica, links: []})])
}

/**
 * 10901 and 11901. A gRPC client is shown the text as the message of its status, which stays UNIMPLEMENTED; without a text Envoy sends none.
 * Requests that are not gRPC keep their 404 without a body.
 * @param services the beginnings of the paths that the listener's routes take
 */
export function callReplies(side: keyof typeof noEndpoint, services: readonly string[]): LocalReplyConfig {
  const isService = any(services.map(service => beginsWith(':path', service)))
  const message = (conditions: readonly AccessLogFilter[], words: string): ResponseMapper =>
    mapper({conditions: [isNotFound, isCall, ...conditions], body: words, contentType: 'text/plain'})
  return replies([message([isService], noEndpoint[side]), message([], noService)])
}

/** As much of a host name or a path as a message repeats; Envoy escapes what is not printable in it. */
const REPEATED = 200

const noEndpoint = {
  observability: `Atlas has no Thanos endpoint "%REQ(:AUTHORITY):${REPEATED}%": its cluster is not registered, is cut off, or has no address or fewer replicas. The endpoints file and "atlas cluster show" have the names, in lower case.`,
  downstream: `The Envoy of this cluster has no Thanos endpoint "%REQ(:AUTHORITY):${REPEATED}%" yet. "atlas status" shows whether it has taken its newest configuration.`,
} as const

const noService = `Only gRPC calls of Thanos, health and reflection pass here, not %REQ(:PATH):${REPEATED}%.`

interface Reply {
  readonly what: string
  /** Why, and what to do. */
  readonly lines: readonly string[]
  /** Addresses of the start page. */
  readonly links: readonly string[]
}

type Words = Omit<Reply, 'links'>

const noPage: Words = {
  what: 'There is no page at this address.',
  lines: [
    'The address is mistyped, no cluster of this name is registered, or pages of this kind of address (by path, by host name) are switched off.',
    'The start page has a link to each page that there is.',
  ],
}

const noEnvoy: Words = {
  what: 'The Envoy of this cluster does not answer.',
  lines: [
    'The page is behind the Envoy of a downstream cluster, which the observability Envoy does not reach (%RESPONSE_FLAGS%).',
    'The start page and `atlas status` show what is wrong with the cluster and what to do.',
  ],
}

const noServer: Words = {
  what: 'The Atlas server does not answer.',
  lines: [
    'The start page is made by `atlas serve`, which the observability Envoy does not reach (%RESPONSE_FLAGS%). Pages of clusters and queries do not depend on it.',
    'Look whether a server runs, and at its log.',
  ],
}

const noReplica: Words = {
  what: 'There is no such replica.',
  lines: ['The cluster has fewer replicas than the number in this address.', '`atlas cluster show` has the addresses of all of them.'],
}

function noTarget(kind: PageKind): Words {
  return {
    what: `The ${products[kind]} behind this page does not answer.`,
    lines: [
      `The Envoy of the cluster is there, but does not reach the address that the registration has for this page (%RESPONSE_FLAGS%).`,
      `Look whether the ${products[kind]} runs, and whether \`atlas cluster show\` has its address.`,
    ],
  }
}

const products: Readonly<Record<PageKind, string>> = {prom: 'Prometheus', alertmanager: 'Alertmanager', thanos: 'Thanos'}

/** As HTML for a browser, which names it first, and as text for everyone else. */
function both(conditions: readonly AccessLogFilter[], reply: Reply): readonly ResponseMapper[] {
  return [
    mapper({
      conditions: [...conditions, prefersHtml],
      body: html(reply),
      contentType: 'text/html; charset=utf-8',
      headersToAdd: [noScripts],
    }),
    mapper({conditions, body: text(reply), contentType: 'text/plain; charset=utf-8', headersToAdd: [noScripts]}),
  ]
}

function text({what, lines, links}: Reply): string {
  return `${[what, ...lines, ...links.map(link => `Start page: ${withPort(link)}`)].join('\n')}\n`
}

function html({what, lines, links}: Reply): string {
  const paragraphs = lines.map(line => `<p>${line.replaceAll(/`([^`]*)`/g, '<code>$1</code>')}</p>`)
  const anchors = links.map(withPort).map(link => `<p><a href="${link}">Start page ${link}</a></p>`)
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${what}</title>\n<h1>${what}</h1>\n${[...paragraphs, ...anchors].join('\n')}\n</html>\n`
}

/** An address on another host has the port that the request has used (page-filter.ts). */
function withPort(link: string): string {
  return link.replace(/^(\/\/[^/]+)/, `$1%DYNAMIC_METADATA(${PAGE_METADATA}:port)%`)
}

function replies(mappers: readonly ResponseMapper[]): LocalReplyConfig {
  return create(LocalReplyConfigSchema, {mappers: [...mappers]})
}

interface Mapper extends Pick<MessageInitShape<typeof ResponseMapperSchema>, 'headersToAdd'> {
  readonly conditions: readonly AccessLogFilter[]
  readonly body: string
  readonly contentType: string
}

/** The first mapper whose filter matches is used. */
function mapper({conditions, body, contentType, headersToAdd = []}: Mapper): ResponseMapper {
  const [only, ...others] = conditions
  return create(ResponseMapperSchema, {
    ...(only === undefined ? {} : {filter: others.length === 0 ? only : all(conditions)}),
    bodyFormatOverride: {
      format: {case: 'textFormatSource', value: {specifier: {case: 'inlineString', value: body}}},
      contentType,
      // A request without a port leaves nothing in its place.
      omitEmptyValues: body.includes('%DYNAMIC_METADATA'),
    },
    headersToAdd,
  })
}

const noScripts = {
  header: {key: 'content-security-policy', value: "default-src 'none'"},
  appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
} as const

function any(filters: readonly AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilterSchema, {filterSpecifier: {case: 'orFilter', value: {filters: [...filters]}}})
}

function all(filters: readonly AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilterSchema, {filterSpecifier: {case: 'andFilter', value: {filters: [...filters]}}})
}

/** Envoy has no connection, or lost it before the answer. */
const isFailure = create(AccessLogFilterSchema, {
  filterSpecifier: {case: 'statusCodeFilter', value: {comparison: atLeast(500, 'atlas.local_reply_status')}},
})

/** No scope, no virtual host, or no route. */
const isNotFound = create(AccessLogFilterSchema, {filterSpecifier: {case: 'responseFlagFilter', value: {flags: ['NR']}}})

/** The host name that page-filter.ts has given to a request for a page; one for the start page keeps its own. */
const isPage = beginsWith(':authority', envoyNames.pageHost())

const prefersHtml = beginsWith('accept', 'text/html')

/** What Envoy takes for a gRPC request, and answers as such. */
const isCall = any([headerIs('content-type', {case: 'exact', value: 'application/grpc'}), beginsWith('content-type', 'application/grpc+')])

function beginsWith(name: string, prefix: string): AccessLogFilter {
  return headerIs(name, {case: 'prefix', value: prefix})
}

function headerIs(name: string, matchPattern: NonNullable<MessageInitShape<typeof StringMatcherSchema>['matchPattern']>): AccessLogFilter {
  const headerMatchSpecifier = {case: 'stringMatch' as const, value: {matchPattern}}
  return create(AccessLogFilterSchema, {filterSpecifier: {case: 'headerFilter', value: {header: {name, headerMatchSpecifier}}}})
}
