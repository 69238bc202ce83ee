/** Web pages of a downstream cluster: which there are, where each stands behind its Envoy, and what it may be asked for. */
import {parseIpAddress} from './ip-address.js'
import {
  type Cluster,
  type ClusterServices,
  type DownstreamPort,
  type Pages,
  type ServiceTarget,
  downstreamPorts,
  replicasOf,
  targetOf,
} from './cluster.js'
import {AtlasError, invalid} from './errors.js'
import {type PageKind, pageKinds} from './names.js'

export const THANOS_HTTP_PORT = 10_902

export const defaultPages: Pages = {
  thanosHttpPort: THANOS_HTTP_PORT,
  paths: {alertmanager: '', prom: '', thanos: ''},
  allowAdmin: false,
  allowSilences: true,
  allowLocalTargets: false,
}

/** The downstream Envoy's port of a kind of page. */
export const pagePorts: Readonly<Record<PageKind, DownstreamPort>> = {
  alertmanager: downstreamPorts.alertmanager,
  prom: downstreamPorts.prometheus,
  thanos: downstreamPorts.thanosHttp,
}

/** Where a page stands inside the downstream cluster; the host may hold `{replica}`. */
export function pageTarget({services, pages}: ClusterServices, kind: PageKind): ServiceTarget {
  if (kind === 'thanos') return {host: services.thanos.host, port: pages.thanosHttpPort}
  return kind === 'prom' ? services.prometheus : services.alertmanager
}

/** The replicas that have a page of their own; none where all replicas are behind one address. */
export function pageReplicas(cluster: ClusterServices, kind: PageKind): readonly number[] {
  return pageTarget(cluster, kind).host.includes('{replica}') ? replicasOf(cluster) : []
}

/**
 * Why Atlas refuses to show a kind of page of this cluster; undefined where it may be shown.
 * @param moved the ports on which one Envoy of the cluster listens instead of the standard ones
 */
export function refusalOf(cluster: ClusterServices, kind: PageKind, moved: ReadonlyMap<number, number> = NONE_MOVED): string | undefined {
  if (cluster.pages.allowLocalTargets) return undefined
  const target = pageTarget(cluster, kind)
  // Of 12{replica}.0.0.1 only replica 7 is local.
  return [0, ...pageReplicas(cluster, kind)].map(replica => localKind(targetOf(target, replica), moved)).find(why => why !== undefined)
}

/**
 * For a registration that a person makes: a page that Atlas would refuse to show is a mistake. The page of Thanos is not looked at, since
 * its address follows from that of the sidecar; if that is local, the page is not shown.
 * @throws AtlasError `invalid` for a page on the downstream Envoy's own machine or network
 */
export function requirePageTargets(cluster: Cluster): Cluster {
  for (const kind of pageKinds.filter(each => each !== 'thanos')) {
    const [why, {host, port}] = [refusalOf(cluster, kind), pageTarget(cluster, kind)]
    if (why !== undefined)
      throw new AtlasError('invalid', `the ${kind} page of cluster "${cluster.name}" stands at "${host}:${port}", which is ${why}`, {
        hint: `name an address that is reached from the pod of the downstream Envoy; to allow such addresses: --allow-local-targets, or annotation goatlas.io/allow-local-targets: "true"`,
      })
  }

  return cluster
}

/** `/a/b`, without a slash at the end; `/` or nothing is the root. @throws AtlasError `invalid` */
export function parsePagePath(text: string, what: string): string {
  const path = text.replace(/\/$/, '')
  const isPath = path.length <= PAGE_PATH_MAX && /^(\/[\w~-][\w.~-]*)*$/.test(path)
  if (!isPath) throw invalid(what, 'a path such as /prometheus: letters, digits, "-", "_", ".", "~" and "/"', text)
  return path
}

const PAGE_PATH_MAX = 200

const NONE_MOVED: ReadonlyMap<number, number> = new Map()

/** Names of this machine, and of the metadata services of clouds. */
const localNames = [
  ...['localhost', 'localhost.localdomain', 'ip6-localhost', 'ip6-loopback'],
  ...['metadata', 'metadata.google.internal', 'metadata.goog', 'instance-data'],
]

/** Addresses of metadata services that are not link-local (Alibaba Cloud, Azure, Oracle Cloud, Amazon EC2). */
const metadataAddresses = ['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254']

/** A downstream Envoy listens on these itself, unless its node metadata moves them: its pages, Thanos, alerts and statistics. */
const envoyPorts: readonly number[] = [...Object.values(downstreamPorts), 10_903, 9902]

/**
 * Why an address belongs to the downstream Envoy itself, as the end of "which is …". Loopback: RFC 1122, 3.2.1.3 and RFC 4291, 2.5.3;
 * link-local: RFC 3927 and RFC 4291, 2.5.6.
 */
function localKind({host, port}: ServiceTarget, moved: ReadonlyMap<number, number>): string | undefined {
  const name = host.replace(/\.$/, '')
  if (localNames.includes(name) || name.endsWith('.localhost')) return 'a name of the machine itself, or of its metadata service'
  if (envoyPorts.includes(port) || [...moved.values()].includes(port)) return 'a port on which the downstream Envoy listens'
  const address = parseIpAddress(name)?.host
  if (address === undefined) return undefined
  if (address === '::1' || address.startsWith('127.')) return 'a loopback address'
  if (metadataAddresses.includes(address)) return 'the address of a metadata service'
  return address.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/.test(address) ? 'a link-local address' : undefined
}

/** Of a sidecar, which has no page at its root. Of a Thanos with pages, such as a Query, the registration says where they are. */
export function hasMetricsOnly({pages}: Pick<Cluster, 'pages'>, kind: PageKind): boolean {
  return kind === 'thanos' && pages.thanosHttpPort === defaultPages.thanosHttpPort && pages.paths.thanos === ''
}
