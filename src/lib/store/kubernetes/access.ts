/** Which Kubernetes cluster is spoken to, as whom, in which namespace. The library that reads kubeconfigs is loaded here alone, when it is needed. */
import {existsSync, readFileSync} from 'node:fs'
import {Agent as HttpAgent} from 'node:http'
import {Agent as HttpsAgent, type RequestOptions} from 'node:https'
import {homedir} from 'node:os'
import path from 'node:path'
import type {KubeConfig} from '@kubernetes/client-node'
import {AtlasError, messageOf} from '../../model/errors.js'
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
  /** Headers, certificates and a connection that is kept, for one request. Tokens are read anew when they may have changed. */
  options(): Promise<RequestOptions>
  /** Lets idle connections go. */
  close(): void
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/** @throws AtlasError `unreachable` where no cluster is configured, or its configuration can't be used */
export async function openAccess(choice: KubernetesChoice): Promise<Access> {
  const {KubeConfig: Config} = await import('@kubernetes/client-node')
  const config = new Config()
  const isInCluster = load(config, choice)
  if (choice.context !== undefined) useContext(config, choice.context)
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw unusable(`context "${config.getCurrentContext()}" names no cluster that is there`)
  const server = parseServer(cluster.server)
  const agents = openAgents(server, {isProxied: cluster.proxyUrl !== undefined})
  return {
    server,
    namespace: choice.namespace ?? (isInCluster ? podNamespace() : undefined) ?? defaultSettings.namespace,
    as: isInCluster ? "the pod's service account" : `context "${config.getCurrentContext()}"`,
    async options() {
      const options: RequestOptions = {headers: {}}
      try {
        await config.applyToHTTPSOptions(options)
      } catch (error) {
        throw unusable(`the credentials of ${config.getCurrentContext()} can't be had: ${messageOf(error)}`, error)
      }

      return agents.use(options)
    },
    close: agents.close,
  }
}

/** @returns whether it is the pod's own service account */
function load(config: KubeConfig, {kubeconfig}: KubernetesChoice): boolean {
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
  const known = config.getContexts().map(({name}) => name)
  if (!known.includes(context))
    throw unusable(`there is no context "${context}"; there are: ${known.length === 0 ? 'none' : known.slice(0, 20).join(', ')}`)
  config.setCurrentContext(context)
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
 * The library's agents open a connection for every request (facts/ecosystem.md 2). Ours keep them; a new one is made when the
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
        // Requests under way on the old one end by themselves.
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
