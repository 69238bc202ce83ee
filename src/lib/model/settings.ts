/** The settings of an installation, in ConfigMap `atlas-fleet`. Every duration of the product is here or a flag of `serve`. */
import {type Address, type HostPort, isDnsName} from './address.js'
import {AtlasError, invalid} from './errors.js'
import type {ClientName} from './names.js'

/** Durations in seconds. */
export interface Lifetimes {
  readonly root: number
  readonly issuer: number
  readonly identity: number
  readonly credential: number
  /** How long a cluster whose registration is gone keeps its identity and credential, to be restored when it comes back. */
  readonly suspension: number
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

/** The ports of the observability Envoy for its own cluster that can be switched to mutual TLS. */
export const internalPorts = [10_901] as const
export type InternalPort = (typeof internalPorts)[number]

export interface Settings {
  readonly trustDomain: string
  /** Where downstream Envoys connect to the observability Envoy; none: `cluster values` fails until there is one. */
  readonly addresses: readonly Address[]
  readonly adsPort: number
  readonly alertsPort: number
  /** Where the observability Envoy connects to `atlas serve`; none: `atlas-ads.<namespace>.svc.<clusterDomain>:6305`. */
  readonly adsServers: readonly HostPort[]
  readonly namespace: string
  readonly thanosNamespace: string
  readonly alertmanagers: readonly HostPort[]
  readonly clusterDomain: string
  /** Address of one replica for Thanos Query; `{service}`, `{namespace}` and `{clusterDomain}` are filled in. */
  readonly endpointTemplate: string
  /** The internal ports that speak mutual TLS, and may then be exposed; the others speak plaintext, on the node's local address alone. */
  readonly internalTls: readonly InternalPort[]
  /** The clients that those ports admit; each has a certificate of its own, in Secret `atlas-client-<name>`. */
  readonly clients: readonly ClientName[]
  /** The directory in which Thanos Query has what that Secret holds. */
  readonly clientDirectory: string
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
  namespace: 'atlas',
  thanosNamespace: 'atlas',
  alertmanagers: [],
  clusterDomain: 'cluster.local',
  endpointTemplate: '{service}.{namespace}.svc.{clusterDomain}:10901',
  internalTls: [],
  clients: [],
  clientDirectory: '/etc/atlas-client',
  lifetimes: {root: 10 * YEAR, issuer: YEAR, identity: 30 * DAY, credential: 2 * YEAR, suspension: 7 * DAY},
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

/** The port of `atlas serve`. */
export const ADS_PORT = 6305

/** Where the observability Envoy connects to `atlas serve`. */
export function adsServersOf(settings: Settings): readonly HostPort[] {
  if (settings.adsServers.length > 0) return settings.adsServers
  return [{host: `atlas-ads.${settings.namespace}.svc.${settings.clusterDomain}`, port: ADS_PORT}]
}

/**
 * A port in mutual TLS without a client would cut off Thanos Query and every other client.
 * @throws AtlasError `invalid` where an internal port speaks mutual TLS and there is no client for it
 */
export function requireClients({internalTls, clients}: Settings): void {
  if (internalTls.length === 0 || clients.length > 0) return
  throw new AtlasError(
    'invalid',
    `port ${internalTls.join(', ')} can't be switched to mutual TLS: no client is named, so it would admit none`,
    {hint: 'name the client and give it its certificate first: "atlas init --client thanos"'},
  )
}

/** @throws AtlasError `invalid` */
export function parseInternalPort(text: string, what = 'an internal port'): InternalPort {
  const port = internalPorts.find(each => String(each) === text)
  if (port === undefined) throw invalid(what, `one that can be switched to mutual TLS: ${internalPorts.join(', ')}`, text)
  return port
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
