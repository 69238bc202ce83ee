/** Every derived name: objects, certificates, SNI, Envoy resources, DNS. Names are made and taken apart here, and nowhere else. */
import {invalid} from './errors.js'

/** A name that `parseClusterName` accepted. */
export type ClusterName = string & {readonly __brand: 'ClusterName'}

/** A client of the internal ports in mutual TLS, such as Thanos Query: a name that `parseClientName` accepted. */
export type ClientName = string & {readonly __brand: 'ClientName'}

/** The owner of an identity, credential, record or node: a downstream cluster, or the observability cluster (`atlas`). */
export type Owner = ClusterName | 'atlas'

export const OBSERVABILITY = 'atlas'

/** `<kind>/<name>` of a stored object, such as `Secret/atlas-ca`. */
export type ObjectKey = string

/** Kinds of pages, by the word that stands in their paths (`/prom/<cluster>/`) and host names (`<cluster>.prom.<domain>`). */
export const pageKinds = ['alertmanager', 'prom', 'thanos'] as const
export type PageKind = (typeof pageKinds)[number]

/** In host names of sidecars this comes after the cluster's name, which is the scope key. */
export const SIDECAR_SEPARATOR = '-thanos-sidecar'
/** `<cluster>-thanos-sidecar<N>` with N up to three digits is a Service name, at most 63 characters (RFC 1035). */
export const CLUSTER_NAME_MAX = 63 - SIDECAR_SEPARATOR.length - 3
export const REPLICAS_MAX = 1000

const CREDENTIAL_SUFFIX = '-envoy-ads'
const VALUES_SUFFIX = '-envoy-values'

/**
 * A cluster's name as found in a store: an RFC 1035 label, short enough for every name derived from it. `atlas` is the observability
 * cluster's own. A name that contains `-thanos-sidecar` could not be routed to, since the scope key is the text before that
 * (docs/explanation/envoy.md#scoped-routes).
 * @throws AtlasError `invalid`
 */
export function parseClusterName(text: string): ClusterName {
  const what = 'a cluster name'
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text))
    throw invalid(what, 'lower-case letters, digits and "-", begin with a letter and end with a letter or digit', text)
  if (text.length > CLUSTER_NAME_MAX)
    throw invalid(what, `at most ${CLUSTER_NAME_MAX} characters long, since Service names are derived from it`, text)
  if (text === OBSERVABILITY) throw invalid(what, 'another than "atlas", the observability cluster\'s own', text)
  if (text.includes(SIDECAR_SEPARATOR)) throw invalid(what, `free of "${SIDECAR_SEPARATOR}", which Atlas appends itself`, text)
  return text as ClusterName
}

/** As `parseClusterName`, for a cluster that is about to be created: `atlas-…` is kept for Atlas's own objects. */
export function parseNewClusterName(text: string): ClusterName {
  const name = parseClusterName(text)
  if (name.startsWith('atlas-')) throw invalid('a new cluster name', 'free of the prefix "atlas-", kept for Atlas\'s own objects', text)
  return name
}

/**
 * The name of a server replica, usually its pod's name: part of the names of its ConfigMap and its Lease.
 * @throws AtlasError `invalid`
 */
export function parseReplicaName(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9.]{0,198}[a-z0-9])?$/.test(text))
    throw invalid('the name of a server replica', 'lower-case letters, digits, "-" and ".", such as the name of its pod', text)
  return text
}

/**
 * The name of a client of the internal ports: part of its certificate's name and of its Secret's name, which must not be that of an
 * ADS credential or of a cluster's values.
 * @throws AtlasError `invalid`
 */
export function parseClientName(text: string, what = "a client's name"): ClientName {
  const isName = text.length <= CLIENT_NAME_MAX && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text)
  if (!isName || text.endsWith(CREDENTIAL_SUFFIX) || text.endsWith(VALUES_SUFFIX))
    throw invalid(what, `a name such as "thanos": lower-case letters, digits and "-", at most ${CLIENT_NAME_MAX} of them`, text)
  return text as ClientName
}

