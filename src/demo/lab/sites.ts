/** The addresses of all programs: one loopback address per host with the real ports, or 127.0.0.1 with a block of other ports. Pure. */
import type {HostPort} from '../../lib/model/address.js'
import {STATS_PORT} from '../../lib/envoy/admin.js'
import {downstreamPorts} from '../../lib/model/cluster.js'
import {AtlasError} from '../../lib/model/errors.js'
import {ADS_PORT, PAGES_PORT} from '../../lib/model/settings.js'

/** The ports of the observability cluster's host. */
export const observabilityPorts = {
  server: ADS_PORT,
  serverPages: PAGES_PORT,
  serverAdmin: 6309,
  ads: 10_900,
  thanos: 10_901,
  thanosPages: 10_902,
  alerts: 10_903,
  pages: 10_904,
  envoyStats: STATS_PORT,
  dns: 15_353,
} as const

/** The ports of Thanos Query, which needs its own address, since the observability Envoy listens on 10901, too. */
export const queryPorts = {grpc: 10_901, http: 10_902} as const

/** The port of the observability cluster's Alertmanager. */
export const alertmanagerPorts = {http: 9093} as const

/** The port of the login proxy in front of the web pages. */
export const loginPorts = {http: 4180} as const

/** The ports of the second Prometheus of one cluster, with its sidecar. */
export const secondReplicaPorts = {sidecarGrpc: 10_901, sidecarHttp: 10_902, prometheus: 9090} as const

/** The ports of a downstream cluster's host. */
export const downstreamSitePorts = {
  envoyStats: STATS_PORT,
  thanos: downstreamPorts.thanos,
  thanosPage: downstreamPorts.thanosHttp,
  alertmanagerPage: downstreamPorts.alertmanager,
  prometheusPage: downstreamPorts.prometheus,
  alerts: 10_903,
  sidecarGrpc: 10_901,
  sidecarHttp: 10_902,
  prometheus: 9090,
  alertmanager: 9093,
} as const

export interface Site<P extends string> {
  readonly address: string
  readonly ports: Readonly<Record<P, number>>
}

export type ObservabilitySite = Site<keyof typeof observabilityPorts>
export type QuerySite = Site<keyof typeof queryPorts>
export type AlertmanagerSite = Site<keyof typeof alertmanagerPorts>
export type LoginSite = Site<keyof typeof loginPorts>
export type ReplicaSite = Site<keyof typeof secondReplicaPorts>
export type DownstreamSite = Site<keyof typeof downstreamSitePorts>

export interface Sites {
  /** `own`: an address for each host and the real ports; `one`: 127.0.0.1 and ports counted up from a base. */
  readonly layout: SiteLayout
  readonly observability: ObservabilitySite
  readonly query: QuerySite
  readonly alertmanager: AlertmanagerSite
  readonly login: LoginSite
  readonly secondReplica: ReplicaSite
  readonly downstreams: readonly DownstreamSite[]
  /** Bound by the process that uses these addresses, so that another one takes other addresses. */
  readonly lock: HostPort
}

export type SiteLayout = 'one' | 'own'

export const ONE_ADDRESS = '127.0.0.1'

/** How many processes can have addresses at the same time. */
export const BLOCKS = 20

export const DOWNSTREAMS_MAX = 40

/** Below 32768, where Linux's ports for outgoing connections begin, so that no connection takes one of them. */
const FIRST_PORT = 20_000
const PORTS_PER_BLOCK = 600
const FIRST_DOWNSTREAM_HOST = 11

/**
 * The addresses of demo number `block`, counted from 0.
 * @throws AtlasError `invalid` for more downstream clusters than there are addresses for
 */
export function planSites(layout: SiteLayout, block: number, downstreams: number): Sites {
  if (downstreams > DOWNSTREAMS_MAX)
    throw new AtlasError('invalid', `the demo has addresses for ${DOWNSTREAMS_MAX} downstream clusters, not for ${downstreams}`)
  return layout === 'own' ? ownAddresses(block, downstreams) : oneAddress(block, downstreams)
}

/** Every TCP port that something will listen on. */
export function tcpPorts(sites: Sites): readonly HostPort[] {
  const {dns: _, ...observability} = sites.observability.ports
  return [
    ...hostPorts({...sites.observability, ports: observability}),
    ...[sites.query, sites.alertmanager, sites.login, sites.secondReplica].flatMap(site => hostPorts(site)),
    ...sites.downstreams.flatMap(site => hostPorts(site)),
  ]
}

function hostPorts({address, ports}: Site<string>): readonly HostPort[] {
  return Object.values(ports).map(port => ({host: address, port}))
}

function ownAddresses(block: number, downstreams: number): Sites {
  const address = (host: number): string => `127.63.${block + 1}.${host}`
  return {
    layout: 'own',
    observability: {address: address(1), ports: observabilityPorts},
    query: {address: address(2), ports: queryPorts},
    alertmanager: {address: address(3), ports: alertmanagerPorts},
    login: {address: address(4), ports: loginPorts},
    secondReplica: {address: address(5), ports: secondReplicaPorts},
    downstreams: count(downstreams, index => ({address: address(FIRST_DOWNSTREAM_HOST + index), ports: downstreamSitePorts})),
    lock: {host: address(254), port: ADS_PORT},
  }
}

function oneAddress(block: number, downstreams: number): Sites {
  let next = FIRST_PORT + block * PORTS_PER_BLOCK
  const take = (): number => next++
  const site = <P extends string>(ports: Readonly<Record<P, number>>): Site<P> => ({
    address: ONE_ADDRESS,
    ports: Object.fromEntries(Object.keys(ports).map(name => [name, take()])) as Record<P, number>,
  })
  return {
    layout: 'one',
    lock: {host: ONE_ADDRESS, port: take()},
    observability: site(observabilityPorts),
    query: site(queryPorts),
    alertmanager: site(alertmanagerPorts),
    login: site(loginPorts),
    secondReplica: site(secondReplicaPorts),
    downstreams: count(downstreams, () => site(downstreamSitePorts)),
  }
}

function count<T>(length: number, make: (index: number) => T): readonly T[] {
  return Array.from({length}, (_, index) => make(index))
}
