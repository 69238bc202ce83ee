/** Every derived name: objects, certificates, SNI, Envoy resources, DNS. Names are parsed here once and computed nowhere else. */
import {invalid} from './errors.js'

/** A name that `parseClusterName` accepted. */
export type ClusterName = string & {readonly __brand: 'ClusterName'}

/** Who may be admitted to an internal port that speaks mutual TLS, such as Thanos Query: a name that `parseClientName` accepted. */
export type ClientName = string & {readonly __brand: 'ClientName'}

/** Whose identity, credential, record or node it is: a downstream cluster's, or the observability cluster's (`atlas`). */
export type Owner = ClusterName | 'atlas'

export const OBSERVABILITY = 'atlas'

const SIDECAR = '-thanos-sidecar'
/** `<cluster>-thanos-sidecar<N>` with N up to three digits is a Service name, at most 63 characters (RFC 1035). */
export const CLUSTER_NAME_MAX = 63 - SIDECAR.length - 3
export const REPLICAS_MAX = 1000

/**
 * A cluster's name as found in a store: an RFC 1035 label, short enough for every name derived from it.
 * `atlas` is the observability cluster's own; a name that contains `-thanos-sidecar` could never be routed to
 * (the scope key is what comes before it, docs/explanation/envoy.md#scoped-routes).
 * @throws AtlasError `invalid`
 */
export function parseClusterName(text: string): ClusterName {
  const what = 'a cluster name'
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text))
    throw invalid(what, 'lower-case letters, digits and "-", begin with a letter and end with a letter or digit', text)
  if (text.length > CLUSTER_NAME_MAX)
    throw invalid(what, `at most ${CLUSTER_NAME_MAX} characters long, since Service names are derived from it`, text)
  if (text === OBSERVABILITY) throw invalid(what, 'another than "atlas", the observability cluster\'s own', text)
  if (text.includes(SIDECAR)) throw invalid(what, `free of "${SIDECAR}", which Atlas appends itself`, text)
  return text as ClusterName
}

/** As `parseClusterName`, for a cluster that is about to be created: `atlas-…` is kept for Atlas's own objects. */
export function parseNewClusterName(text: string): ClusterName {
  const name = parseClusterName(text)
  if (name.startsWith('atlas-')) throw invalid('a new cluster name', 'free of the prefix "atlas-", kept for Atlas\'s own objects', text)
  return name
}

function isClusterName(text: string): text is ClusterName {
  try {
    parseClusterName(text)
    return true
  } catch {
    return false
  }
}

/**
 * The name of a server replica, a pod's name as a rule: part of the names of its ConfigMap and its Lease.
 * @throws AtlasError `invalid`
 */
export function parseReplicaName(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9.]{0,198}[a-z0-9])?$/.test(text))
    throw invalid('the name of a server replica', 'lower-case letters, digits, "-" and ".", such as the name of its pod', text)
  return text
}

/**
 * The name of a client of the internal ports: part of a certificate's name and of its Secret's, which must not be that of an ADS
 * credential or of a cluster's values.
 * @throws AtlasError `invalid`
 */
export function parseClientName(text: string, what = "a client's name"): ClientName {
  const isName = text.length <= CLIENT_NAME_MAX && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text)
  if (!isName || /-envoy-(ads|values)$/.test(text))
    throw invalid(what, `a name such as "thanos": lower-case letters, digits and "-", at most ${CLIENT_NAME_MAX} of them`, text)
  return text as ClientName
}

/** Its certificate's subject must not be longer than X.509 allows. */
const CLIENT_NAME_MAX = 40

/** @throws AtlasError `invalid` */
export function parseOwner(text: string): Owner {
  return text === OBSERVABILITY ? OBSERVABILITY : parseClusterName(text)
}

/** Names of the objects in the state store (docs/explanation/architecture.md#what-is-stored). */
export const objectNames = {
  fleet: 'atlas-fleet',
  root: 'atlas-ca',
  issuer: 'atlas-issuer',
  credentialIssuer: 'atlas-credential-issuer',
  trust: 'atlas-trust-bundle',
  server: 'atlas-ads-tls',
  endpoints: 'atlas-thanos-endpoints',
  zone: 'atlas-coredns',
  requests: 'atlas-requests',
  replicas: 'atlas-replicas',
  report: (replica: string): string => `atlas-proxies-${replica}`,
  values: (owner: Owner): string => `${owner}-envoy-values`,
  registration: (cluster: ClusterName): string => cluster,
  credential: (owner: Owner): string => `${owner}-envoy-ads`,
  client: (client: ClientName): string => `atlas-client-${client}`,
  identities: (shard: number): string => `atlas-identities-${twoDigits(shard)}`,
  records: (shard: number): string => `atlas-records-${twoDigits(shard)}`,
} as const