/** A longer name is refused: it would not fit into the subject of the client's X.509 certificate. */
const CLIENT_NAME_MAX = 40

/**
 * The name of a group of clusters: an RFC 1035 label, which stands in the name of its ConfigMap and in its DNS name. `sidecars` is the
 * DNS name that holds every cluster.
 * @throws AtlasError `invalid`
 */
export function parseGroupName(text: string, what = 'the name of a group'): string {
  if (text.length > GROUP_NAME_MAX || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text))
    throw invalid(what, `a name such as "europe": lower-case letters, digits and "-", at most ${GROUP_NAME_MAX} of them`, text)
  if (text === EVERY_CLUSTER) throw invalid(what, `another than "${EVERY_CLUSTER}", the DNS name of every cluster`, text)
  return text
}

const GROUP_NAME_MAX = 40
/** The label in DNS names under which every cluster is, beside the groups. */
const EVERY_CLUSTER = 'sidecars'

/** @throws AtlasError `invalid` */
export function parseOwner(text: string): Owner {
  return text === OBSERVABILITY ? OBSERVABILITY : parseClusterName(text)
}

/** The owner of that name; undefined where the text is no name of an owner. */
export function ownerIn(text: string): Owner | undefined {
  return attempt(parseOwner, text)
}

/** Makes a name out of another one, and takes it apart again. */
export interface DerivedName<T> {
  (from: T): string
  /** What the name was made from; undefined for a name of another form. */
  readonly parse: (name: string) => T | undefined
}

/** Names of the objects in the state store (docs/explanation/architecture.md#what-is-stored). */
export const objectNames = {
  fleet: 'atlas-fleet',
  root: 'atlas-ca',
  issuer: 'atlas-issuer',
  credentialIssuer: 'atlas-credential-issuer',
  nextRoot: 'atlas-ca-next',
  nextIssuer: 'atlas-issuer-next',
  nextCredentialIssuer: 'atlas-credential-issuer-next',
  rotation: 'atlas-rotation',
  trust: 'atlas-trust-bundle',
  server: 'atlas-ads-tls',
  endpoints: 'atlas-thanos-endpoints',
  groupEndpoints: derived('atlas-thanos-endpoints-', '', text => parseGroupName(text)),
  zone: 'atlas-coredns',
  requests: 'atlas-requests',
  answers: 'atlas-answers',
  replicas: 'atlas-replicas',
  alertmanagers: 'atlas-alertmanagers',
  report: derived('atlas-proxies-', '', String),
  values: derived('', VALUES_SUFFIX, parseOwner),
  registration: derived('', '', parseClusterName),
  credential: derived('', CREDENTIAL_SUFFIX, parseOwner),
  client: derived('atlas-client-', '', text => parseClientName(text)),
  identities: (shard: number): string => `atlas-identities-${twoDigits(shard)}`,
  records: (shard: number): string => `atlas-records-${twoDigits(shard)}`,
} as const

/** Names of the Leases: the leader's, and one for each server replica that serves Envoys. */
export const leaseNames = {leader: 'atlas', replica: derived('atlas-ads-', '', String)} as const

/** Labels and annotations of Atlas's objects; the 2021 program used most of them, too. */
export const labels = {
  managedBy: 'app.kubernetes.io/managed-by',
  format: 'goatlas.io/format',
  /** On a registration, by presence. */
  cluster: 'goatlas.io/cluster',
  replicas: 'goatlas.io/replicas',
  /** Followed by the group's name. */
  group: 'group.goatlas.io/',
  /** On the Services to which Thanos Query connects, with the cluster's name. */
  sidecar: 'goatlas.io/thanos-sidecar',
  /** On pods of the observability Envoy. */
  envoy: 'goatlas.io/envoy',
  /** On Services of the observability Envoy. */
  service: 'goatlas.io/service',
  /** `root`: a Secret that offers a root, such as cert-manager's. */
  authority: 'goatlas.io/authority',
} as const

