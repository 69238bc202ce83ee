/** The connections to one API server, directly or through its proxy; they are kept, and replaced when certificates are. */
import type {AgentOptions, Agent as HttpAgent, RequestOptions} from 'node:http'
import {Agent as HttpsAgent} from 'node:https'
import {isIP} from 'node:net'
import type {Duplex} from 'node:stream'
import {type ConnectionOptions, type SecureContext, checkServerIdentity, connect as connectTls} from 'node:tls'
import type {Credentials} from './credentials.js'
import {type Material, secureContextOf} from './material.js'
import {type Proxy, bare, proxyAuthorization} from './proxy.js'
import type {Target} from './select.js'

/** Idle connections are pinged by TCP and kept; the API server closes them when it likes. */
export const KEPT: AgentOptions = {keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 32}

export interface Agents {
  /** What a request to `url` is sent with, beside its credentials' headers. */
  use(url: URL, credentials: Credentials, material: Material): RequestOptions
  close(): void
}

/**
 * Nothing is connected to yet. What is needed only for plain HTTP, or for a proxy, is loaded only then: `node:http` alone, imported,
 * takes a command 20 ms.
 */
export async function openAgents(target: Target, proxy: Proxy | undefined): Promise<Agents> {
  return target.server.protocol === 'http:' ? openPlain(target.server, proxy) : openTls(target, proxy)
}

async function openPlain(server: URL, proxy: Proxy | undefined): Promise<Agents> {
  const {plainAgent} = await import('./plain-agent.js')
  const agent = plainAgent(server, proxy, KEPT)
  const isForwarded = proxy !== undefined && !proxy.url.protocol.startsWith('socks')
  return {
    // A proxy that reads the request needs the whole address, and its own user and password.
    use: ({origin, pathname, search}) =>
      isForwarded ? {agent, path: `${origin}${pathname}${search}`, headers: proxyAuthorization(proxy)} : {agent},
    close: () => {
      agent.destroy()
    },
  }
}

function openTls(target: Target, proxy: Proxy | undefined): Agents {
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

function tlsAgent({cluster, server}: Target, proxy: Proxy | undefined, secureContext: SecureContext): HttpsAgent {
  const verification = (host: string): ConnectionOptions => ({
    secureContext,
    rejectUnauthorized: !cluster.isUnverified,
    ...identityOf(cluster.tlsServerName || host),
  })
  const options = {...KEPT, ...verification(bare(server.hostname))}
  if (proxy === undefined) return new HttpsAgent(options)
  return new ProxiedHttpsAgent(options, async () => {
    const {openTunnel} = await import('./tunnel.js')
    return openTunnel(server, proxy, verification(bare(proxy.url.hostname)))
  })
}

/** The server name that is sent, and the name that the certificate must have; an address is no server name. As in Go, no common name counts. */
function identityOf(name: string): Pick<ConnectionOptions, 'checkServerIdentity' | 'servername'> {
  return {
    servername: isIP(name) === 0 ? name.replace(/\.$/, '') : '',
    checkServerIdentity(_, certificate) {
      if (/(?:^|, )(?:DNS|IP Address):/.test(certificate.subjectaltname ?? '')) return checkServerIdentity(name, certificate)
      return Object.assign(new Error('it has no subject alternative name'), {code: 'ERR_TLS_CERT_ALTNAME_INVALID'})
    },
  }
}

type Opened = (error: Error | null, stream: Duplex) => void

class ProxiedHttpsAgent extends HttpsAgent {
  readonly #tunnel: () => Promise<Duplex>

  constructor(options: AgentOptions & ConnectionOptions, tunnel: () => Promise<Duplex>) {
    super(options)
    this.#tunnel = tunnel
  }

  override createConnection(options: ConnectionOptions, opened: Opened): undefined {
    this.#tunnel().then(
      socket => {
        opened(null, connectTls({...options, socket}))
      },
      (error: unknown) => {
        opened(error as Error, undefined as never)
      },
    )
    return undefined
  }
}
