/** Opens the store that a command's flags name. The Kubernetes code is loaded only where a cluster is named. */
import {objectNames, SHARDS} from '../model/names.js'
import {directoryStore} from './directory/directory.js'
import {type DirectoryTimes, defaultDirectoryTimes} from './directory/times.js'
import type {KubernetesChoice} from './kubernetes/access.js'
import type {Work} from './kubernetes/rights.js'
import type {KubernetesTimes} from './kubernetes/times.js'
import type {StateStore} from './store.js'

export interface DirectoryChoice {
  /** The directory that holds the manifests. */
  readonly directory: string
  /** A directory that does not exist is an empty store, created at the first commit; otherwise it is an error. */
  readonly create?: boolean
  readonly times?: Partial<DirectoryTimes>
}

export interface ClusterChoice {
  readonly cluster: KubernetesChoice
  /** The Secrets that may be read: all of Atlas's, or only these; by default none. */
  readonly secrets?: 'all' | readonly string[]
  /** False for a command that changes nothing and needs none of the objects that are made from the fleet; default true. */
  readonly withDerived?: boolean
  /** What a command does here, so that an error names all rights that it lacks; undefined: a server. */
  readonly work?: Work
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
export async function openCluster({cluster, secrets = [], withDerived = true, work, times}: ClusterChoice): Promise<StateStore> {
  const [{openAccess}, {openClient}, {kubernetesStore}, {explainDenials, rightsFor}, {defaultKubernetesTimes}] = await Promise.all([
    import('./kubernetes/access.js'),
    import('./kubernetes/client.js'),
    import('./kubernetes/kubernetes.js'),
    import('./kubernetes/rights.js'),
    import('./kubernetes/times.js'),
  ])
  const client = openClient(await openAccess(cluster))
  const explained = work === undefined ? client : explainDenials(client, rightsFor(work, secrets === 'all' ? [] : secrets))
  return kubernetesStore(explained, {secrets, withDerived, times: {...defaultKubernetesTimes, ...times}})
}
