/** Where a monitoring stack puts Prometheus, its sidecar and Alertmanager: so that an operator need not look these names up. */
import {AtlasError, invalid} from './errors.js'
import type {ServiceTarget, ServiceTargets} from './cluster.js'

/** Stacks that `--stack` knows. */
export const stacks = ['kube-prometheus', 'kube-prometheus-stack', 'kube-thanos', 'rancher-monitoring'] as const

export interface Stack {
  readonly name: (typeof stacks)[number]
  /** Helm release of kube-prometheus-stack or rancher-monitoring; the namespace of kube-thanos. */
  readonly release: string
  readonly namespace: string
  readonly clusterDomain: string
  /** Values of the chart from which its names follow. */
  readonly values: Readonly<Partial<Record<ChartValue, string>>>
}

/** Values of kube-prometheus-stack and rancher-monitoring, by the charts' own names. */
const chartValues = ['cleanPrometheusOperatorObjectNames', 'fullnameOverride', 'nameOverride'] as const
type ChartValue = (typeof chartValues)[number]

const charts: readonly string[] = ['kube-prometheus-stack', 'rancher-monitoring']

/** Where each stack is if nothing else is said: what its documentation or its chart suggests. */
const standard: Readonly<Record<Stack['name'], {readonly release: string; readonly namespace: string}>> = {
  'kube-prometheus': {release: '', namespace: 'monitoring'},
  'kube-prometheus-stack': {release: 'kube-prometheus-stack', namespace: 'monitoring'},
  'kube-thanos': {release: 'thanos', namespace: 'monitoring'},
  'rancher-monitoring': {release: 'rancher-monitoring', namespace: 'cattle-monitoring-system'},
}

/**
 * `kube-prometheus`, `kube-thanos=NAMESPACE`, `kube-prometheus-stack=RELEASE` and so on; values of the chart after commas, such as
 * `kube-prometheus-stack=RELEASE,fullnameOverride=NAME,cleanPrometheusOperatorObjectNames`.
 * @throws AtlasError `invalid`
 */
export function parseStack(
  text: string,
  {namespace, clusterDomain = 'cluster.local'}: {readonly namespace?: string | undefined; readonly clusterDomain?: string | undefined} = {},
): Stack {
  const [first = '', ...others] = text.split(',')
  const [name = '', release, ...rest] = first.split('=')
  const known = stacks.find(stack => stack === name)
  if (known === undefined || rest.length > 0)
    throw invalid('--stack', `one of ${stacks.join(', ')}, or kube-prometheus-stack=RELEASE`, text)
  const takes =
    {'kube-prometheus': 'no release', 'kube-thanos': 'the namespace of kube-thanos'}[known as string] ?? 'the name of a Helm release'
  if (release !== undefined && (known === 'kube-prometheus' || !isObjectName(release)))
    throw new AtlasError('invalid', `--stack ${known} takes ${takes} after "="`)
  const values = others.map(entry => {
    const [key = '', value = 'true', ...more] = entry.split('=')
    const isKnown = charts.includes(known) && chartValues.some(each => each === key) && more.length === 0
    const isRight = key === 'cleanPrometheusOperatorObjectNames' ? ['true', 'false'].includes(value) : isObjectName(value)
    if (!isKnown || !isRight)
      throw invalid(
        `--stack ${known}`,
        charts.includes(known) ? `followed by ${chartValues.join(', ')} alone` : 'without further values',
        entry,
      )
    return [key, value]
  })
  return {
    ...{name: known, ...standard[known], clusterDomain},
    ...(release !== undefined && {release}),
    ...(namespace !== undefined && {namespace}),
    values: Object.fromEntries(values) as Stack['values'],
  }
}

function isObjectName(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?$/.test(text)
}

/**
 * The addresses inside the downstream cluster. Prometheus Operator names the pods `prometheus-<resource>-<replica>` and gives them
 * DNS names under the headless Services `prometheus-operated` and `alertmanager-operated`. kube-thanos has a Thanos Query in front of the
 * sidecars of kube-prometheus, which knows all that they do.
 */
export function targetsOf(stack: Stack): ServiceTargets {
  const domain = `${stack.namespace}.svc.${stack.clusterDomain}`
  const pod = `prometheus-${resourceName(stack)}-{replica}.prometheus-operated.${domain}`
  const query = `thanos-query.${stack.release}.svc.${stack.clusterDomain}`
  return {
    thanos: {host: stack.name === 'kube-thanos' ? query : pod, port: 10_901},
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

/** The name of the Prometheus object: as the charts' templates `prometheus.crname` and `fullname` make it, 26 characters and a suffix. */
function resourceName({name, release, values}: Stack): string {
  if (!charts.includes(name)) return 'k8s'
  const chart = values.nameOverride ?? name
  const full = values.fullnameOverride ?? (release.includes(chart) ? release : `${release}-${chart}`)
  const cut = full.slice(0, 26).replace(/-$/, '')
  return values.cleanPrometheusOperatorObjectNames === 'true' ? cut : `${cut}-prometheus`
}

/** The stack of a cluster for which none is named. */
export const defaultStack: Stack = parseStack('kube-prometheus-stack')
