/** What an installation has chosen, once, in ConfigMap `atlas-fleet`. Every duration of the product is here or a flag of `serve`. */
import type {Address, HostPort} from './address.js'

/** Durations in seconds. */
export interface Lifetimes {
  readonly root: number
  readonly issuer: number
  readonly identity: number
  readonly credential: number
  /** How long a cluster whose registration is gone keeps its identity and credential, to be restored when it comes back. */
  readonly suspension: number
}

/** Durations in seconds, as Envoy is told them (design, part 6; facts/envoy.md 4 and 9). */
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
  /** Where downstream Envoys dial the observability Envoy; none: `cluster values` cannot answer yet. */
  readonly addresses: readonly Address[]
  readonly adsPort: number
  readonly alertsPort: number
  /** Where the observability Envoy dials `atlas serve`; none: `atlas-ads.<namespace>.svc.<clusterDomain>:6305`. */
  readonly adsServers: readonly HostPort[]
  readonly namespace: string
  readonly thanosNamespace: string
  readonly alertmanagers: readonly HostPort[]
  readonly clusterDomain: string
  /** Address of one replica for Thanos Query; `{service}`, `{namespace}` and `{clusterDomain}` are filled in. */
  readonly endpointTemplate: string
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

/** The port of `atlas serve`. */
export const ADS_PORT = 6305

/** Where the observability Envoy dials `atlas serve`. */
export function adsServersOf(settings: Settings): readonly HostPort[] {
  if (settings.adsServers.length > 0) return settings.adsServers
  return [{host: `atlas-ads.${settings.namespace}.svc.${settings.clusterDomain}`, port: ADS_PORT}]
}