export const annotations = {
  /** On an object outside Atlas's namespace: the installation that keeps it (model/endpoints.ts). */
  installation: 'goatlas.io/installation',
  /** `true` on a Secret that offers a root: it is taken even if it ends within a year. */
  anyAge: 'goatlas.io/any-age',
  addresses: 'goatlas.io/addresses',
  ports: 'goatlas.io/ports',
  service: (service: string): string => `goatlas.io/${service}-service`,
  servicePort: (service: string): string => `goatlas.io/${service}-service-port`,
  /** Followed by the name of a target; and with `.replicas`, `.health` or `.tls` behind that. */
  target: 'target.goatlas.io/',
  thanosHttpPort: 'goatlas.io/thanos-http-port',
  thanosHealth: 'goatlas.io/thanos-health',
  thanosTls: 'goatlas.io/thanos-tls',
  /** Below which path a page stands at its own address. */
  path: (service: string): string => `goatlas.io/${service}-path`,
  allowAdmin: 'goatlas.io/allow-admin',
  allowSilences: 'goatlas.io/allow-silences',
  allowLocalTargets: 'goatlas.io/allow-local-targets',
} as const

/** How many Secrets the identities, and ConfigMaps the records, are spread over. */
export const SHARDS = 32

export function objectKey(kind: string, name: string): ObjectKey {
  return `${kind}/${name}`
}

/** The kind and the name in a key that `objectKey` made. */
export function parseObjectKey(key: ObjectKey): {readonly kind: string; readonly name: string} {
  const slash = key.indexOf('/')
  return {kind: key.slice(0, slash), name: key.slice(slash + 1)}
}

/** Whether the object is an endpoints file for Thanos Query, which is in Thanos's namespace. */
export function isEndpoints(key: ObjectKey): boolean {
  const {kind, name} = parseObjectKey(key)
  return kind === 'ConfigMap' && (name === objectNames.endpoints || objectNames.groupEndpoints.parse(name) !== undefined)
}

/** The owner of a derived object (`manifest/derived.ts`); `zone` for the zone, which all clusters share; undefined for any other key. */
export function derivedOwner(key: ObjectKey): Owner | 'zone' | undefined {
  const {kind, name} = parseObjectKey(key)
  if (kind === 'Service') return parseSidecarName(name)?.cluster
  if (kind === 'ConfigMap') return name === objectNames.zone ? 'zone' : undefined
  return kind === 'Secret' ? objectNames.values.parse(name) : undefined
}

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

/** The generation in an identity's or ADS credential's name of `owner`; undefined for a name of another kind or owner. */
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
  /** The same with the generation: only a certificate's second name, which no client sends. */
  generation: (domain: string, cluster: ClusterName, generation: number): string => `g${generation}.${sni.downstream(domain, cluster)}`,
  /** Every Service in Atlas's namespace: Thanos Query connects to the Services of the sidecars. */
  anyService: (namespace: string, clusterDomain: string): string => `*.${namespace}.svc.${clusterDomain}`,
} as const

