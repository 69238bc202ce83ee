/** The settings of an installation, in ConfigMap `atlas-fleet`. Every duration of the product is here or a flag of `serve`. */
import {type Address, type HostPort, isDnsName} from './address.js'
import type {AlertmanagerSelector} from './alertmanager.js'
import {invalid} from './errors.js'
import type {ExtraEndpoint} from './extra-endpoints.js'
import type {InternalClient, InternalPort} from './internal-ports.js'
import {parseGroupName} from './names.js'

/** Durations in seconds. */
export interface Lifetimes {
  readonly root: number
  readonly issuer: number
  readonly identity: number
  readonly credential: number
  /** How long a cluster whose registration is gone keeps its identity and credential, to be restored when it comes back. */
  readonly suspension: number
  /** How long an ADS credential is still admitted after every Envoy of its owner has come with a later one. */
  readonly superseded: number
}

/**
 * Durations in seconds, for Envoy (docs/explanation/envoy.md#how-connections-and-streams-end and
 * docs/explanation/envoy.md#a-peer-that-stops-answering).
 */
export interface ProxyTimeouts {
  readonly connect: number
  /** Longest life of a connection on the ADS path; its streams live 10 % longer. */
  readonly adsConnection: number
  /** Longest life of a connection on the Thanos path; its streams live 10 % longer. */
  readonly thanosConnection: number
  readonly keepaliveInterval: number
  readonly keepaliveTimeout: number
  readonly healthInterval: number
  readonly healthTimeout: number
}

export interface Settings {
  readonly trustDomain: string
  /** Where downstream Envoys connect to the observability Envoy; none: `cluster values` fails until there is one. */
  readonly addresses: readonly Address[]
  readonly adsPort: number
  readonly alertsPort: number
  /** Where the observability Envoy connects to `atlas serve`; none: `atlas-ads.<namespace>.svc.<clusterDomain>:6305`. */
  readonly adsServers: readonly HostPort[]
  /** Where the observability Envoy asks `atlas serve` for its web pages; none: the next port of each ADS server. */
  readonly pagesServers: readonly HostPort[]
  readonly namespace: string
  readonly thanosNamespace: string
  /** The Alertmanagers that get every alert; none: those that the leader finds by `alertmanagerSelector`. */
  readonly alertmanagers: readonly HostPort[]
  readonly alertmanagerSelector: AlertmanagerSelector | undefined
  readonly clusterDomain: string
  /** Address of one replica for Thanos Query; `{service}`, `{namespace}` and `{clusterDomain}` are filled in. */
  readonly endpointTemplate: string
  /** Endpoints of Thanos Query that are not Atlas's, copied into each endpoints file. */
  readonly extraEndpoints: readonly ExtraEndpoint[]
  /** The groups of clusters that have an endpoints file and a DNS name of their own, in order of name. */
  readonly groups: readonly string[]
  /** The internal ports that speak mutual TLS, and may then be exposed; the others speak plaintext, on the node's local address alone. */
  readonly internalTls: readonly InternalPort[]
  /** The clients that those ports admit, each on its own ports; each has a certificate of its own, in Secret `atlas-client-<name>`. */
  readonly clients: readonly InternalClient[]
  /** The directory in which Thanos Query has what that Secret holds. */
  readonly clientDirectory: string
  /** Web pages have host names below it, such as `<cluster>.prom.<webDomain>`; undefined: no page has a host name. */
  readonly webDomain: string | undefined
  /** Whether web pages also have paths, such as `/prom/<cluster>/`: then the pages of all clusters share one origin. */
  readonly pagesByPath: boolean
  readonly lifetimes: Lifetimes
  readonly timeouts: ProxyTimeouts
}

const HOUR = 3600
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/** The settings of an installation that chose nothing. */
export const defaultSettings: Settings = {
  trustDomain: 'atlas.internal',
  addresses: [],
  adsPort: 10_900,
  alertsPort: 10_903,
  adsServers: [],
  pagesServers: [],
  namespace: 'atlas',
  thanosNamespace: 'atlas',
  alertmanagers: [],
  alertmanagerSelector: undefined,
  clusterDomain: 'cluster.local',
  endpointTemplate: '{service}.{namespace}.svc.{clusterDomain}:10901',
  extraEndpoints: [],
  groups: [],
  internalTls: [],
  clients: [],
  clientDirectory: '/etc/atlas-client',
  webDomain: undefined,
  pagesByPath: false,
  lifetimes: {root: 10 * YEAR, issuer: YEAR, identity: 30 * DAY, credential: 2 * YEAR, suspension: 7 * DAY, superseded: 7 * DAY},
  timeouts: {
    connect: 2,
    adsConnection: HOUR,
    thanosConnection: 600,
    keepaliveInterval: 30,
    keepaliveTimeout: 5,
    healthInterval: 5,
    healthTimeout: 2,
  },
}

