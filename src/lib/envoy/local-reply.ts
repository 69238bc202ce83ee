/**
 * What the listeners of web pages answer themselves instead of Envoy's own few words, where a page is not found or what is behind it does not answer.
 * The texts are fixed: of a request only the digits of its port are in them, and nothing of the fleet. Denials of single paths have their text in page-route.ts.
 */
import {create} from '@bufbuild/protobuf'
import {type AccessLogFilter, AccessLogFilterSchema} from '../../gen/envoy/config/accesslog/v3/accesslog_pb.js'
import {HeaderValueOption_HeaderAppendAction as AppendAction} from '../../gen/envoy/config/core/v3/base_pb.js'
import {
  type LocalReplyConfig,
  LocalReplyConfigSchema,
  type ResponseMapper,
  ResponseMapperSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
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
    mapper([...conditions, prefersHtml], html(reply), 'text/html; charset=utf-8'),
    mapper(conditions, text(reply), 'text/plain; charset=utf-8'),
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

/** The first mapper whose filter matches is used. */
function mapper(conditions: readonly AccessLogFilter[], body: string, contentType: string): ResponseMapper {
  const [only, ...others] = conditions
  return create(ResponseMapperSchema, {
    ...(only === undefined ? {} : {filter: others.length === 0 ? only : all(conditions)}),
    bodyFormatOverride: {
      format: {case: 'textFormatSource', value: {specifier: {case: 'inlineString', value: body}}},
      contentType,
      // A request without a port leaves nothing in its place.
      omitEmptyValues: body.includes('%DYNAMIC_METADATA'),
    },
    headersToAdd: [
      {header: {key: 'content-security-policy', value: "default-src 'none'"}, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD},
    ],
  })
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

function beginsWith(name: string, prefix: string): AccessLogFilter {
  const headerMatchSpecifier = {case: 'stringMatch' as const, value: {matchPattern: {case: 'prefix' as const, value: prefix}}}
  return create(AccessLogFilterSchema, {filterSpecifier: {case: 'headerFilter', value: {header: {name, headerMatchSpecifier}}}})
}
