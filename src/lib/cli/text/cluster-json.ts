/** A cluster as `--json` prints it; the shape is documented in docs/reference/json.md and only ever grows. */
import {renderHostPort} from '../../model/address.js'
import type {ServiceTarget} from '../../model/cluster.js'
import type {ClusterEntry} from '../../ops/cluster/list.js'

export interface ClusterJson {
  readonly name: string
  readonly state: string
  readonly generation: number
  readonly addresses?: readonly string[]
  readonly ports?: Readonly<Record<string, number>>
  readonly replicas?: number
  readonly services?: {readonly thanos: string; readonly prometheus: string; readonly alertmanager: string}
  readonly groups?: readonly string[]
  readonly suspendedSince?: string
  readonly fault?: {readonly object: string; readonly key: string; readonly message: string}
}

/** A cluster as `--json` shows it: what is not known is absent. */
export function clusterJson({name, state, cluster, fault, suspendedSince, generation}: ClusterEntry): ClusterJson {
  const text = ({host, port}: ServiceTarget): string => renderHostPort({host, port})
  return {
    name,
    state,
    generation,
    ...(cluster !== undefined && {
      addresses: cluster.addresses.map(address => address.host),
      ports: Object.fromEntries(cluster.ports),
      replicas: cluster.replicas,
      services: {
        thanos: text(cluster.services.thanos),
        prometheus: text(cluster.services.prometheus),
        alertmanager: text(cluster.services.alertmanager),
      },
      groups: cluster.groups,
    }),
    ...(suspendedSince !== undefined && {suspendedSince}),
    ...(fault !== undefined && {fault: {object: fault.source ?? fault.object, key: fault.key, message: fault.message}}),
  }
}
