/** Where a monitoring stack puts Prometheus, its sidecar and Alertmanager: so that an operator need not look these names up. */
import {AtlasError, invalid} from './errors.js'
import type {ServiceTarget, ServiceTargets} from './cluster.js'

/** Stacks that `--stack` knows. */
export const stacks = ['kube-prometheus', 'kube-prometheus-stack'] as const

export interface Stack {
  readonly name: (typeof stacks)[number]
  /** Helm release, for kube-prometheus-stack. */
  readonly release: string
  readonly namespace: string
}

/** `kube-prometheus`, `kube-prometheus-stack` or `kube-prometheus-stack=RELEASE`. @throws AtlasError `invalid` */
export function parseStack(text: string, namespace: string): Stack {
  const [name = '', release, ...rest] = text.split('=')
  const known = stacks.find(stack => stack === name)
  if (known === undefined || rest.length > 0)
    throw invalid('--stack', `one of ${stacks.join(', ')}, or kube-prometheus-stack=RELEASE`, text)
  if (release !== undefined && (known !== 'kube-prometheus-stack' || !/^[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?$/.test(release)))
    throw new AtlasError(
      'invalid',
      `--stack ${known} takes ${known === 'kube-prometheus-stack' ? 'the name of a Helm release' : 'no release'} after "="`,
    )
  return {name: known, release: release ?? 'kube-prometheus-stack', namespace}
}

/**
 * The addresses inside the downstream cluster. Prometheus Operator names the pods `prometheus-<resource>-<replica>` and gives them
 * DNS names under the headless Services `prometheus-operated` and `alertmanager-operated`.
 */
export function targetsOf(stack: Stack): ServiceTargets {
  const prometheus = stack.name === 'kube-prometheus' ? 'k8s' : `${fullName(stack.release)}-prometheus`
  const domain = `${stack.namespace}.svc.cluster.local`
  const pod = `prometheus-${prometheus}-{replica}.prometheus-operated.${domain}`
  return {
    thanos: {host: pod, port: 10_901},
    prometheus: {host: pod, port: 9090},
    alertmanager: {host: `alertmanager-operated.${domain}`, port: 9093},
  }
}

/**
 * Whether a target is one of the headless Services that Prometheus Operator (`prometheus-operated`) and kube-prometheus-stack
 * (`…-thanos-discovery`) make. Such a name has the addresses of all replicas of all Prometheus objects behind it, and an Envoy calls now
 * one of them, now another. How many there are is known in the downstream cluster alone.
 */
export function isSharedByReplicas({host}: ServiceTarget): boolean {
  const [label = ''] = host.split('.')
  return label === 'prometheus-operated' || label.endsWith('-thanos-discovery')
}

/** The chart's `kube-prometheus-stack.fullname`: the release, with the chart's name unless it is in it; 26 characters at most. */
function fullName(release: string): string {
  const name = release.includes('kube-prometheus-stack') ? release : `${release}-kube-prometheus-stack`
  return name.slice(0, 26).replace(/-$/, '')
}

/** The stack of a cluster for which none is named. */
export const defaultStack: Stack = {name: 'kube-prometheus-stack', release: 'kube-prometheus-stack', namespace: 'monitoring'}
