/** Which store a command works on: a directory of manifests, or a Kubernetes namespace. */
import {Flags} from '@oclif/core'
import {AtlasError} from '../../model/errors.js'
import {parseNamespace} from '../../model/settings.js'
import type {DirectoryTimes} from '../../store/directory/times.js'
import type {KubernetesTimes} from '../../store/kubernetes/times.js'
import {openCluster, openDirectory} from '../../store/open.js'
import type {StateStore} from '../../store/store.js'
import {present} from './common.js'

export const storeFlags = {
  store: Flags.string({
    description: 'directory that holds the state, one manifest per file, instead of a Kubernetes cluster',
    env: 'ATLAS_STORE',
    helpGroup: 'STORE',
    helpValue: 'DIR',
  }),
  namespace: Flags.string({
    char: 'n',
    description: "namespace of Atlas (default: the pod's own inside a cluster, else atlas)",
    env: 'ATLAS_NAMESPACE',
    helpGroup: 'STORE',
    helpValue: 'NAMESPACE',
  }),
  context: Flags.string({description: 'context of the kubeconfig (default: its current one)', helpGroup: 'STORE', helpValue: 'NAME'}),
  kubeconfig: Flags.string({
    description: 'kubeconfig file (default: KUBECONFIG, ~/.kube/config, or the service account of the pod)',
    helpGroup: 'STORE',
    helpValue: 'FILE',
  }),
}

/** What the flags of `storeFlags` parse to. */
export interface StoreFlags {
  readonly store?: string | undefined
  readonly namespace?: string | undefined
  readonly context?: string | undefined
  readonly kubeconfig?: string | undefined
}

export interface StoreNeeds {
  /** In Kubernetes: which Secrets the command reads; none where nothing is said. */
  readonly secrets?: 'all' | readonly string[]
  /** Whether a directory that is not there is an empty store. */
  readonly create?: boolean
  readonly times?: Partial<DirectoryTimes & KubernetesTimes>
}

/**
 * @throws AtlasError `invalid` for flags of both kinds, `unreachable` where no cluster is configured
 */
export async function openStore(flags: StoreFlags, {secrets = [], create = false, times = {}}: StoreNeeds = {}): Promise<StateStore> {
  // A flag says more than the environment: --context on the command line means a cluster, whatever ATLAS_STORE says.
  const ofCluster = (['context', 'kubeconfig'] as const).filter(name => flags[name] !== undefined)
  if (flags.store !== undefined && ofCluster.length > 0)
    throw new AtlasError('invalid', `--store names a directory, --${ofCluster.join(' and --')} a Kubernetes cluster; give one of them`, {
      hint: 'is ATLAS_STORE set? unset it to work on a cluster',
    })
  if (flags.store !== undefined) return openDirectory({directory: flags.store, create, times})
  const namespace = flags.namespace === undefined ? undefined : parseNamespace(flags.namespace, '--namespace')
  const cluster = present({namespace, context: flags.context, kubeconfig: flags.kubeconfig})
  return openCluster({cluster, secrets, times})
}

/** The flags that name the same store again, for a command to be run next: with a blank before, or empty. */
export function sameStore(flags: StoreFlags): string {
  const named = (['store', 'namespace', 'context', 'kubeconfig'] as const).filter(name => flags[name] !== undefined)
  return named.map(name => ` --${name} ${String(flags[name])}`).join('')
}
