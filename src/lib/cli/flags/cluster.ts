/** `cluster add`'s flags as a request. */
import {Flags} from '@oclif/core'
import {parseAddresses} from '../../model/address.js'
import {parsePorts, parseReplicas, parseServiceTarget} from '../../model/cluster.js'
import {invalid} from '../../model/errors.js'
import type {ClusterRequest} from '../../ops/cluster/add.js'
import {type Stack, parseStack, targetsOf} from '../../model/stack.js'
import {joined, present} from './common.js'

export const clusterFlags = {
  address: Flags.string({
    aliases: ['external-ip'],
    description: 'where the observability Envoy dials this cluster: IP address or DNS name; may be repeated; may come later',
    helpValue: 'HOST',
    multiple: true,
  }),
  port: Flags.string({
    description: 'dial another port than 11901 to 11904, such as 11901=30901; may be repeated',
    helpValue: 'PORT=DIALLED',
    multiple: true,
  }),
  replicas: Flags.string({
    description: 'how many Prometheus replicas, each with a Thanos sidecar, stand in the cluster (default 1)',
    helpValue: 'N',
  }),
  stack: Flags.string({
    description:
      'the monitoring stack whose names to use: kube-prometheus, or kube-prometheus-stack[=RELEASE] (default kube-prometheus-stack)',
    helpValue: 'STACK',
  }),
  'stack-namespace': Flags.string({
    default: 'monitoring',
    description: 'namespace of the monitoring stack in the downstream cluster',
    helpValue: 'NAMESPACE',
  }),
  thanos: Flags.string({
    description: "address of the Thanos sidecar as seen by the downstream Envoy; {replica} stands for the replica's number",
    helpValue: 'HOST:PORT',
  }),
  prometheus: Flags.string({description: 'address of Prometheus, likewise', helpValue: 'HOST:PORT'}),
  alertmanager: Flags.string({description: 'address of Alertmanager, likewise', helpValue: 'HOST:PORT'}),
  group: Flags.string({description: 'a group that the cluster belongs to; may be repeated', helpValue: 'GROUP', multiple: true}),
}

/** What the flags of `clusterFlags` parse to. */
export interface ClusterFlags {
  readonly address?: readonly string[] | undefined
  readonly port?: readonly string[] | undefined
  readonly replicas?: string | undefined
  readonly stack?: string | undefined
  readonly 'stack-namespace': string
  readonly thanos?: string | undefined
  readonly prometheus?: string | undefined
  readonly alertmanager?: string | undefined
  readonly group?: readonly string[] | undefined
}

/** The stack whose names are taken where nothing else is said. @throws AtlasError `invalid` */
export function stackOf(flags: ClusterFlags): Stack {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(flags['stack-namespace']))
    throw invalid('--stack-namespace', 'the name of a Kubernetes namespace', flags['stack-namespace'])
  return parseStack(flags.stack ?? 'kube-prometheus-stack', flags['stack-namespace'])
}

/** @throws AtlasError `invalid` for the first flag that can't be */
export function requestOf(flags: ClusterFlags): ClusterRequest {
  const [addresses, ports] = [joined(flags.address, '--address'), joined(flags.port, '--port')]
  const named = present({
    thanos: flags.thanos === undefined ? undefined : parseServiceTarget(flags.thanos, '--thanos'),
    prometheus: flags.prometheus === undefined ? undefined : parseServiceTarget(flags.prometheus, '--prometheus'),
    alertmanager: flags.alertmanager === undefined ? undefined : parseServiceTarget(flags.alertmanager, '--alertmanager'),
  })
  // A stack that was asked for by name replaces what stands; the default one only fills what is empty.
  const services = flags.stack === undefined ? named : {...targetsOf(stackOf(flags)), ...named}
  return present({
    addresses: addresses === undefined ? undefined : parseAddresses(addresses),
    ports: ports === undefined ? undefined : parsePorts(ports),
    replicas: flags.replicas === undefined ? undefined : parseReplicas(flags.replicas),
    services: Object.keys(services).length === 0 ? undefined : services,
    groups: flags.group === undefined ? undefined : parseGroups(flags.group),
  })
}

/** Groups become label names (`group.goatlas.io/<group>`), at most 63 characters. */
function parseGroups(groups: readonly string[]): readonly string[] {
  for (const group of groups) {
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(group))
      throw invalid('--group', 'lower-case letters, digits and "-", at most 63', group)
  }

  return [...new Set(groups)].sort()
}
