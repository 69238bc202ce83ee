/** Connections to an API server in plain HTTP, directly or through a proxy. */
import type {Agent, AgentOptions, ClientRequestArgs} from 'node:http'
import type {Duplex} from 'node:stream'

/** An import would read all exports of `node:http`, and with WebSocket load undici: 35 ms of CPU of each command. */
const http = process.getBuiltinModule('node:http')

/**
 * Opens no connection yet.
 * @param tunnel a connection through the proxy; undefined: there is none
 */
export function plainAgent(options: AgentOptions, tunnel: (() => Promise<Duplex>) | undefined): Agent {
  return tunnel === undefined ? new http.Agent(options) : new ProxiedAgent(options, tunnel)
}

class ProxiedAgent extends http.Agent {
  readonly #tunnel: () => Promise<Duplex>

  constructor(options: AgentOptions, tunnel: () => Promise<Duplex>) {
    super(options)
    this.#tunnel = tunnel
  }

  override createConnection(_: ClientRequestArgs, opened: (error: Error | null, stream: Duplex) => void): undefined {
    this.#tunnel()
      .then(socket => {
        opened(null, socket)
      })
      .catch((error: unknown) => {
        opened(error as Error, undefined as never)
      })
    return undefined
  }
}
