/** How Envoy finds the addresses of a cluster's endpoints: as they are written, or by DNS, from networks of either address family. */
import {create} from '@bufbuild/protobuf'
import {
  Cluster_CustomClusterTypeSchema,
  Cluster_DiscoveryType,
  type Cluster as EnvoyCluster,
} from '../../gen/envoy/config/cluster/v3/cluster_pb.js'
import {DnsLookupFamily} from '../../gen/envoy/extensions/clusters/common/dns/v3/dns_pb.js'
import {DnsClusterSchema} from '../../gen/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js'
import {type HostPort, parseAddress} from '../model/address.js'
import {duration, pack} from './core.js'

/**
 * Seconds between look-ups, and the most that chance adds. Envoy has no ceiling for TTLs, so it does not follow them: after at most 30 s
 * it knows that a name has moved, whatever the TTL was (docs/explanation/envoy.md#names).
 */
const lookUps = {
  /** For names that each node has a few of, such as a sidecar's, whose pod may get another address at any time. */
  few: {every: 5, jitter: 1},
  /** For the observability Envoy's names of downstream clusters: there may be a thousand. */
  many: {every: 20, jitter: 10},
} as const

/** How often the names of a cluster are looked up: how many clusters of this kind a node has. */
export type LookUps = keyof typeof lookUps

type Discovery = Pick<EnvoyCluster, 'clusterDiscoveryType'> & {readonly waitForWarmOnInit?: boolean}

/**
 * STATIC for IP addresses alone. With one DNS name among them Envoy resolves all, and an address resolves to itself.
 *
 * Every name is looked up in both address families. Where a health check chooses among the addresses, each is an endpoint. Without a
 * health check, all addresses of a name are one endpoint: Envoy tries them in turn, a new one every 300 ms (Happy Eyeballs, RFC 8305),
 * and keeps them while the name does not resolve. Envoy does that for a single name; of several names each address is an endpoint, and
 * the next attempt goes to another one.
 *
 * A cluster that changes goes on with its old addresses until the new ones are resolved and checked. So an Envoy that starts waits for its
 * names too, for as long as its bootstrap allows (docs/explanation/envoy.md#names). A cluster of the bootstrap never changes, and does not wait.
 */
export function discovery(
  hosts: readonly HostPort[],
  {lookUps: pace, isChecked, isStatic}: {lookUps: LookUps; isChecked: boolean; isStatic: boolean},
): Discovery {
  if (!hosts.some(({host}) => parseAddress(host).kind === 'dns'))
    return {clusterDiscoveryType: {case: 'type', value: Cluster_DiscoveryType.STATIC}}
  const {every, jitter} = lookUps[pace]
  return {
    clusterDiscoveryType: {
      case: 'clusterType',
      value: create(Cluster_CustomClusterTypeSchema, {
        name: 'envoy.clusters.dns',
        typedConfig: pack(DnsClusterSchema, {
          dnsRefreshRate: duration(every),
          dnsFailureRefreshRate: {baseInterval: duration(1), maxInterval: duration(10)},
          dnsJitter: duration(jitter),
          dnsLookupFamily: DnsLookupFamily.ALL,
          allAddressesInSingleEndpoint: !isChecked && hosts.length === 1,
        }),
      }),
    },
    ...(isStatic ? {waitForWarmOnInit: false} : {}),
  }
}
