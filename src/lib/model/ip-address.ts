/** IP addresses: one spelling for each, and which of them a connection can be made to. Names, ports and lists: address.ts. */
import {isIPv4, isIPv6} from 'node:net'

export interface IpAddress {
  readonly kind: 'ipv4' | 'ipv6'
  /** As RFC 5952 spells it: lower case, without brackets, the longest run of zeros as `::`. */
  readonly host: string
}

/**
 * An IPv4 address in four decimal parts, or an IPv6 address without zone index, brackets allowed; undefined for any other text. An
 * IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) becomes the IPv4 address that a connection to it reaches.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return {kind: 'ipv4', host: text}
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (!isIPv6(bare) || bare.includes('%')) return undefined
  const host = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host)
  if (mapped === null) return {kind: 'ipv6', host}
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)]
  return {kind: 'ipv4', host: [high >> 8, high & 255, low >> 8, low & 255].join('.')}
}

/**
 * Why no connection can be made to an address, as the end of "that is …"; undefined where one can. Loopback addresses pass: several
 * Envoys may run on one machine. So do 240.0.0.0/4, which some clouds give to pods, and IPv4 link-local addresses, which need no zone.
 */
export function unreachableKind({kind, host}: IpAddress): string | undefined {
  return kind === 'ipv4' ? unreachableIpv4(host) : unreachableIpv6(host)
}

/** RFC 1122 3.2.1.3 (0.0.0.0/8, broadcast) and RFC 5771 (multicast). */
function unreachableIpv4(host: string): string | undefined {
  const first = Number(host.split('.')[0])
  if (first === 0) return 'in 0.0.0.0/8, which means "this host"'
  if (first >= 224 && first < 240) return 'a multicast address'
  return host === '255.255.255.255' ? 'the broadcast address' : undefined
}

/** RFC 4291 2.5.2 and 2.7; a link-local address (2.5.6) means nothing without its zone, and Envoy takes no zone. */
function unreachableIpv6(host: string): string | undefined {
  if (host === '::') return 'the unspecified address'
  if (host.startsWith('ff') && /^ff[0-9a-f]{2}:/.test(host)) return 'a multicast address'
  return /^fe[89ab][0-9a-f]:/.test(host) ? 'a link-local address' : undefined
}
