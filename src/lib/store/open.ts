/** Which store a command's flags name. What a Kubernetes cluster takes is loaded only where one is named. */
import {objectNames, SHARDS} from '../model/names.js'
import {directoryStore} from './directory/directory.js'
import {type DirectoryTimes, defaultDirectoryTimes} from './directory/times.js'
import type {KubernetesChoice} from './kubernetes/access.js'
import type {KubernetesTimes} from './kubernetes/times.js'
import type {StateStore} from './store.js'

export interface DirectoryChoice {
  /** The directory that holds the manifests. */
  readonly directory: string
  /** A directory that is not there is an empty store, to be made at the first commit; else it is an error. */
  readonly create?: boolean
  readonly times?: Partial<DirectoryTimes>
}

export interface ClusterChoice {
  readonly cluster: KubernetesChoice
  /** Which Secrets may be read: all of Atlas's, or none but these; none where nothing is said. */
  readonly secrets?: 'all' | readonly string[]
  readonly times?: Partial<KubernetesTimes>
}

/** The Secrets that a server needs that serves Envoys and signs nothing. */
export const servedSecrets: readonly string[] = [
  ...Array.from({length: SHARDS}, (_, shard) => objectNames.identities(shard)),
  objectNames.server,
]

/** The directory as a store. */
export function openDirectory({directory, create, times}: DirectoryChoice): StateStore {
  return directoryStore(directory, {create: create === true, times: {...defaultDirectoryTimes, ...times}})
}

/** @throws AtlasError `unreachable` where no cluster is configured */
export async function openCluster({cluster, secrets = [], times}: ClusterChoice): Promise<StateStore> {
  const [{openAccess}, {openClient}, {kubernetesStore}, {defaultKubernetesTimes}] = await Promise.all([
    import('./kubernetes/access.js'),
    import('./kubernetes/client.js'),
    import('./kubernetes/kubernetes.js'),
    import('./kubernetes/times.js'),
  ])
  return kubernetesStore(openClient(await openAccess(cluster)), {secrets, times: {...defaultKubernetesTimes, ...times}})
}
