/** What to run so that a cluster's Envoy joins, or goes: the Secret and the release of chart `envoy`, to be pasted as they stand. */
import {defaultRelease} from '../../manifest/release.js'
import {type ClusterName, objectNames} from '../../model/names.js'
import {type StoreFlags, sameStore} from '../flags/store.js'

/** @param version of the chart: this program's own */
export function renderJoining(cluster: ClusterName, flags: StoreFlags, version: string): string {
  const {chart, name, namespace} = defaultRelease
  const values = `atlas cluster values ${cluster}${sameStore(flags)}`
  return [
    `kubectl --context ${cluster} create namespace ${namespace}`,
    `${values} --format secret | kubectl --context ${cluster} apply -f -`,
    `${values} | helm --kube-context ${cluster} upgrade --install ${name} ${chart} --version ${version} --namespace ${namespace} -f -`,
  ]
    .map(line => `  ${line}`)
    .join('\n')
}

/** What is left to do in a cluster that was removed, where its Envoy was released as `renderJoining` says. */
export function renderLeaving(cluster: ClusterName): string {
  const {name, namespace} = defaultRelease
  return [
    `helm --kube-context ${cluster} uninstall ${name} --namespace ${namespace}`,
    `kubectl --context ${cluster} --namespace ${namespace} delete secret ${objectNames.credential(cluster)}`,
  ]
    .map(line => `  ${line}`)
    .join('\n')
}
