/**
 * Which Kubernetes cluster is spoken to, as whom, in which namespace. The library that reads kubeconfigs is loaded here alone, when it
 * is needed.
 */
import {existsSync, readFileSync} from 'node:fs'
import {Agent as HttpAgent} from 'node:http'
import {Agent as HttpsAgent, type RequestOptions} from 'node:https'
import {homedir} from 'node:os'
import path from 'node:path'
import type {KubeConfig} from '@kubernetes/client-node'
import {AtlasError, quote} from '../../model/errors.js'
import {defaultSettings} from '../../model/settings.js'

export interface KubernetesChoice {
  /** The pod's own in a cluster, else `atlas`. */
  readonly namespace?: string
  /** Context of the kubeconfig; its current one where nothing is said. */
  readonly context?: string
  /** A kubeconfig file; else KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in. */
  readonly kubeconfig?: string
}

export interface Access {
  readonly server: URL
  readonly namespace: string
  /** Who speaks, for messages: `context obs`, or `the pod's service account`. */
  readonly as: string
  /** Headers, certificates and a connection that is kept, for one request. */
  options(): Promise<RequestOptions>
  /**
   * Reads kubeconfig, tokens and certificates anew, after a request that was begun at `since` (milliseconds of `performance.now`)
   * was not accepted: they may have been replaced on disk.
   * @returns whether another attempt is worth making
   */
  renew(since: number): boolean
  /** Lets idle connections go. */
  close(): void
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Whoever's credentials are not accepted reads them anew at most this often, milliseconds: some run a program for it. */
const RENEW = 1000

/** @throws AtlasError `unreachable` where no cluster is configured, or its configuration can't be used */
export async function openAccess(choice: KubernetesChoice): Promise<Access> {
  const {KubeConfig: Config} = await import('@kubernetes/client-node')
  const read = (): ReturnType<typeof load> => load(new Config(), choice)
  const {isInCluster, server, isProxied, ...first} = read()
  let {config} = first
  let renewedAt = -Infinity
  const agents = openAgents(server, {isProxied})
  return {
    server,
    namespace: choice.namespace ?? (isInCluster ? podNamespace() : undefined) ?? defaultSettings.namespace,
    as: isInCluster ? "the pod's service account" : `context ${quote(config.getCurrentContext())}`,
    async options() {
      const options: RequestOptions = {headers: {}}
      try {
        await config.applyToHTTPSOptions(options)
      } catch (error) {
        throw unusable(`the credentials of ${config.getCurrentContext()} can't be had: ${withoutText(error)}`, error)
      }

      return agents.use(options)
    },
    renew(since) {
      if (renewedAt > since) return true
      if (performance.now() - renewedAt < RENEW) return false
      renewedAt = performance.now()
      try {
        const fresh = read()
        // Another address would be another cluster.
        if (fresh.server.href === server.href) ({config} = fresh)
        return fresh.server.href === server.href
      } catch {
        // It is being written; what was read before is as good as ever.
        return false
      }
    },
    close: agents.close,
  }
}

interface Loaded {
  readonly config: KubeConfig
  readonly isInCluster: boolean
  readonly server: URL
  readonly isProxied: boolean
}

/** What the choice comes to. */
function load(config: KubeConfig, choice: KubernetesChoice): Loaded {
  const isInCluster = loadFiles(config, choice)
  if (choice.context !== undefined) useContext(config, choice.context)
  const name = config.getCurrentContext() as string | undefined
  if (name === undefined || name === '') throw unusable(`the kubeconfig has no current context; there are: ${contextsOf(config)}`)
  if (config.getContextObject(name) === null) throw unusable(`there is no context ${quote(name)}; there are: ${contextsOf(config)}`)
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw unusable(`context ${quote(name)} names a cluster that is not in the kubeconfig`)
  if (config.getCurrentUser() === null) throw unusable(`context ${quote(name)} names a user who is not in the kubeconfig`)
  return {config, isInCluster, server: parseServer(cluster.server), isProxied: cluster.proxyUrl !== undefined}
}

/** @returns whether it is the pod's own service account */
function loadFiles(config: KubeConfig, {kubeconfig}: KubernetesChoice): boolean {
  const files = kubeconfig === undefined ? defaultFiles() : [kubeconfig]
  const [first, ...others] = files
  if (first === undefined) {
    if (!existsSync(path.join(SERVICE_ACCOUNT, 'token')))
      throw unusable('there is no --kubeconfig, no KUBECONFIG, no ~/.kube/config, and this is no pod with a service account')
    config.loadFromCluster()
    return true
  }

  for (const file of [first, ...others]) {
    try {
      // The first one decides about the current context, as in kubectl.
      if (file === first) config.loadFromFile(file)
      else {
        const {constructor} = config
        const other = new (constructor as new () => KubeConfig)()
        other.loadFromFile(file)
        config.mergeConfig(other, true)
      }
    } catch (error) {
      throw unusable(`the kubeconfig ${file} can't be read: ${reasonOf(error)}`, error)
    }
  }

  return false
}

/** As kubectl: files of KUBECONFIG that are not there are passed over. */
function defaultFiles(): readonly string[] {
  const named = (process.env['KUBECONFIG'] ?? '').split(path.delimiter).filter(file => file !== '')
  const present = named.filter(file => existsSync(file))
  if (named.length > 0 && present.length === 0) throw unusable(`KUBECONFIG names ${named.join(', ')}, which is not there`)
  if (present.length > 0) return present
  const standard = path.join(homedir(), '.kube', 'config')
  return existsSync(standard) ? [standard] : []
}

function useContext(config: KubeConfig, context: string): void {
  if (config.getContextObject(context) === null) throw unusable(`there is no context ${quote(context)}; there are: ${contextsOf(config)}`)
  config.setCurrentContext(context)
}

function contextsOf(config: KubeConfig): string {
  const known = config.getContexts().map(({name}) => name)
  return known.length === 0 ? 'none' : known.slice(0, 20).join(', ')
}

function parseServer(text: string): URL {
  try {
    return new URL(text)
  } catch {
    throw unusable(`the address of the API server is no URL: ${text.slice(0, 80)}`)
  }
}

function podNamespace(): string | undefined {
  try {
    return readFileSync(path.join(SERVICE_ACCOUNT, 'namespace'), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/**
 * The library's agents open a connection for every request. Ours keep them; a new one is made
 * when the
 * certificates are others. What goes through a proxy keeps the library's, which knows how.
 */
function openAgents(
  server: URL,
  {isProxied}: {readonly isProxied: boolean},
): {use(options: RequestOptions): RequestOptions; close(): void} {
  const http = new HttpAgent(KEPT)
  let current: {readonly agent: HttpsAgent; readonly material: string} | undefined
  return {
    use(options) {
      const {ca, cert, key, passphrase, pfx, servername, rejectUnauthorized} = options
      if (isProxied) return options
      if (server.protocol === 'http:') return {...options, agent: http}
      const material = JSON.stringify(
        [ca, cert, key, passphrase, pfx, servername, rejectUnauthorized].map(part =>
          Buffer.isBuffer(part) ? part.toString('base64') : part,
        ),
      )
      if (current?.material !== material) {
        const tls = {ca, cert, key, passphrase, pfx, servername, rejectUnauthorized}
        const agent = new HttpsAgent({
          ...KEPT,
          ...(Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)) as object),
        })
        if (current !== undefined) retire(current.agent)
        current = {agent, material}
      }

      return {headers: options.headers, auth: options.auth, agent: current.agent}
    },
    close() {
      http.destroy()
      current?.agent.destroy()
    },
  }
}

/** Requests under way on it end by themselves, and their connections with them. */
function retire(agent: HttpsAgent): void {
  agent.maxFreeSockets = 0
  for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy()
}

/** Idle connections are pinged by TCP and kept; the API server closes them when it likes. */
const KEPT = {keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 32}

function unusable(what: string, cause?: unknown): AtlasError {
  return new AtlasError('unreachable', `no Kubernetes cluster can be spoken to: ${what}`, {
    hint: 'name one with --kubeconfig and --context, or name a directory of manifests with --store',
    cause,
  })
}

/** Without what the file says: it may be a key. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  if (code === 'ENOENT') return 'it is not there'
  return code ?? 'it is no kubeconfig'
}

/** A program that gives credentials may have printed them where words were expected. */
function withoutText(error: unknown): string {
  if (error instanceof SyntaxError) return 'what gives them out prints no JSON'
  return error instanceof Error ? quote(error.message).slice(1, -1) : 'for no reason that is known'
}
