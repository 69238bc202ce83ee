/** The commands that make a cluster's Envoy join or leave: its Secret and its release of chart `envoy`, to be copied as they are. */
import {defaultRelease, isPublished} from '../../manifest/release.js'
import {type ClusterName, objectNames} from '../../model/names.js'
import {type StoreFlags, sameStore} from '../flags/store.js'

/** What the commands depend on. */
export interface JoiningOptions {
  /** Of the chart: this program's own. */
  readonly version: string
  /** Whether the user may read the Secret with the key of the cluster's Envoy. If not, another user must copy it. */
  readonly mayReadKey: boolean
}

/** The commands by which the Envoy of a registered cluster joins, in their order; those that need the key apart, where the user may not read it. */
export function renderJoining(cluster: ClusterName, flags: StoreFlags, options: JoiningOptions): string {
  return [renderCommands(cluster, flags, options), ...chartRemark(options.version)].join('\n')
}

/**
 * What to use in place of the chart that commands name, while no registry has it; nothing once it is published.
 * @param use what the user does with the file
 */
export function chartRemark(version: string, use: (file: string) => string = inPlace): readonly string[] {
  if (isPublished) return []
  const file = `dist/release/envoy-${version}.tgz`
  return [`Chart envoy is not published yet: ${use(file)}. "npm run release -- --dry-run" makes it in a checkout of Atlas.`]
}

function inPlace(file: string): string {
  return `in place of ${defaultRelease.chart}, name the file ${file}`
}

function renderCommands(cluster: ClusterName, flags: StoreFlags, {version, mayReadKey}: JoiningOptions): string {
  if (flags.store !== undefined) return renderJoiningFromDirectory(cluster, flags, version)
  const namespace = `kubectl --context ${cluster} create namespace ${defaultRelease.namespace}`
  const release = releaseCommand(cluster, flags, version)
  if (!mayReadKey)
    return `${renderNext(cluster, [namespace, release])}
The Envoy also needs its key. You may not read it: a user who may read Secret ${objectNames.credential(cluster)} runs
  ${credentialCommand(cluster, flags)}`
  return `${renderNext(cluster, [namespace, credentialCommand(cluster, flags), release])}
For an Envoy outside Kubernetes: ${valuesCommand(cluster, flags)} --format bootstrap --output DIR`
}

/** A directory is used without Kubernetes first of all; the key is in it, so the user who registers a cluster may read it. */
function renderJoiningFromDirectory(cluster: ClusterName, flags: StoreFlags, version: string): string {
  return `Next: ${valuesCommand(cluster, flags)} --format bootstrap --output ./envoy-${cluster}
It writes the files of the Envoy of ${cluster}, and prints how to start it; --envoy-directory names their place on another machine.
For an Envoy in Kubernetes instead, with chart envoy (if the context of ${cluster} in your kubeconfig has another name, replace ${cluster}):
  kubectl --context ${cluster} create namespace ${defaultRelease.namespace}
  ${credentialCommand(cluster, flags)}
  ${releaseCommand(cluster, flags, version)}`
}

/** Applies the newest credential to the cluster. */
export function credentialCommand(cluster: ClusterName, flags: StoreFlags): string {
  return `${valuesCommand(cluster, flags)} --format secret | kubectl --context ${cluster} apply --server-side -f -`
}

/** Installs or upgrades the cluster's Envoy. @param version of the chart */
export function releaseCommand(cluster: ClusterName, flags: StoreFlags, version: string): string {
  const {chart, name, namespace} = defaultRelease
  return `${valuesCommand(cluster, flags)} | helm --kube-context ${cluster} upgrade --install ${name} ${chart} --version ${version} --namespace ${namespace} -f -`
}

/** Shows the log of the cluster's Envoy. */
export function logCommand(cluster: ClusterName): string {
  const {name, namespace} = defaultRelease
  return `kubectl --context ${cluster} --namespace ${namespace} logs deployment/${name} --tail 20`
}

/** Restarts the cluster's Envoys. */
export function restartCommand(cluster: ClusterName): string {
  const {name, namespace} = defaultRelease
  return `kubectl --context ${cluster} --namespace ${namespace} rollout restart deployment/${name}`
}

function valuesCommand(cluster: ClusterName, flags: StoreFlags): string {
  return `atlas cluster values ${cluster}${sameStore(flags)}`
}

/** What is left to do in a cluster that was removed, where its Envoy was released as `renderJoining` shows. */
export function renderLeaving(cluster: ClusterName): string {
  const {name, namespace} = defaultRelease
  return renderNext(cluster, [
    `helm --kube-context ${cluster} uninstall ${name} --namespace ${namespace}`,
    `kubectl --context ${cluster} --namespace ${namespace} delete secret ${objectNames.credential(cluster)}`,
  ])
}

function renderNext(cluster: ClusterName, commands: readonly string[]): string {
  return `Next, in cluster ${cluster} (if its kubeconfig context has another name, replace ${cluster}):\n${commands.map(line => `  ${line}`).join('\n')}`
}
