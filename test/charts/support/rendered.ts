/** The objects that a chart renders with a real Helm of either major version, and the pods among them. */
import {readdirSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {loadAll} from 'js-yaml'
import {run} from '../../helpers/kubernetes/programs.js'
import type {Ran} from '../../helpers/ran.js'

export type Chart = 'atlas' | 'envoy'
export type Major = 3 | 4

export const majors: readonly Major[] = [3, 4]
export const charts: readonly Chart[] = ['atlas', 'envoy']

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec?: Partial<PodSpec> & {readonly template?: PodTemplate; readonly [field: string]: unknown}
  readonly data?: Readonly<Record<string, string>>
}

export interface PodTemplate {
  readonly metadata: Omit<KubernetesObject['metadata'], 'name'>
  readonly spec: PodSpec
}

export interface PodSpec {
  readonly automountServiceAccountToken?: boolean
  readonly containers: readonly [Container, ...Container[]]
  readonly volumes?: readonly Volume[]
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly securityContext: {readonly readOnlyRootFilesystem?: boolean; readonly capabilities: {readonly drop: readonly string[]}}
  readonly resources: {readonly limits: Readonly<Record<string, string>>}
  readonly readinessProbe?: {readonly httpGet: {readonly path: string; readonly port: number | string}}
  readonly lifecycle?: {readonly preStop: {readonly exec: {readonly command: readonly string[]}}}
  readonly ports?: readonly {readonly name: string; readonly containerPort: number}[]
  readonly volumeMounts?: readonly {readonly name: string; readonly mountPath: string}[]
}

export interface Volume {
  readonly name: string
  readonly configMap?: VolumeSource
  readonly projected?: {readonly sources: readonly {readonly configMap?: VolumeSource; readonly secret?: VolumeSource}[]}
  readonly emptyDir?: object
  readonly secret?: {
    readonly secretName: string
    readonly optional?: boolean
    readonly defaultMode: number
    readonly items?: readonly VolumeItem[]
  }
}

export interface VolumeSource {
  readonly name: string
  readonly optional?: boolean
  readonly items?: readonly VolumeItem[]
}

export interface VolumeItem {
  readonly key: string
  readonly path: string
}

export interface Pod extends KubernetesObject {
  readonly kind: 'Pod'
  readonly spec: PodSpec & NonNullable<KubernetesObject['spec']>
}

export interface Rendering {
  readonly chart: Chart
  /** Name of a file in `ci`, without `-values.yaml`. */
  readonly ci?: string
  /** Further values, as `--set` takes them. */
  readonly set?: readonly string[]
  /** A values file's text, over all others. */
  readonly values?: string
  readonly release?: string
  readonly namespace?: string
  readonly major?: Major
}

export function chartFolder(chart: Chart): string {
  return path.join(import.meta.dirname, '../../../charts', chart)
}

/** Names of the chart's example values, without `-values.yaml`. */
export function ciNames(chart: Chart): readonly string[] {
  return readdirSync(path.join(chartFolder(chart), 'ci')).map(file => file.replace(/-values\.yaml$/, ''))
}

/** The arguments for Helm. */
export function valueArgs({chart, ci, set = [], values}: Rendering): string[] {
  return [
    ...(ci === undefined ? [] : ['--values', path.join(chartFolder(chart), 'ci', `${ci}-values.yaml`)]),
    ...set.flatMap(value => ['--set', value]),
    ...(values === undefined ? [] : ['--values', '-']),
  ]
}

/** Runs Helm without any cluster. */
export async function helmAlone(args: readonly string[], {major = 4, values}: Pick<Rendering, 'major' | 'values'> = {}): Promise<Ran> {
  const env = {PATH: process.env['PATH'], HOME: tmpdir(), KUBECONFIG: '/dev/null'}
  return run(major === 4 ? 'helm' : 'helm3', args, {env, input: values})
}

/** `helm template`'s answer; Helm runs once for the same rendering. */
export async function template(rendering: Rendering): Promise<Ran> {
  const {chart, release = 'atlas', namespace = 'atlas', major, values} = rendering
  const args = ['template', release, chartFolder(chart), '--namespace', namespace, ...valueArgs(rendering)]
  const key = JSON.stringify([args, major, values])
  const answer = answers.get(key) ?? helmAlone(args, rendering)
  answers.set(key, answer)
  return answer
}

const answers = new Map<string, Promise<Ran>>()

/** Its objects, hooks among them. */
export async function objectsOf(rendering: Rendering): Promise<readonly KubernetesObject[]> {
  const {code, stdout, stderr} = await template(rendering)
  if (code !== 0) throw new Error(stderr)
  return (loadAll(stdout) as (KubernetesObject | null | undefined)[]).filter(object => object !== null && object !== undefined)
}

export function findObject(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find(object => object.kind === kind && object.metadata.name === name)
  if (found === undefined)
    throw new Error(`no ${kind} ${name} among ${objects.map(object => `${object.kind} ${object.metadata.name}`).join(', ')}`)
  return found
}

/** Every pod that would run: Pods, and the pod templates of workloads. */
export function podsOf(objects: readonly KubernetesObject[]): readonly Pod[] {
  return objects.flatMap(object => {
    if (object.kind === 'Pod') return [object as Pod]
    const template = object.spec?.template
    if (template === undefined) return []
    const name = `${object.kind.toLowerCase()}-${template.metadata.labels?.['app.kubernetes.io/component'] ?? 'alone'}`
    return [{apiVersion: 'v1', kind: 'Pod' as const, metadata: {...template.metadata, name}, spec: {...template.spec}}]
  })
}
