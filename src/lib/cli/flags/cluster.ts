/** The flags of `cluster add`. */
import {Flags} from '@oclif/core'
import {isDnsName, parseAddresses, parsePort} from '../../model/address.js'
import {type Pages, type ServiceTarget, parsePorts, parseReplicas, parseServiceTarget} from '../../model/cluster.js'
import {parseEndpointTls} from '../../model/endpoint-tls.js'
import {invalid} from '../../model/errors.js'
import {byKey} from '../../model/listing.js'
import {REPLICAS_MAX, pageKinds, parseClusterName} from '../../model/names.js'
import {parsePagePath} from '../../model/page.js'
import {parseGroups} from '../../model/settings.js'
import type {ClusterRequest} from '../../ops/cluster/add.js'
import {type Stack, parseStack, targetsOf} from '../../model/stack.js'
import {parseNamedTarget, parseTargetName, sidecars} from '../../model/thanos-target.js'
import {type FlagsOf, joined, parsed, present} from './common.js'

/** The groups of flags that most clusters do not need, below those that they do. */
const THANOS = 'THANOS ENDPOINT'
const PAGES = 'WEB PAGE'

/** In the order of `--help`. */
export const clusterFlags = {
  address: Flags.string({
    aliases: ['external-ip'],
    description: 'where the observability Envoy connects to this cluster: IP address or DNS name; may be repeated; can be set later',
    helpValue: 'HOST',
    multiple: true,
  }),
  stack: Flags.string({
    description:
      'monitoring stack whose Service names to use: kube-prometheus, kube-prometheus-stack[=RELEASE], rancher-monitoring[=RELEASE], or kube-thanos[=NAMESPACE] for its Thanos Query in front of kube-prometheus (default kube-prometheus-stack); values of a chart that change its names follow after commas: nameOverride=NAME, fullnameOverride=NAME, cleanPrometheusOperatorObjectNames',
    helpValue: 'STACK',
  }),
  'stack-namespace': Flags.string({
    description:
      'namespace of the monitoring stack in the downstream cluster (default monitoring; of rancher-monitoring cattle-monitoring-system)',
    helpValue: 'NAMESPACE',
  }),
  'cluster-domain': Flags.string({
    description: 'DNS domain of the downstream cluster, for the names of --stack (default cluster.local)',
    helpValue: 'DOMAIN',
  }),
  replicas: Flags.string({description: 'number of Prometheus replicas, each with a Thanos sidecar (default 1)', helpValue: 'N'}),
  port: Flags.string({
    description: 'external port instead of 11901 to 11904, such as 11901=30901; may be repeated',
    helpValue: 'PORT=EXTERNAL',
    multiple: true,
  }),
  group: Flags.string({
    description:
      'group of the cluster, for a Thanos Query of that group (init --groups); may be repeated; the groups replace the present ones, "none" removes all',
    helpValue: 'GROUP',
    multiple: true,
  }),
  thanos: Flags.string({
    helpGroup: THANOS,
    description:
      'address at which the downstream Envoy reaches the Thanos sidecar; {replica} is replaced by the number of the replica. With a name in front, a further target (Ruler, Store gateway, Query and so on) beside the sidecars, such as ruler=HOST:PORT, with two replicas ruler*2=HOST-{replica}:PORT; may be repeated. Further targets replace the present ones; "none" removes these, and leaves the sidecars (--replicas 0 for no sidecars)',
    helpValue: '[TARGET[*N]=]HOST:PORT',
    multiple: true,
  }),
  'thanos-tls': Flags.string({
    helpGroup: THANOS,
    description:
      'reach the Thanos sidecars, or a target, with TLS: the name of certificates that the downstream Envoy has (value upstreamTls of chart envoy), and the name on the server certificate where that is not the host, such as openshift:prometheus-grpc or store=internal; "none" for plaintext; may be repeated',
    helpValue: '[TARGET=]NAME[:SERVERNAME]',
    multiple: true,
  }),
  prometheus: Flags.string({
    helpGroup: PAGES,
    description: 'address at which the downstream Envoy reaches Prometheus (default: that of --stack)',
    helpValue: 'HOST:PORT',
  }),
  alertmanager: Flags.string({
    helpGroup: PAGES,
    description: 'address at which the downstream Envoy reaches Alertmanager (default: that of --stack)',
    helpValue: 'HOST:PORT',
  }),
  'thanos-http-port': Flags.string({
    helpGroup: PAGES,
    description: "port of the Thanos sidecar's web pages, on the host of --thanos (default 10902)",
    helpValue: 'PORT',
  }),
  'page-path': Flags.string({
    helpGroup: PAGES,
    description:
      'path below which a page stands at its own address, such as prom=/prometheus; KIND is prom, alertmanager or thanos; may be repeated',
    helpValue: 'KIND=PATH',
    multiple: true,
  }),
  'allow-admin': Flags.boolean({
    helpGroup: PAGES,
    allowNo: true,
    description: 'pass on the paths of pages that administer, stop, profile or write (/api/v1/admin/, /-/quit, /debug/ and so on)',
  }),
  'allow-silences': Flags.boolean({
    helpGroup: PAGES,
    allowNo: true,
    description: 'let users of the pages create and remove silences (default yes)',
  }),
  'allow-local-targets': Flags.boolean({
    helpGroup: PAGES,
    allowNo: true,
    description: "let pages stand on the downstream Envoy's own machine (loopback and link-local addresses)",
  }),
}

export type ClusterFlags = FlagsOf<typeof clusterFlags>

