/**
 * The endpoints for Thanos Query as they are stored, and the mark of the installation that keeps them. Their ConfigMap may be in a
 * namespace that another installation of the same Kubernetes cluster uses for its own endpoints, so its owner is named in the object.
 */
import {AtlasError, quote} from './errors.js'
import {annotations, objectNames} from './names.js'
import type {Settings} from './settings.js'

export interface Endpoints {
  /** The endpoints file. */
  readonly text: string
  /** The mark of the installation that keeps them; absent where the object carries none. */
  readonly installation?: string
}

/** `<namespace>/<trust domain>`. Only the namespace identifies: a Kubernetes cluster has one installation in each. */
export function installationMark({namespace, trustDomain}: Pick<Settings, 'namespace' | 'trustDomain'>): string {
  return `${namespace}/${trustDomain}`
}

/** Whether the endpoints may be written by the installation of `mark`: they are its own, or carry no mark. */
export function mayKeep(present: Endpoints, mark: string): boolean {
  return present.installation === undefined || namespaceIn(present.installation) === namespaceIn(mark)
}

/** The refusal to write endpoints that another installation keeps: AtlasError `failed`. @param thanosNamespace where they are @param name of their ConfigMap */
export function keptByAnother(present: Endpoints, thanosNamespace: string, name: string = objectNames.endpoints): AtlasError {
  const [namespace, trustDomain] = (present.installation ?? '').split('/', 2)
  const other = `the installation in namespace ${quote(namespace ?? '')} (trust domain ${quote(trustDomain ?? '')})`
  return new AtlasError('failed', `ConfigMap ${name} in namespace ${thanosNamespace} belongs to another installation of Atlas, ${other}`, {
    hint: `give each installation a Thanos namespace of its own ("atlas init --thanos-namespace"); if that installation is gone, run "kubectl annotate configmap ${name} --namespace ${thanosNamespace} ${annotations.installation}-"`,
  })
}

/**
 * The rule of a Role for ConfigMaps of endpoints in Thanos's namespace, as a line of YAML that can be pasted. Atlas creates them by server-side
 * apply, whose request names the object: unlike a plain create, it can be allowed for some names alone.
 */
export function keepersRule(names: readonly string[]): string {
  const [named, verbs] = [names, keeperVerbs].map(list => list.map(each => `"${each}"`).join(', '))
  return `- {apiGroups: [""], resources: ["configmaps"], resourceNames: [${named ?? ''}], verbs: [${verbs ?? ''}]}`
}

const keeperVerbs = ['create', 'get', 'list', 'watch', 'update', 'patch', 'delete'] as const

/**
 * How the right to write the endpoints of groups is given: by a value of chart `atlas`, or by a rule for those that the settings do not list
 * yet, as a line of YAML that can be pasted. No rule is needed where Thanos is in Atlas's own namespace.
 * @param groups all that the settings should list
 */
export function rightToGroups(settings: Pick<Settings, 'groups' | 'namespace' | 'thanosNamespace'>, groups: readonly string[]): string {
  const {namespace, thanosNamespace} = settings
  const byChart = `set groups: [${groups.join(',')}] in the values of chart atlas`
  if (namespace === thanosNamespace) return byChart
  const names = groups.filter(group => !settings.groups.includes(group)).map(group => objectNames.groupEndpoints(group))
  return `${byChart}, for the right to write them (without the chart, by this rule in the Role of the controller in namespace ${thanosNamespace}: ${keepersRule(names)})`
}

function namespaceIn(mark: string): string {
  return mark.replace(/\/.*$/s, '')
}
