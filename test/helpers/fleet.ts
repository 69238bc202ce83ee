/** Builders of fleet values for tests; certificates are not made here. */
import {parseAddress} from '../../src/lib/model/address.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultPages} from '../../src/lib/model/page.js'

/** A registered cluster with one address and kube-prometheus-like services. */
export function testCluster(name: string, differing: Partial<Cluster> = {}): Cluster {
  const pod = 'prometheus-k8s-{replica}.prometheus-operated.monitoring.svc.cluster.local'
  return {
    name: parseClusterName(name),
    addresses: [parseAddress('198.51.100.4')],
    ports: new Map(),
    replicas: 1,
    services: {
      thanos: {host: pod, port: 10_901},
      prometheus: {host: pod, port: 9090},
      alertmanager: {host: 'alertmanager-operated.monitoring.svc.cluster.local', port: 9093},
    },
    thanosHealth: 'grpc',
    targets: new Map(),
    pages: defaultPages,
    groups: [],
    ...differing,
  }
}
