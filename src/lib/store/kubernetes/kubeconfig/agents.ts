/** Connections to one API server, directly or through a proxy. They are kept, and replaced when certificates are. */
import type {AgentOptions, Agent as HttpAgent, RequestOptions} from 'node:http'
import {Agent as HttpsAgent} from 'node:https'
import {isIP} from 'node:net'
import type {Duplex} from 'node:stream'
import {type ConnectionOptions, type SecureContext, checkServerIdentity, connect as connectTls} from 'node:tls'
import {AtlasError, messageOf} from '../../../model/errors.js'
import type {Credentials} from './credentials.js'
import {type Material, secureContextOf} from './material.js'
import {type Proxy, bare, proxyAuthorization} from './proxy.js'
import type {KubeconfigTarget} from './select.js'

/** Idle connections are pinged by TCP and kept; the API server closes them when it likes. */
const KEPT: AgentOptions = {keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 32}

export interface Agents {
  /** What a request to `url` is sent with, beside its credentials' headers. */
  use(url: URL, credentials: Credentials, material: Material): RequestOptions
  close(): void
}

/**
 * Opens no connection yet. Modules for plain HTTP and proxies are loaded only where they are used: importing `node:http` alone costs a
 * command 25 ms of CPU.
 */
export async function openAgents(target: KubeconfigTarget, proxy: Proxy | undefined): Promise<Agents> {
  return target.server.protocol === 'http:' ? openPlain(target.server, proxy) : openTls(target, proxy)
}

async function openPlain(server: URL, proxy: Proxy | undefined): Promise<Agents> {
  const {plainAgent} = await import('./plain-agent.js')
  const agent = plainAgent(KEPT, proxy === undefined ? undefined : async () => tunnelTo(server, proxy, {}))
  const isForwarded = proxy !== undefined && !proxy.url.protocol.startsWith('socks')
  return {
    // A proxy that forwards plain HTTP needs the whole URL, and the proxy's own user and password.
    use: ({origin, pathname, search}) =>
      isForwarded ? {agent, path: `${origin}${pathname}${search}`, headers: proxyAuthorization(proxy)} : {agent},
    close: () => {
      agent.destroy()
    },
  }
}

function openTls(target: KubeconfigTarget, proxy: Proxy | undefined): Agents {
  let current: {readonly agent: HttpAgent; readonly of: string} | undefined
  return {
    use(_, {certificate, key}, {authorities}) {
      const of = JSON.stringify([authorities, certificate, key.reveal()])
      if (current?.of !== of) {
        const context = secureContextOf({authorities, certificate, key}, target.as)
        if (current !== undefined) retire(current.agent)
        current = {of, agent: tlsAgent(target, proxy, context)}
      }

      return {agent: current.agent}
    },
    close: () => current?.agent.destroy(),
  }
}

/** Requests under way on the agent still run to their end, and their connections close after them. */
function retire(agent: HttpAgent): void {
  agent.maxFreeSockets = 0
  for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy()
}

function tlsAgent({cluster, server}: KubeconfigTarget, proxy: Proxy | undefined, secureContext: SecureContext): HttpsAgent {
  const verification = (host: string): ConnectionOptions => ({
    secureContext,
    rejectUnauthorized: !cluster.isUnverified,
    ...identityOf(cluster.tlsServerName || host),
  })
  const options = {...KEPT, ...verification(bare(server.hostname))}
  if (proxy === undefined) return new HttpsAgent(options)
  return new ProxiedAgent(options, async () => tunnelTo(server, proxy, verification(bare(proxy.url.hostname))))
}

/** The server name that is sent and that the certificate must have. An IP address is not sent. As in Go, a common name does not count. */
function identityOf(name: string): Pick<ConnectionOptions, 'checkServerIdentity' | 'servername'> {
  return {
    servername: isIP(name) === 0 ? name.replace(/\.$/, '') : '',
    checkServerIdentity(_, certificate) {
      if (/(?:^|, )(?:DNS|IP Address):/.test(certificate.subjectaltname ?? '')) return checkServerIdentity(name, certificate)
      return Object.assign(new Error('it has no subject alternative name'), {code: 'ERR_TLS_CERT_ALTNAME_INVALID'})
    },
  }
}

/** @throws AtlasError `unreachable` */
async function tunnelTo(server: URL, proxy: Proxy, tls: ConnectionOptions): Promise<Duplex> {
  const {openTunnel} = await import('./tunnel.js')
  try {
    return await openTunnel(server, proxy, tls)
  } catch (error) {
    const {url, source} = proxy
    throw new AtlasError(
      'unreachable',
      `the proxy ${url.protocol}//${url.host} gives no connection to the API server ${server.host}: ${messageOf(error)}`,
      {hint: `check ${source}; NO_PROXY lists hosts for which the environment's proxy is not used`, cause: error},
    )
  }
}

class ProxiedAgent extends HttpsAgent {
  readonly #tunnel: () => Promise<Duplex>

  constructor(options: AgentOptions & ConnectionOptions, tunnel: () => Promise<Duplex>) {
    super(options)
    this.#tunnel = tunnel
  }

  override createConnection(options: ConnectionOptions, opened: (error: Error | null, stream: Duplex) => void): undefined {
    this.#tunnel()
      .then(socket => {
        opened(null, connectTls({...options, socket}))
      })
      .catch((error: unknown) => {
        opened(error as Error, undefined as never)
      })
    return undefined
  }
}
