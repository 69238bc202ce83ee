/** Which proxy a connection to the API server goes through, by Go's rules (golang.org/x/net/http/httpproxy). How it goes through is tunnel.ts's business. */
import {BlockList, isIP} from 'node:net'
import {quote} from '../../../model/errors.js'
import {SecretText} from '../../../model/secret.js'
import {unusable} from './unusable.js'

export interface Proxy {
  /** Without user and password. */
  readonly url: URL
  readonly username: string
  readonly password: SecretText
  /** Where the proxy is configured, for messages, such as `HTTPS_PROXY`. */
  readonly source: string
}

/**
 * @param proxyUrl of the kubeconfig; the environment and NO_PROXY do not count where there is one
 * @param environment HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in capitals before small letters; never for this machine itself
 * @returns undefined: the connection is direct
 */
export function proxyFor(server: URL, proxyUrl: string, environment: NodeJS.ProcessEnv): Proxy | undefined {
  if (proxyUrl !== '') return parseProxyUrl(proxyUrl, 'proxy-url of the kubeconfig')
  const variable = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const text = valueOf(environment, variable)
  if (text === '' || isExempt(server, valueOf(environment, 'NO_PROXY'))) return undefined
  // Go ignores a value that is not a URL, with a scheme or without.
  const url = URL.parse(/^[a-z][\w+.-]*:\/\/[^/]/i.test(text) ? text : `http://${text}`)
  return url === null ? undefined : checked(url, variable)
}

/** @throws AtlasError `unreachable` for what is no proxy's URL */
export function parseProxyUrl(text: string, what: string): Proxy {
  const url = URL.parse(text)
  if (url === null) throw unusable(`${what} is not a URL`, {hint: HINT})
  // Go accepts socks5h from the environment only. It means that the proxy resolves names, which Go lets it do for socks5 too.
  if (url.protocol === 'socks5h:') throw unusable(`${what} has the scheme "socks5h"`, {hint: 'write socks5://'})
  return checked(url, what)
}

const HINT = 'a proxy looks like http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT'
const PORTS: Readonly<Record<string, string>> = {'http:': '80', 'https:': '443', 'socks5:': '1080', 'socks5h:': '1080'}

/** Where a proxy listens. */
export function addressOf({url}: Proxy): {readonly host: string; readonly port: number} {
  return {host: bare(url.hostname), port: portOf(url)}
}

/** The header with the proxy's user and password; none where there are none. */
export function proxyAuthorization({username, password}: Proxy): Readonly<Record<string, string>> {
  if (username === '' && password.reveal() === '') return {}
  return {'proxy-authorization': `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`}
}

/** Of a server: its own, or that of its scheme. */
export function portOf({port, protocol}: URL): number {
  return Number(port || PORTS[protocol])
}

/** Of a URL's host: without the brackets of an IPv6 address. */
export function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function checked(url: URL, what: string): Proxy {
  if (PORTS[url.protocol] === undefined || url.hostname === '')
    throw unusable(`${what} has the scheme ${quote(url.protocol.slice(0, -1))}, which is not a proxy's`, {hint: HINT})
  const plain = new URL(url)
  plain.username = ''
  plain.password = ''
  try {
    return {
      source: what,
      url: plain,
      username: decodeURIComponent(url.username),
      password: new SecretText(decodeURIComponent(url.password)),
    }
  } catch {
    throw unusable(`${what} has a user or password with a % that begins no escape`, {hint: 'write % as %25'})
  }
}

function valueOf(environment: NodeJS.ProcessEnv, name: string): string {
  return [environment[name], environment[name.toLowerCase()]].find(value => value !== undefined && value !== '') ?? ''
}

function isExempt(server: URL, noProxy: string): boolean {
  const host = bare(server.hostname).toLowerCase()
  const port = String(portOf(server))
  if (host === 'localhost' || (isIP(host) === 4 && host.startsWith('127.')) || host === '::1') return true
  return noProxy
    .toLowerCase()
    .split(',')
    .map(entry => entry.trim())
    .some(entry => entry !== '' && matches(entry, host, port))
}

/** `entry` is `*`, an address, a range of addresses, a domain, or one of these but for ranges with a port. */
function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  const family = isIP(host)
  const [, network = '', prefix] = /^([^/]+)\/(\d+)$/.exec(entry) ?? []
  if (isIP(network) !== 0) return isIP(network) === family && isWithin(host, network, Number(prefix))
  const [, name = entry, entryPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? []
  if (entryPort !== undefined && entryPort !== port) return false
  const wanted = bare(name)
  if (isIP(wanted) !== 0) return isIP(wanted) === family && isWithin(host, wanted, family === 6 ? 128 : 32)
  if (family !== 0 || wanted === '') return false
  const domain = wanted.replace(/^\*\./, '.')
  return host.endsWith(domain.startsWith('.') ? domain : `.${domain}`) || host === domain
}

function isWithin(host: string, network: string, prefix: number): boolean {
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4'
  if (prefix > (family === 'ipv6' ? 128 : 32)) return false
  const list = new BlockList()
  list.addSubnet(network, prefix, family)
  return list.check(host, family)
}