/** Names of the Leases: who writes, and which server replicas live. */
export const leaseNames = {
  leader: 'atlas',
  replica: (replica: string): string => `${leaseNames.replicas}${replica}`,
  /** What the name of every replica's Lease begins with. */
  replicas: 'atlas-ads-',
} as const

/** How many Secrets the identities, and ConfigMaps the records, are spread over. */
export const SHARDS = 32

/** SPIFFE names, the URI SANs of Atlas's certificates (docs/explanation/security.md#certificates). */
export const spiffe = {
  observability: (domain: string): string => `spiffe://${domain}/observability`,
  ads: (domain: string): string => `spiffe://${domain}/ads`,
  client: (domain: string, client: ClientName): string => `spiffe://${domain}/client/${client}`,
  downstream: (domain: string, cluster: ClusterName, generation: number): string => `${spiffe.downstreams(domain)}${cluster}/${generation}`,
  downstreams: (domain: string): string => `spiffe://${domain}/downstream/`,
  adsClient: (domain: string, owner: Owner, generation: number): string => `${spiffe.adsClientsOf(domain, owner)}${generation}`,
  adsClients: (domain: string): string => `spiffe://${domain}/ads-client/`,
  adsClientsOf: (domain: string, owner: Owner): string => `${spiffe.adsClients(domain)}${owner}/`,
} as const

/** The generation in a cluster's certificate name of either plane; undefined for a name of another kind, or of somebody else. */
export function generationIn(uri: string, domain: string, owner: Owner): number | undefined {
  const prefixes = [spiffe.adsClientsOf(domain, owner), `${spiffe.downstreams(domain)}${owner}/`]
  const number = prefixes.filter(prefix => uri.startsWith(prefix)).map(prefix => uri.slice(prefix.length))[0]
  return number !== undefined && /^[1-9][0-9]{0,8}$/.test(number) ? Number(number) : undefined
}

/** Names that TLS clients send as SNI; each is also a DNS SAN of the server's certificate. */
export const sni = {
  observability: (domain: string): string => `observability.${domain}`,
  ads: (domain: string): string => `ads.${domain}`,
  downstream: (domain: string, cluster: ClusterName): string => `${cluster}.downstream.${domain}`,
  /** Every Service beside Atlas's own: Thanos Query connects to those of the sidecars. */
  anyService: (namespace: string, clusterDomain: string): string => `*.${namespace}.svc.${clusterDomain}`,
} as const

/** Names of Envoy's clusters, listeners, routes, scopes and secrets. */
export const envoyNames = {
  identity: 'identity',
  trust: 'trust',
  adsTrust: 'ads-trust',
  adsServers: 'ads-servers',
  ads: 'ads',
  thanos: 'thanos',
  thanosOf: (cluster: ClusterName): string => `thanos/${cluster}`,
  sidecar: (replica: number): string => `sidecar/${replica}`,
  /** The bootstrap's own: the cluster through which an Envoy dials ADS, and the secrets of its files. */
  bootstrap: {cluster: 'xds', credential: 'ads-credential', roots: 'ads-roots'},
  /** Host name of the health check that a downstream Envoy answers itself; no sidecar's name (it lacks the separator). */
  healthHost: 'atlas-health',
} as const

/** `<cluster>-thanos-sidecar<N>`: the Service, and the host name, by which Thanos Query dials replica N. */
export function sidecarName(cluster: ClusterName, replica: number): string {
  return `${cluster}${SIDECAR}${replica}`
}

/** The cluster and the replica of a name that `sidecarName` made; undefined for any other. */
export function parseSidecarName(text: string): {readonly cluster: ClusterName; readonly replica: number} | undefined {
  const match = /^(.+)-thanos-sidecar(0|[1-9][0-9]{0,2})$/.exec(text)
  if (match?.[1] === undefined || !isClusterName(match[1])) return undefined
  return {cluster: match[1], replica: Number(match[2])}
}

/** What stands behind the cluster's name in every host name of a sidecar; the scope key's separator. */
export const SIDECAR_SEPARATOR = SIDECAR

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

/** RFC 1123 host name in lower case, at most 253 characters; a last label of digits alone is refused, it reads as an address. */
export function isDnsName(text: string): boolean {
  return (
    text.length <= 253 &&
    /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text) &&
    !/(^|\.)\d+$/.test(text)
  )
}

function twoDigits(shard: number): string {
  return String(shard).padStart(2, '0')
}
