/** The commands that make a cluster's Envoy join or leave: its Secret and its release of chart `envoy`, to be copied as they are. */
import {defaultRelease} from '../../manifest/release.js'
import {type ClusterName, objectNames} from '../../model/names.js'
import {type StoreFlags, sameStore} from '../flags/store.js'

/** @param version of the chart: this program's own */
export function renderJoining(cluster: ClusterName, flags: StoreFlags, version: string): string {
  return `${renderNext(cluster, [
    `kubectl --context ${cluster} create namespace ${defaultRelease.namespace}`,
    credentialCommand(cluster, flags),
    releaseCommand(cluster, flags, version),
  ])}
For an Envoy outside Kubernetes: ${valuesCommand(cluster, flags)} --format bootstrap --output DIR`
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
