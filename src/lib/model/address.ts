/** Addresses and ports that people write: parsed once, printed one way. IP addresses: ip-address.ts. */
import {AtlasError, invalid, quote} from './errors.js'
import {parseIpAddress, unreachableKind} from './ip-address.js'

export interface Address {
  readonly kind: 'dns' | 'ipv4' | 'ipv6'
  /** An IP address in its one spelling, or a name in lower case. A name keeps its last dot, which ends the search for other names. */
  readonly host: string
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/**
 * An IPv4 or IPv6 address (no zone index, brackets allowed) or a DNS name.
 * @param portHint what to do where the text ends in a port, as `portHintFor` makes it
 * @throws AtlasError `invalid`
 */
export function parseAddress(text: string, portHint?: (port: string) => string): Address {
  const host = text.toLowerCase()
  const ip = parseIpAddress(host)
  if (ip !== undefined) return ip
  if (isHostName(host.endsWith('.') ? host.slice(0, -1) : host)) return {kind: 'dns', host}
  throw invalid('an address', 'an IPv4 or IPv6 address or a DNS name, without a port', text, addressHint(host, portHint))
}

function addressHint(host: string, portHint: ((port: string) => string) | undefined): string | undefined {
  const prefixed = /^(dns|dnssrv|dnssrvnoa)\+(.*)$/.exec(host)?.[2]
  const name = prefixed ?? host
  const service = SRV_NAME.exec(name)
  if (service !== null)
    return `Envoy looks up addresses and no SRV records: write ${quote(name.slice(service[0].length))}, and the port as a number`
  if (name.includes('/')) return NO_URL
  if (prefixed !== undefined) return `Envoy looks up every name itself: leave out the prefix, and write ${quote(name)}`
  const port = /[^:]:(\d{1,5})$/.exec(host)?.[1] ?? /\]:(\d{1,5})$/.exec(host)?.[1]
  return port === undefined ? undefined : portHint?.(port)
}

/**
 * A comma-separated list of addresses; blanks are ignored, and so are repeats; empty text is an empty list.
 * @param portHint as in `parseAddress`
 * @throws AtlasError `invalid`
 */
export function parseAddresses(text: string, portHint?: (port: string) => string): readonly Address[] {
  const addresses = text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
    .map(part => parseAddress(part, portHint))
  return [...new Map(addresses.map(address => [address.host, address])).values()]
}

/**
 * An address that is new must be one that a connection can be made to. What was accepted before is read without this rule, and stays in
 * force.
 * @param host as `parseAddress` returns it
 * @param what whose address it is
 * @throws AtlasError `invalid`
 */
export function requireReachable(host: string, what = 'an address'): void {
  const ip = parseIpAddress(host)
  const kind = ip === undefined ? undefined : unreachableKind(ip)
  if (kind === undefined) return
  throw new AtlasError('invalid', `${what} must be one that a connection can be made to; ${host} is ${kind}`, {
    hint: 'set the address of the machine or load balancer that answers',
  })
}

export function renderAddresses(addresses: readonly Address[]): string {
  return addresses.map(address => address.host).join(',')
}

/** A TCP port. @throws AtlasError `invalid` */
export function parsePort(text: string, what = 'a port'): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw invalid(what, 'a whole number from 1 to 65535', text)
  return port
}

/** `HOST:PORT`, `[IPV6]:PORT`. @throws AtlasError `invalid` */
export function parseHostPort(text: string, what = 'an address'): HostPort {
  const match = /^(.+):([0-9]{1,5})$/.exec(text)
  const host = match?.[1]
  const port = match?.[2]
  if (host === undefined || port === undefined) throw invalid(what, 'HOST:PORT', text)
  if (text.includes('://')) throw invalid(what, 'HOST:PORT', text, NO_URL)
  if (host.includes(':') && !host.startsWith('[')) throw invalid(what, 'HOST:PORT with an IPv6 address in brackets', text)
  return {host: hostOf(host, text, what), port: parsePort(port, `the port of ${what}`)}
}

/** @throws AtlasError `invalid`, which shows the whole `text` that was given */
function hostOf(host: string, text: string, what: string): string {
  try {
    return parseAddress(host).host
  } catch (error) {
    const hint = error instanceof AtlasError ? error.hint : undefined
    throw invalid(what, 'HOST:PORT, HOST an IPv4 or IPv6 address or a DNS name', text, hint)
  }
}

/** The hint for a URL where an address is wanted. */
const NO_URL = 'leave out the scheme, such as https://, and what begins with "/" after the host'

/**
 * Where to listen: `IP:PORT`, port 0 for any free one.
 * @param example the default of the flag, or what is likely there
 * @throws AtlasError `invalid`
 */
export function parseListen(text: string, what: string, example = '127.0.0.1:6305 or [::]:6305'): HostPort {
  const [, host = '', port = ''] = /^(\[[^\]]+\]|[^:]+):([0-9]{1,5})$/.exec(text) ?? []
  const ip = parseIpAddress(host.toLowerCase())
  if (ip === undefined) throw invalid(what, `IP:PORT, such as ${example}`, text)
  return {host: ip.host, port: port === '0' ? 0 : parsePort(port, `the port of ${what}`)}
}

export function renderHostPort({host, port}: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** RFC 1123 host name in lower case, at most 253 characters; a last label of digits alone is refused, it reads as an address. */
export function isDnsName(text: string): boolean {
  return (
    text.length <= 253 &&
    /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text) &&
    !/(^|\.)\d+$/.test(text)
  )
}

/** The first two labels of a name of SRV records (RFC 2782). Such a name has no address. */
const SRV_NAME = /^_[^.]*\._[^.]*\./

/**
 * A name to connect to: as `isDnsName`, and with `_`, which Docker Compose, Docker Swarm and others give to their services. RFC 1123 has no
 * such host name, but DNS does (RFC 2181, 11), Envoy looks it up, and no certificate holds it: Envoys verify each other by names of Atlas.
 */
function isHostName(text: string): boolean {
  return !SRV_NAME.test(text) && isDnsName(text.replaceAll('_', 'x'))
}