/** Names of Envoy's clusters, listeners, routes, scopes and secrets. */
export const envoyNames = {
  identity: 'identity',
  trust: 'trust',
  adsTrust: 'ads-trust',
  adsServers: 'ads-servers',
  ads: 'ads',
  /** At the observability Envoy, where alerts come in, and at a downstream Envoy, to which its Prometheus sends them. */
  alerts: 'alerts',
  /** One Alertmanager of the observability cluster. */
  alertmanager: (name: string): string => `alertmanager/${name}`,
  thanos: 'thanos',
  thanosOf: (cluster: ClusterName): string => `thanos/${cluster}`,
  sidecar: (replica: number, target?: string): string => (target === undefined ? `sidecar/${replica}` : `target/${target}/${replica}`),
  /** Secrets whose keys are files beside the downstream Envoy: the authority of an endpoint's certificate, and the client certificate. */
  upstreamAuthority: (certificates: string): string => `upstream/${certificates}/ca`,
  upstreamClient: (certificates: string): string => `upstream/${certificates}/client`,
  /** The listeners of web pages for the ingress: all pages, and those of Thanos alone; the start page's servers. */
  pages: 'pages',
  thanosPages: 'thanos-pages',
  pagesServers: 'pages-servers',
  /** One kind of page of one cluster, at the observability Envoy: the Envoy cluster, and the scopes by path and by host name. */
  pageOf: (kind: PageKind, cluster: ClusterName): string => `page/${kind}/${cluster}`,
  pageHostOf: (kind: PageKind, cluster: ClusterName): string => `page-host/${kind}/${cluster}`,
  /** One kind of page at its downstream Envoy: listener, routes and Envoy cluster; with a replica, the Envoy cluster of that alone. */
  page: (kind: PageKind, replica?: number): string => (replica === undefined ? `page/${kind}` : `page/${kind}/${replica}`),
  /** Host name of a page between the two Envoys. */
  pageHost: (replica?: number): string => (replica === undefined ? 'page' : `page-${replica}`),
  /** The bootstrap's own: the clusters of ADS and of Envoy's admin pages, the listener in front of these, and the secrets in its files. */
  bootstrap: {cluster: 'xds', admin: 'admin', stats: 'stats', credential: 'ads-credential', roots: 'ads-roots'},
  /** Host name of the health check that a downstream Envoy answers itself; no sidecar's name (it has no separator). */
  healthHost: 'atlas-health',
} as const

/** The DNS name of all clusters, or of those of a group: SRV records are at `_thanos._tcp.` in front of it. */
export function zoneName(group?: string): string {
  return `${group ?? EVERY_CLUSTER}.thanos.atlas.`
}

/** `/prom/<cluster>/`: the path of a page. */
export function pagePath(kind: PageKind, cluster: ClusterName): string {
  return `/${kind}/${cluster}/`
}

/** `<cluster>.prom.<domain>`: the host name of a page. */
export function pageHostName(kind: PageKind, cluster: ClusterName, domain: string): string {
  return `${cluster}.${kind}.${domain}`
}

/**
 * `<cluster>-thanos-sidecar<N>`: the Service, and the host name, of replica N for Thanos Query; `<cluster>-thanos-sidecar-<T>-<N>` of
 * replica N of the named target T.
 */
export function sidecarName(cluster: ClusterName, replica: number, target?: string): string {
  return `${cluster}${SIDECAR_SEPARATOR}${target === undefined ? '' : `-${target}-`}${replica}`
}

/** The cluster, the replica and the named target in a name that `sidecarName` made; undefined for any other. */
export function parseSidecarName(
  text: string,
): {readonly cluster: ClusterName; readonly replica: number; readonly target?: string} | undefined {
  const [name = '', rest = '', ...others] = text.split(SIDECAR_SEPARATOR)
  const parts = others.length === 0 ? /^(?:-([a-z](?:[-a-z0-9]*[a-z0-9])?)-)?(0|[1-9][0-9]{0,2})$/.exec(rest) : null
  const cluster = parts === null ? undefined : attempt(parseClusterName, name)
  const [, target, replica] = parts ?? []
  return cluster === undefined ? undefined : {cluster, replica: Number(replica), ...(target !== undefined && {target})}
}

function derived<T extends string>(prefix: string, suffix: string, parse: (text: string) => T): DerivedName<T> {
  return Object.assign((from: T) => `${prefix}${from}${suffix}`, {
    parse(name: string) {
      const isDerived = name.startsWith(prefix) && name.endsWith(suffix) && name.length > prefix.length + suffix.length
      return isDerived ? attempt(parse, name.slice(prefix.length, name.length - suffix.length)) : undefined
    },
  })
}

function attempt<T>(parse: (text: string) => T, text: string): T | undefined {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}

function twoDigits(shard: number): string {
  return String(shard).padStart(2, '0')
}
