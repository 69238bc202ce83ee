/** The network: a fresh store, `atlas serve`, the observability Envoy, and the downstream clusters that join and leave. */
import {existsSync} from 'node:fs'
import {mkdir} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {downstreamPorts} from '../lib/model/cluster.js'
import {type ClusterName, OBSERVABILITY, parseClusterName, sidecarName} from '../lib/model/names.js'
import {PAGES_PORT, defaultSettings} from '../lib/model/settings.js'
import {serveDns} from './lab/dns.js'
import {type RunningEnvoy, startEnvoy, untilEnvoyReady} from './envoys.js'
import {type StandIn, serveStandIn} from './lab/health.js'
import type {Running} from './lab/processes.js'
import type {DownstreamSite} from './lab/sites.js'
import type {DemoContext} from './context.js'
import {relayFromLocalhost} from './lab/relay.js'
import {waitFor} from './lab/wait.js'

export interface Member {
  readonly name: ClusterName
  readonly site: DownstreamSite
  readonly envoy: RunningEnvoy
  /** The host name and port by which Thanos Query reaches its sidecar. */
  readonly authority: string
  backend: Backend
}

/** The server behind a downstream Envoy: the demo's stand-in, until a Thanos sidecar replaces it. */
export type Backend = {readonly kind: 'sidecar'; readonly running: Running} | {readonly kind: 'stand-in'; readonly standIn: StandIn}

export interface Network {
  readonly context: DemoContext
  readonly observability: RunningEnvoy
  /** The file that `atlas serve` writes for Thanos Query. */
  readonly endpoints: string
  /** Registered and running, in the order they joined. */
  readonly members: Member[]
  /** Where a browser opens the start page, whose links have host names below `localhost`. */
  readonly startPage: HostPort
  /** By cluster. A Prometheus starts before its cluster joins, so that it has samples by then. */
  readonly prometheuses: Map<ClusterName, Running>
  /** The program that they run. */
  prometheusProgram: string | undefined
  server: Running
  /** Stops the DNS server and the stand-ins, which run in this process. */
  close(): Promise<void>
}

/** Names for downstream clusters; beyond them, numbers. */
export function clusterNameAt(index: number): ClusterName {
  return parseClusterName(cities[index] ?? `cluster-${index + 1}`)
}

/** Creates an installation and starts the programs of the observability cluster. */
export async function openNetwork(context: DemoContext): Promise<Network> {
  const {sites, screen} = context
  const {address, ports} = sites.observability
  screen.step('A fresh installation with a certificate authority of its own')
  screen.command(`export ATLAS_STORE=${context.folder}/store`)
  const template = `dns://${address}:${ports.dns}/{service}.{namespace}.svc.{clusterDomain}:${ports.thanos}`
  const adsPort = ports.ads === defaultSettings.adsPort ? [] : ['--ads-port', String(ports.ads), '--alerts-port', String(ports.alerts)]
  const server = renderHostPort({host: address, port: ports.server})
  const pages = ports.serverPages === PAGES_PORT ? [] : ['--pages-server', renderHostPort({host: address, port: ports.serverPages})]
  const where = ['--address', address, '--ads-server', server, ...pages, '--endpoint-template', template]
  const web = ['--web-domain', WEB_DOMAIN, '--pages-by-path', '--alertmanager', renderHostPort(alertmanagerAddress(context))]
  await context.atlas.run('init', ...where, ...adsPort, ...web, ...pace)

  screen.step('The server: certificates, configuration over ADS, endpoints for Thanos Query')
  await mkdir(path.join(context.folder, 'thanos'), {mode: 0o700})
  const endpoints = path.join(context.folder, 'thanos', 'endpoints.yaml')
  const running = await startServer(context, endpoints)

  screen.step('The observability Envoy')
  const standard = new Map([
    [10_900, ports.ads],
    [10_901, ports.thanos],
    [10_902, ports.thanosPages],
    [10_903, ports.alerts],
    [10_904, ports.pages],
  ])
  const observability = await startEnvoy({owner: OBSERVABILITY, address, statsPort: ports.envoyStats, ports: standard}, context)
  await untilEnvoyReady(observability, context.signal)
  const {namespace, clusterDomain} = defaultSettings
  const dns = await serveDns({host: address, port: ports.dns}, {suffix: `${namespace}.svc.${clusterDomain}`, address})
  const members: Member[] = []
  const relay = sites.layout === 'own' ? await relayFromLocalhost(pagesAddress(context)) : undefined
  return {
    context,
    observability,
    endpoints,
    members,
    startPage: relay?.at ?? pagesAddress(context),
    prometheuses: new Map(),
    prometheusProgram: undefined,
    server: running,
    close: async () => {
      await Promise.all([dns.close(), relay?.close(), ...members.map(member => closeStandIn(member))])
    },
  }
}

