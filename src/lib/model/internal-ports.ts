/** The ports of the observability Envoy for its own cluster: which can be switched to mutual TLS, and the clients that each then admits. */
import {AtlasError, invalid} from './errors.js'
import {type ClientName, parseClientName} from './names.js'

/** 10901: Thanos gRPC; 10902: the pages of Thanos; 10904: all pages. */
export const internalPorts = [10_901, 10_902, 10_904] as const
export type InternalPort = (typeof internalPorts)[number]

/** A client of the internal ports, and the ports that admit it: at least one, in ascending order. */
export interface InternalClient {
  readonly name: ClientName
  readonly ports: readonly InternalPort[]
}

/** The port of a client that is named without one. */
const USUAL_PORT: InternalPort = 10_901

/** The names of the clients that a port admits when it speaks mutual TLS. */
export function clientsOf(clients: readonly InternalClient[], port: InternalPort): readonly ClientName[] {
  return clients.filter(({ports}) => ports.includes(port)).map(({name}) => name)
}

/** @throws AtlasError `invalid` */
export function parseInternalPort(text: string, what = 'an internal port'): InternalPort {
  const port = internalPorts.find(each => String(each) === text)
  if (port === undefined) throw invalid(what, `one that can be switched to mutual TLS: ${internalPorts.join(', ')}`, text)
  return port
}

/** `NAME` for port 10901 alone, or `NAME:PORT,PORT`. @throws AtlasError `invalid` */
export function parseInternalClient(text: string, what = "a client's name"): InternalClient {
  const colon = text.indexOf(':')
  if (colon === -1) return {name: parseClientName(text, what), ports: [USUAL_PORT]}
  const named = text.slice(colon + 1).split(',')
  return {
    name: parseClientName(text.slice(0, colon), what),
    ports: sorted(named.map(port => parseInternalPort(port, `the port of ${what}`))),
  }
}

/** One entry for each name, with the ports of all its entries. */
export function mergedClients(clients: readonly InternalClient[]): readonly InternalClient[] {
  const merged = new Map<ClientName, readonly InternalPort[]>()
  for (const {name, ports} of clients) merged.set(name, sorted([...(merged.get(name) ?? []), ...ports]))
  return [...merged].map(([name, ports]) => ({name, ports}))
}

/**
 * As entries of a comma list: the name for port 10901 alone, else an entry for each port. A release that knows no ports cannot read the
 * latter, and so never admits that client on 10901.
 */
export function renderInternalClient({name, ports}: InternalClient): string {
  return ports.length === 1 && ports[0] === USUAL_PORT ? name : ports.map(port => `${name}:${port}`).join(',')
}

/**
 * A port in mutual TLS without a client would cut off everyone who uses it.
 * @throws AtlasError `invalid` where an internal port speaks mutual TLS and there is no client for it
 */
export function requireClients({
  internalTls,
  clients,
}: {
  readonly internalTls: readonly InternalPort[]
  readonly clients: readonly InternalClient[]
}): void {
  const port = internalTls.find(each => clientsOf(clients, each).length === 0)
  if (port === undefined) return
  throw new AtlasError('invalid', `port ${port} can't be switched to mutual TLS: no client is named for it, so it would admit none`, {
    hint: `name the client and give it its certificate first: "atlas init --client ${port === USUAL_PORT ? 'thanos' : `ingress:${port}`}"`,
  })
}

function sorted(ports: readonly InternalPort[]): readonly InternalPort[] {
  return internalPorts.filter(port => ports.includes(port))
}
