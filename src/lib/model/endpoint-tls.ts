/**
 * TLS from a downstream Envoy to a Thanos endpoint that insists on it, such as OpenShift's: a registration names certificates, and the Envoy
 * says which certificates are mounted beside it. No key and no path is in a registration.
 */
import {isDnsName} from './address.js'
import {AtlasError, invalid} from './errors.js'

/** What a registration says of an endpoint's TLS. */
export interface EndpointTls {
  /** The name of certificates that the downstream Envoy has as files. */
  readonly certificates: string
  /** The name on the endpoint's certificate, where that is not its host. */
  readonly serverName?: string
}

/** The certificates that an Envoy has as files: `<directory>/<name>/ca.crt`, and `tls.crt` and `tls.key` for a client certificate. */
export interface UpstreamTls {
  readonly directory: string
  /** By name, in order. */
  readonly certificates: ReadonlyMap<string, {readonly isClient: boolean}>
}

/** Certificates of one Envoy; a claim with more is refused. */
export const CERTIFICATES_MAX = 32
const NAME_MAX = 20

/**
 * `NAME`, or `NAME:SERVER` with the name on the endpoint's certificate.
 * @throws AtlasError `invalid`
 */
export function parseEndpointTls(text: string, what = 'the TLS of a Thanos endpoint'): EndpointTls {
  const [name = '', serverName, ...rest] = text.split(':')
  const isName = serverName === undefined || isDnsName(serverName.toLowerCase())
  if (!isCertificatesName(name) || !isName || rest.length > 0)
    throw invalid(
      what,
      `NAME or NAME:SERVERNAME, NAME of at most ${NAME_MAX} lower-case letters, digits and "-", SERVERNAME a DNS name`,
      text,
    )
  return serverName === undefined ? {certificates: name} : {certificates: name, serverName: serverName.toLowerCase()}
}

/** As `parseEndpointTls` reads it. */
export function renderEndpointTls({certificates, serverName}: EndpointTls): string {
  return serverName === undefined ? certificates : `${certificates}:${serverName}`
}

/**
 * What a node's metadata says: `{"directory": "/etc/atlas/envoy/upstream", "client": {"openshift": true}}`, `true` with a client certificate.
 * @throws AtlasError `invalid`
 */
export function parseUpstreamTls(value: unknown, what: string): UpstreamTls {
  const {directory, client} = isRecord(value) ? value : {}
  const entries = isRecord(client) ? Object.entries(client) : []
  const isRight = typeof directory === 'string' && /^\/[\x21-\x7E]{1,200}$/.test(directory) && isRecord(client)
  if (!isRight || entries.length > CERTIFICATES_MAX || entries.some(([name, is]) => !isCertificatesName(name) || typeof is !== 'boolean'))
    throw new AtlasError(
      'invalid',
      `${what} must be {"directory": PATH, "client": {NAME: true or false}} with at most ${CERTIFICATES_MAX} names, true for a client certificate`,
    )
  return {directory, certificates: new Map(entries.sort().map(([name, isClient]) => [name, {isClient: isClient === true}]))}
}

/** As `parseUpstreamTls` reads it. */
export function upstreamTlsClaim({directory, certificates}: UpstreamTls): {directory: string; client: Record<string, boolean>} {
  return {directory, client: Object.fromEntries([...certificates].map(([name, {isClient}]) => [name, isClient]))}
}

/** A directory's name below the Envoy's directory of certificates. */
export function isCertificatesName(text: string): boolean {
  return text.length <= NAME_MAX && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