/** Starts `atlas serve` and waits until it is ready and has written the endpoints. */
export async function startServer({atlas, supervisor, sites, signal}: DemoContext, endpoints: string): Promise<Running> {
  const {address, ports} = sites.observability
  const admin = renderHostPort({host: address, port: ports.serverAdmin})
  const pages = ports.serverPages === PAGES_PORT ? [] : ['--pages-listen', renderHostPort({host: address, port: ports.serverPages})]
  const listen = ['--listen', renderHostPort({host: address, port: ports.server}), ...pages]
  const args = [...listen, '--admin', admin, '--thanos-endpoints', endpoints]
  const running = await supervisor.start(atlas.spec('atlas-serve', 'serve', ...args))
  await waitFor(
    'atlas serve to be ready',
    async () => {
      const response = await fetch(`http://${admin}/readyz`, {signal: AbortSignal.timeout(2000)})
      const body = await response.text()
      if (!response.ok) throw new Error(body.trim())
      return existsSync(endpoints) ? true : undefined
    },
    {signal, timeoutMs: 60_000},
  )
  return running
}

/** Registers a cluster and starts its Envoy in front of a running backend. Returns before the Envoy is ready. */
export async function joinCluster(network: Network, name: ClusterName, site: DownstreamSite, backend: Backend): Promise<Member> {
  const {context, members} = network
  const {address, ports} = site
  const standard = new Map([
    [downstreamPorts.thanos, ports.thanos],
    [downstreamPorts.thanosHttp, ports.thanosPage],
    [downstreamPorts.alertmanager, ports.alertmanagerPage],
    [downstreamPorts.prometheus, ports.prometheusPage],
  ])
  const otherPort = [...standard].filter(([from, to]) => from !== to).flatMap(([from, to]) => ['--port', `${from}=${to}`])
  const at = (port: number): string => renderHostPort({host: address, port})
  const targets = ['--thanos', at(ports.sidecarGrpc), '--prometheus', at(ports.prometheus), '--alertmanager', at(ports.alertmanager)]
  const thanosPage = ports.sidecarHttp === THANOS_HTTP_PORT ? [] : ['--thanos-http-port', String(ports.sidecarHttp)]
  // The demo's Prometheus stands beside its Envoy; elsewhere a page at a loopback address is refused.
  const where = [...targets, ...thanosPage, '--allow-local-targets', ...otherPort]
  await context.atlas.run('cluster', 'add', name, '--address', address, ...where)
  const listened = new Map<number, number>([...standard, [10_903, ports.alerts]])
  const envoy = await startEnvoy({owner: name, address, statsPort: ports.envoyStats, ports: listened}, context)
  const authority = authorityOf(context, sidecarName(name, 0))
  const member: Member = {name, site, envoy, authority, backend}
  members.push(member)
  return member
}

/** Starts a stand-in at the address where the cluster's sidecar is registered. */
export async function startStandIn(name: ClusterName, site: DownstreamSite): Promise<Backend> {
  return {kind: 'stand-in', standIn: await serveStandIn({host: site.address, port: site.ports.sidecarGrpc}, name)}
}

/** Stops every program of a cluster. */
export async function stopMember(network: Network, member: Member): Promise<void> {
  const {members, prometheuses} = network
  members.splice(members.indexOf(member), 1)
  const {backend, envoy, name} = member
  await Promise.all([
    closeStandIn(member),
    envoy.running.stop(),
    ...(backend.kind === 'sidecar' ? [backend.running.stop()] : []),
    prometheuses.get(name)?.stop(),
  ])
  prometheuses.delete(name)
}

/** Where Thanos Query reaches every sidecar: the observability Envoy's plaintext port. */
export function thanosAddress({sites}: DemoContext): HostPort {
  return {host: sites.observability.address, port: sites.observability.ports.thanos}
}

/** Where a browser reaches all web pages: the observability Envoy's 10904. */
export function pagesAddress({sites}: DemoContext): HostPort {
  return {host: sites.observability.address, port: sites.observability.ports.pages}
}

/** Where the observability cluster's Alertmanager listens. */
export function alertmanagerAddress({sites}: DemoContext): HostPort {
  return {host: sites.alertmanager.address, port: sites.alertmanager.ports.http}
}

/** The host name and port by which Thanos Query reaches a sidecar. */
export function authorityOf({sites}: DemoContext, service: string): string {
  const {namespace, clusterDomain} = defaultSettings
  return `${service}.${namespace}.svc.${clusterDomain}:${sites.observability.ports.thanos}`
}

/** The domain of the pages' host names. Browsers take each name below `localhost` for 127.0.0.1. */
export const WEB_DOMAIN = 'atlas.localhost'

/** The port of a sidecar's page unless the registration names another. */
const THANOS_HTTP_PORT = 10_902

/** Envoy retries an unreachable cluster after this time: shorter than the default, since a user is watching. */
const pace = ['--set', 'healthInterval=1s']

const cities = ['paris', 'lyon', 'oslo', 'rome', 'vienna', 'madrid', 'berlin', 'dublin', 'prague', 'athens', 'lisbon', 'warsaw']

/** Stops the member's stand-in, if it has one. */
export async function closeStandIn({backend}: Member): Promise<void> {
  if (backend.kind === 'stand-in') await backend.standIn.close()
}
