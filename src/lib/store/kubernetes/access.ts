/** Which Kubernetes cluster is connected to, as which user, in which namespace, by kubectl's rules. The rules are in kubeconfig/. */
import type {RequestOptions} from 'node:http'
import {defaultSettings} from '../../model/settings.js'
import {type Agents, openAgents} from './kubeconfig/agents.js'
import {type Credentials, openCredentials} from './kubeconfig/credentials.js'
import {readFiles} from './kubeconfig/files.js'
import {podNamespace, podTarget} from './kubeconfig/in-cluster.js'
import {type Material, readMaterial} from './kubeconfig/material.js'
import {proxyFor} from './kubeconfig/proxy.js'
import {CHOOSE, type KubeconfigTarget, selectTarget} from './kubeconfig/select.js'
import {unusable} from './kubeconfig/unusable.js'

export interface KubernetesChoice {
  /** The pod's own in a cluster, else `atlas`; a context's namespace is that of other programs. */
  readonly namespace?: string
  /** Context of the kubeconfig; undefined: its current one. */
  readonly context?: string
  /** A kubeconfig file; else KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in. */
  readonly kubeconfig?: string
}

export interface Access {
  readonly server: URL
  readonly namespace: string
  /** Who sends requests, for messages: `context obs`, or `the pod's service account`. */
  readonly as: string
  /** Headers, certificates and a connection that is kept, for one request to `url`. */
  options(url: URL): Promise<RequestOptions>
  /**
   * Reads kubeconfig, tokens and certificates again, and has a program give credentials again, after a request that was begun at `since`
   * (milliseconds of `performance.now`) was not accepted: they may have been replaced.
   * @returns whether another attempt is worth making
   */
  renew(since: number): boolean
  /** Closes idle connections. */
  close(): void
}

/** Credentials that are not accepted are read again at most this often, milliseconds: some run a program for it. */
const RENEW = 1000
/** Files that a kubeconfig names are read again after this, milliseconds. A pod's token is replaced long before it expires. */
const REREAD = 10_000

const NAME_ONE = 'name a cluster with --kubeconfig and --context, or name a directory of manifests with --store or ATLAS_STORE'

/** @throws AtlasError `unreachable` where no cluster is configured, or its configuration can't be used */
export async function openAccess(choice: KubernetesChoice, {rereadMs = REREAD}: {readonly rereadMs?: number} = {}): Promise<Access> {
  const {isInCluster, target} = findTarget(choice)
  const agents = await openAgents(target, proxyFor(target.server, target.cluster.proxyUrl, process.env))
  let user = openUser(target, rereadMs)
  let renewedAt = -Infinity
  return {
    server: target.server,
    namespace: choice.namespace ?? (isInCluster ? podNamespace(process.env) : undefined) ?? defaultSettings.namespace,
    as: target.as,
    options: async url => user.options(url, agents),
    renew(since) {
      if (renewedAt > since) return true
      if (performance.now() - renewedAt < RENEW) return false
      renewedAt = performance.now()
      try {
        const fresh = findTarget(choice).target
        // Another address would be another cluster.
        if (fresh.server.href === target.server.href) user = openUser(fresh, rereadMs)
        return fresh.server.href === target.server.href
      } catch {
        // It is being written; what was read before is as good as ever.
        return false
      }
    },
    close: agents.close,
  }
}

function findTarget({kubeconfig: file, context}: KubernetesChoice): {readonly target: KubeconfigTarget; readonly isInCluster: boolean} {
  const {kubeconfig, missing} = readFiles(file)
  const target = missing === undefined || context !== undefined ? selectTarget(kubeconfig, context) : missing
  if (typeof target !== 'string') return {target, isInCluster: false}
  const pod = podTarget(process.env)
  if (pod === undefined)
    throw missing === undefined
      ? unusable(target, {hint: CHOOSE})
      : unusable(`${target}, and no service account of a pod`, {hint: NAME_ONE})
  return {target: pod, isInCluster: true}
}

/** What a user sends, from files that are read again from time to time. */
function openUser(target: KubeconfigTarget, rereadMs: number): {options(url: URL, agents: Agents): Promise<RequestOptions>} {
  const credentialsFor = openCredentials(target)
  let material: Material = readMaterial(target)
  let readAt = performance.now()

  function current(): Material {
    if (performance.now() - readAt < rereadMs) return material
    readAt = performance.now()
    try {
      material = readMaterial(target)
    } catch {
      // A file is being replaced; what was read before counts until it is readable.
    }

    return material
  }

  return {
    async options(url, agents) {
      const now = current()
      const credentials: Credentials = await credentialsFor(now)
      const {headers, ...options} = agents.use(url, credentials, now)
      return {...options, headers: {...(headers as object | undefined), ...credentials.headers}}
    },
  }
}
