/** The flags of `cluster add`. */
import {Flags} from '@oclif/core'
import {parseAddresses} from '../../model/address.js'
import {parsePorts, parseReplicas, parseServiceTarget} from '../../model/cluster.js'
import {invalid} from '../../model/errors.js'
import type {ClusterRequest} from '../../ops/cluster/add.js'
import {type Stack, parseStack, targetsOf} from '../../model/stack.js'
import {type FlagsOf, joined, parsed, present} from './common.js'

export const clusterFlags = {
  address: Flags.string({
    aliases: ['external-ip'],
    description: 'where the observability Envoy connects to this cluster: IP address or DNS name; may be repeated; can be set later',
    helpValue: 'HOST',
    multiple: true,
  }),
  port: Flags.string({
    description: 'external port instead of 11901 to 11904, such as 11901=30901; may be repeated',
    helpValue: 'PORT=EXTERNAL',
    multiple: true,
  }),
  replicas: Flags.string({description: 'number of Prometheus replicas, each with a Thanos sidecar (default 1)', helpValue: 'N'}),
  stack: Flags.string({
    description:
      'monitoring stack whose Service names to use: kube-prometheus, or kube-prometheus-stack[=RELEASE] (default kube-prometheus-stack)',
    helpValue: 'STACK',
  }),
  'stack-namespace': Flags.string({
    default: 'monitoring',
    description: 'namespace of the monitoring stack in the downstream cluster',
    helpValue: 'NAMESPACE',
  }),
  thanos: Flags.string({
    description: "address at which the downstream Envoy reaches the Thanos sidecar; {replica} is replaced by the replica's number",
    helpValue: 'HOST:PORT',
  }),
  prometheus: Flags.string({description: 'address of Prometheus, in the same form', helpValue: 'HOST:PORT'}),
  alertmanager: Flags.string({description: 'address of Alertmanager, in the same form', helpValue: 'HOST:PORT'}),
  group: Flags.string({description: 'group of the cluster; may be repeated', helpValue: 'GROUP', multiple: true}),
}

export type ClusterFlags = FlagsOf<typeof clusterFlags>

/** The stack whose Service names are the default. @throws AtlasError `invalid` */
export function stackOf(flags: ClusterFlags): Stack {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(flags['stack-namespace']))
    throw invalid('--stack-namespace', 'the name of a Kubernetes namespace', flags['stack-namespace'])
  return parseStack(flags.stack ?? 'kube-prometheus-stack', flags['stack-namespace'])
}

/** @throws AtlasError `invalid` for the first wrong flag */
export function requestOf(flags: ClusterFlags): ClusterRequest {
  const [addresses, ports] = [joined(flags.address, '--address'), joined(flags.port, '--port')]
  const named = present({
    thanos: parsed(flags.thanos, text => parseServiceTarget(text, '--thanos')),
    prometheus: parsed(flags.prometheus, text => parseServiceTarget(text, '--prometheus')),
    alertmanager: parsed(flags.alertmanager, text => parseServiceTarget(text, '--alertmanager')),
  })
  // A stack that --stack names replaces the current addresses; the default stack only fills empty ones.
  const services = flags.stack === undefined ? named : {...targetsOf(stackOf(flags)), ...named}
  return present({
    addresses: parsed(addresses, text => parseAddresses(text, port => `set the port on its own, for example with --port 11901=${port}`)),
    ports: parsed(ports, parsePorts),
    replicas: parsed(flags.replicas, parseReplicas),
    services: Object.keys(services).length === 0 ? undefined : services,
    groups: parsed(flags.group, parseGroups),
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
