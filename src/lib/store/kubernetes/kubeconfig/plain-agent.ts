/** Connections to an API server in plain HTTP, directly or through a proxy. */
import {Agent, type AgentOptions, type ClientRequestArgs} from 'node:http'
import type {Duplex} from 'node:stream'
import type {Proxy} from './proxy.js'
import {openTunnel} from './tunnel.js'

/** Nothing is connected to yet. */
export function plainAgent(server: URL, proxy: Proxy | undefined, options: AgentOptions): Agent {
  return proxy === undefined ? new Agent(options) : new ProxiedAgent(options, async () => openTunnel(server, proxy, {}))
}

class ProxiedAgent extends Agent {
  readonly #tunnel: () => Promise<Duplex>

  constructor(options: AgentOptions, tunnel: () => Promise<Duplex>) {
    super(options)
    this.#tunnel = tunnel
  }

  override createConnection(_: ClientRequestArgs, opened: (error: Error | null, stream: Duplex) => void): undefined {
    this.#tunnel().then(
      socket => {
        opened(null, socket)
      },
      (error: unknown) => {
        opened(error as Error, undefined as never)
      },
    )
    return undefined
  }
}