/** The stack whose Service names are the default. @throws AtlasError `invalid` */
export function stackOf(flags: ClusterFlags): Stack {
  const {'stack-namespace': namespace, 'cluster-domain': clusterDomain} = flags
  if (namespace !== undefined && !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace))
    throw invalid('--stack-namespace', 'the name of a Kubernetes namespace', namespace)
  if (clusterDomain !== undefined && !isDnsName(clusterDomain))
    throw invalid('--cluster-domain', 'a DNS domain such as cluster.local', clusterDomain)
  return parseStack(flags.stack ?? 'kube-prometheus-stack', {namespace, clusterDomain})
}

/** @throws AtlasError `invalid` for the first wrong flag */
export function requestOf(flags: ClusterFlags, cluster: string): ClusterRequest {
  const [addresses, ports] = [joined(flags.address, '--address'), joined(flags.port, '--port')]
  const named = present({
    thanos: parsed(sidecarIn(flags.thanos), text => parseServiceTarget(text, '--thanos')),
    prometheus: parsed(flags.prometheus, text => parsePageTarget(text, '--prometheus')),
    alertmanager: parsed(flags.alertmanager, text => parsePageTarget(text, '--alertmanager')),
  })
  // A stack that --stack names replaces the current addresses; the default stack only fills empty ones.
  const services = flags.stack === undefined ? named : {...targetsOf(stackOf(flags)), ...named}
  return present({
    addresses: parsed(addresses, text => parseAddresses(text, port => `set the port on its own, for example with --port 11901=${port}`)),
    ports: parsed(ports, text => parsePorts(text, '--port')),
    replicas: parsed(flags.replicas, parseSidecars),
    services: Object.keys(services).length === 0 ? undefined : services,
    targets: targetsIn(flags.thanos, cluster),
    tls: parsed(flags['thanos-tls'], tlsIn),
    pages: pagesOf(flags),
    groups: parsed(flags.group, parseClusterGroups),
  })
}

function parseSidecars(text: string): number {
  if (text === '0') return 0
  if (!/^[0-9]{1,4}$/.test(text) || Number(text) > REPLICAS_MAX)
    throw invalid('--replicas', `a whole number from 0 (no sidecars) to ${REPLICAS_MAX}`, text)
  return parseReplicas(text)
}

function parsePageTarget(text: string, flag: string): ServiceTarget {
  if (text === 'none')
    throw invalid(flag, 'HOST:PORT', text, 'a cluster without it needs no flag: its page says that nothing answers, and all else works')
  return parseServiceTarget(text, flag)
}

/** The sidecars' address: the one without a name in front. */
function sidecarIn(entries: readonly string[] | undefined): string | undefined {
  const plain = (entries ?? []).filter(entry => !entry.includes('=') && entry !== 'none')
  if (plain.length > 1)
    throw invalid('--thanos', 'one address of the sidecars, and names in front of all others (ruler=HOST:PORT)', plain.join(' '))
  return plain[0]
}

/** Undefined: the present targets stay. */
function targetsIn(entries: readonly string[] = [], cluster: string): ClusterRequest['targets'] {
  const named = entries.filter(entry => entry.includes('='))
  if (named.length === 0) return entries.includes('none') ? new Map() : undefined
  const targets = named.map(entry => {
    const [, name = '', replicas, address = ''] = /^([^=*]*)(?:\*([^=]*))?=(.*)$/s.exec(entry) ?? []
    return [parseTargetName(name, parseClusterName(cluster)), parseNamedTarget(address, {replicas}, `--thanos ${name}`)] as const
  })
  if (new Set(targets.map(([name]) => name)).size < targets.length) throw invalid('--thanos', 'each target once', named.join(' '))
  return new Map(targets.sort(byKey))
}

function tlsIn(entries: readonly string[]): ClusterRequest['tls'] {
  const pairs = entries.map(entry => {
    const cut = entry.indexOf('=')
    const text = entry.slice(cut + 1)
    return [cut < 0 ? sidecars : entry.slice(0, cut), text === 'none' ? undefined : parseEndpointTls(text, '--thanos-tls')] as const
  })
  if (new Set(pairs.map(([target]) => target)).size < pairs.length) throw invalid('--thanos-tls', 'each target once', entries.join(' '))
  return new Map(pairs)
}

function pagesOf(flags: ClusterFlags): ClusterRequest['pages'] {
  const pages = present({
    thanosHttpPort: parsed(flags['thanos-http-port'], text => parsePort(text, '--thanos-http-port')),
    paths: parsed(flags['page-path'], parsePaths),
    allowAdmin: flags['allow-admin'],
    allowSilences: flags['allow-silences'],
    allowLocalTargets: flags['allow-local-targets'],
  })
  return Object.keys(pages).length === 0 ? undefined : pages
}

function parsePaths(entries: readonly string[]): Partial<Pages['paths']> {
  return Object.fromEntries(
    entries.map(entry => {
      const cut = entry.indexOf('=')
      const kind = pageKinds.find(each => each === entry.slice(0, Math.max(cut, 0)))
      if (kind === undefined)
        throw invalid('--page-path', `KIND=PATH with one of ${pageKinds.join(', ')} as KIND, such as prom=/prometheus`, entry)
      return [kind, parsePagePath(entry.slice(cut + 1), `--page-path ${kind}`)]
    }),
  )
}

function parseClusterGroups(groups: readonly string[]): readonly string[] {
  if (groups.length === 1 && groups[0] === 'none') return []
  return parseGroups(groups, '--group')
}
