/** Addresses and ports that people write: parsed once, printed one way. */
import {isIPv4, isIPv6} from 'node:net'
import {invalid} from './errors.js'

export interface Address {
  readonly kind: 'dns' | 'ipv4' | 'ipv6'
  /** Lower case, without brackets. */
  readonly host: string
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/**
 * An IPv4 or IPv6 address (no zone index, brackets allowed) or a DNS name.
 * @throws AtlasError `invalid`
 */
export function parseAddress(text: string): Address {
  const host = text.toLowerCase()
  if (isIPv4(host)) return {kind: 'ipv4', host}
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (isIPv6(bare) && !bare.includes('%')) return {kind: 'ipv6', host: bare}
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  if (isDnsName(name)) return {kind: 'dns', host: name}
  throw invalid(
    'an address',
    'an IPv4 or IPv6 address or a DNS name, without a port',
    text,
    /:\d+$/.test(text) ? 'give the port apart, for example with --port 11901=30901' : undefined,
  )
}

/**
 * A comma-separated list of addresses; blanks are ignored, and so are repeats; empty text is an empty list.
 * @throws AtlasError `invalid`
 */
export function parseAddresses(text: string): readonly Address[] {
  const addresses = text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
    .map(part => parseAddress(part))
  return [...new Map(addresses.map(address => [address.host, address])).values()]
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
  if (host.includes(':') && !host.startsWith('[')) throw invalid(what, 'HOST:PORT with an IPv6 address in brackets', text)
  return {host: parseAddress(host).host, port: parsePort(port)}
}

/** Where to listen: `IP:PORT`, port 0 for any free one. @throws AtlasError `invalid` */
export function parseListen(text: string, what: string): HostPort {
  const isAnyPort = text.endsWith(':0')
  const {host, port} = parseHostPort(isAnyPort ? `${text.slice(0, -1)}1` : text, what)
  if (parseAddress(host).kind === 'dns') throw invalid(what, 'IP:PORT, such as 127.0.0.1:6305 or [::]:6305', text)
  return {host, port: isAnyPort ? 0 : port}
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
