/** The flags that name a store: a directory of manifests, or a Kubernetes namespace. */
import {Flags} from '@oclif/core'
import {parseDuration} from '../../model/duration.js'
import {AtlasError} from '../../model/errors.js'
import {parseNamespace} from '../../model/settings.js'
import type {DirectoryTimes} from '../../store/directory/times.js'
import {requireFolder} from '../../store/directory/write.js'
import type {KubernetesTimes} from '../../store/kubernetes/times.js'
import type {Work} from '../../store/kubernetes/rights.js'
import {openCluster, openDirectory} from '../../store/open.js'
import type {StateStore} from '../../store/store.js'
import {shellWord} from '../text/shell.js'
import {type FlagsOf, present, refuseEmpty} from './common.js'

export const storeFlags = {
  namespace: Flags.string({
    char: 'n',
    description: "namespace of Atlas (default: the pod's own inside a cluster, otherwise atlas)",
    env: 'ATLAS_NAMESPACE',
    helpGroup: 'STORE',
    helpValue: 'NAMESPACE',
  }),
  store: Flags.string({
    description: 'directory with the state, one manifest per file, instead of a Kubernetes cluster',
    env: 'ATLAS_STORE',
    helpGroup: 'STORE',
    helpValue: 'DIR',
  }),
  context: Flags.string({description: 'context of the kubeconfig (default: the current one)', helpGroup: 'STORE', helpValue: 'NAME'}),
  kubeconfig: Flags.string({
    description: "kubeconfig file (default: the files of KUBECONFIG, ~/.kube/config, or the pod's service account)",
    helpGroup: 'STORE',
    helpValue: 'FILE',
  }),
}

export type StoreFlags = FlagsOf<typeof storeFlags>

export interface StoreNeeds {
  /** In Kubernetes: the Secrets that the command reads; default none. */
  readonly secrets?: 'all' | readonly string[]
  /** In Kubernetes: whether the objects that are made from the fleet are read, most of its Services; default true. */
  readonly withDerived?: boolean
  /** In Kubernetes: what the command does, for which it needs rights; default `read`. A server has none: its chart grants its rights. */
  readonly work?: Work | 'serve'
  /** Whether a directory that doesn't exist is an empty store. */
  readonly create?: boolean
  readonly times?: Partial<DirectoryTimes & KubernetesTimes>
}

/** @throws AtlasError `invalid` for an empty flag, flags of both kinds, or a store that is a file, `unreachable` where no cluster is configured */
export async function openStore(
  flags: StoreFlags & {readonly timeout?: string},
  {secrets = [], withDerived = true, work = 'read', create = false, times = {}}: StoreNeeds = {},
): Promise<StateStore> {
  refuseEmpty(flags, ['store', 'context', 'kubeconfig'])
  // flags.store may come from ATLAS_STORE, so --context on the command line is not silently ignored.
  const ofCluster = (['context', 'kubeconfig'] as const).filter(name => flags[name] !== undefined)
  if (flags.store !== undefined && ofCluster.length > 0)
    throw new AtlasError(
      'invalid',
      `--store names a directory, --${ofCluster.join(' and --')} a Kubernetes cluster; only one of them can be used`,
      {hint: 'leave one out; for a cluster, unset ATLAS_STORE too'},
    )
  const lock = flags.timeout === undefined ? {} : {lockMs: parseDuration(flags.timeout, '--timeout') * 1000}
  if (flags.store !== undefined) {
    await requireFolder(flags.store)
    return openDirectory({directory: flags.store, create, times: {...lock, ...times}})
  }

  const namespace = flags.namespace === undefined ? undefined : parseNamespace(flags.namespace, '--namespace')
  const cluster = present({namespace, context: flags.context, kubeconfig: flags.kubeconfig})
  return openCluster({cluster, secrets, times, withDerived, ...(work !== 'serve' && {work})})
}

/** The flags that name the same store, for the next command: with a blank before each, or empty; quoted for a shell. */
export function sameStore(flags: Partial<StoreFlags>): string {
  const named = (['store', 'namespace', 'context', 'kubeconfig'] as const).filter(name => flags[name] !== undefined)
  return named.map(name => ` --${name} ${shellWord(String(flags[name]))}`).join('')
}

/** Completes a command of Atlas by the flags of the same store that it lacks: `atlas status` -> `atlas status --store DIR`. */
export function inSameStore(command: string, flags: Partial<StoreFlags>): string {
  const missing = Object.entries(flags).filter(([name]) => !command.includes(` --${name} `))
  return `${command}${sameStore(Object.fromEntries(missing))}`
}

/** The same for the commands in a text, which are in quotes there. */
export function commandsInSameStore(text: string, flags: Partial<StoreFlags>): string {
  return text.replaceAll(
    /"(atlas (?:cluster [a-z]+|init|rotate|serve|status)\b[^"\n]*)"/g,
    (_, command: string) => `"${inSameStore(command, flags)}"`,
  )
}