/** Open ADS streams of one downstream cluster that a server accepts: a rolling update has twice as many Envoys for a while. */
export const DEFAULT_STREAMS_PER_CLUSTER = 64

/** The ports of `atlas serve` for Envoys: ADS, and the web pages that the server makes itself. */
export const ADS_PORT = 6305
export const PAGES_PORT = 6306

/** Where a Prometheus sends its alerts, at its own cluster's Envoy, and where the observability Envoy takes them. */
export const ALERTS_PORT = 10_903

/** Where the observability Envoy connects to `atlas serve`. */
export function adsServersOf(settings: Settings): readonly HostPort[] {
  if (settings.adsServers.length > 0) return settings.adsServers
  return [{host: `atlas-ads.${settings.namespace}.svc.${settings.clusterDomain}`, port: ADS_PORT}]
}

/** Where the observability Envoy asks `atlas serve` for its web pages: beside each ADS server, unless chosen. */
export function pagesServersOf(settings: Settings): readonly HostPort[] {
  if (settings.pagesServers.length > 0) return settings.pagesServers
  return adsServersOf(settings).map(({host, port}) => ({host, port: pagesPortOf(port)}))
}

/** The port of the web pages beside that of ADS: the next one, so that two servers on one address do not meet. */
export function pagesPortOf(port: number): number {
  return port < 65_535 ? port + 1 : PAGES_PORT
}

/** Each group costs a ConfigMap and a part of the zone. */
const GROUPS_MAX = 64

/** Names of groups, each once, in order. @throws AtlasError `invalid` */
export function parseGroups(names: readonly string[], what = 'a group'): readonly string[] {
  const groups = [...new Set(names)].sort().map(name => parseGroupName(name, what))
  if (groups.length > GROUPS_MAX) throw invalid(what, `one of at most ${GROUPS_MAX}`, `${groups.length} groups`)
  return groups
}

/** An absolute path. @throws AtlasError `invalid` */
export function parseClientDirectory(text: string, what = 'the directory of a client certificate'): string {
  if (text.length > 200 || !/^(\/[\w.-]+)+$/.test(text)) throw invalid(what, 'an absolute path, such as /etc/atlas-client', text)
  return text
}

/**
 * A trust domain: DNS labels, as SPIFFE asks (SPIFFE-ID section 2.1), and short enough to be a DNS SAN's tail.
 * @throws AtlasError `invalid`
 */
export function parseTrustDomain(text: string): string {
  if (text.length > 150 || !isDnsName(text))
    throw invalid('a trust domain', 'a DNS name in lower case of at most 150 characters, such as "atlas.internal"', text)
  return text
}

/**
 * The domain of the web pages' host names: DNS labels in lower case, short enough for `<cluster>.alertmanager.` in front of it.
 * @throws AtlasError `invalid`
 */
export function parseWebDomain(text: string, what = 'a web domain'): string {
  if (text.length > WEB_DOMAIN_MAX || !isDnsName(text))
    throw invalid(what, `a DNS name in lower case of at most ${WEB_DOMAIN_MAX} characters, such as "web.example.com"`, text)
  return text
}

/** A DNS name has at most 253 characters (RFC 1035, section 2.3.4); the longest name in front has 60. */
const WEB_DOMAIN_MAX = 190

/** @throws AtlasError `invalid` */
export function parseSwitch(text: string, what: string): boolean {
  if (text !== 'true' && text !== 'false') throw invalid(what, '"true" or "false"', text)
  return text === 'true'
}

/** Whether there is a way to web pages: by host name, or by path. */
export function showsPages({webDomain, pagesByPath}: Pick<Settings, 'pagesByPath' | 'webDomain'>): boolean {
  return webDomain !== undefined || pagesByPath
}

/** The name of a Kubernetes namespace: an RFC 1123 label. @throws AtlasError `invalid` */
export function parseNamespace(text: string, what = 'a namespace'): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) throw invalid(what, 'the name of a Kubernetes namespace', text)
  return text
}

/** The DNS domain of a Kubernetes cluster. @throws AtlasError `invalid` */
export function parseClusterDomain(text: string, what = 'a cluster domain'): string {
  if (!isDnsName(text)) throw invalid(what, 'a DNS name, such as cluster.local', text)
  return text
}

/**
 * An address with {service} in it, without which every cluster would get the same one, and a port.
 * @throws AtlasError `invalid`
 */
export function parseEndpointTemplate(text: string, what = 'an endpoint template'): string {
  const wanted = 'an address that contains {service} and ends in a port, such as {service}.{namespace}.svc.{clusterDomain}:10901'
  const isTemplate = text.length <= 512 && text.includes('{service}') && /^[!-~]+:[0-9]{1,5}$/.test(text)
  if (!isTemplate) throw invalid(what, wanted, text)
  return text
}
