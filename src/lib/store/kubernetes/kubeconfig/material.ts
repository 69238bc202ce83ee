/** What the files that a kubeconfig names hold: authorities, client certificate and key, token. They may be replaced at any time. */
import {X509Certificate} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {type SecureContext, createSecureContext, getCACertificates} from 'node:tls'
import {messageOf} from '../../../model/errors.js'
import {SecretText} from '../../../model/secret.js'
import type {KubeconfigTarget} from './select.js'
import {reasonOf, unusable} from './unusable.js'

export interface Material {
  /** As it is written; empty: none is named. */
  readonly ca: string
  /** Empty: the system's authorities count. */
  readonly authorities: readonly string[]
  /** Empty: none. */
  readonly certificate: string
  readonly key: SecretText
  /** What is sent as a bearer token; empty: none. */
  readonly token: SecretText
}

/** @throws AtlasError `unreachable` where a file can't be read or holds something else */
export function readMaterial({server, cluster, user, as}: KubeconfigTarget): Material {
  const ca = textOf(`certificate-authority of ${as}`, cluster.ca, cluster.caFile)
  const certificate = textOf(`client-certificate of ${as}`, user?.certificate, user?.certificateFile)
  // A key without a certificate is not read.
  const key = certificate === '' ? '' : textOf(`client-key of ${as}`, user?.key.reveal(), user?.keyFile)
  if (server.protocol === 'http:') return {ca: '', authorities: [], certificate: '', key: new SecretText(''), token: new SecretText('')}
  const authorities = readCaBundle(ca)
  if (authorities.length === 0 && cluster.ca + cluster.caFile !== '')
    throw unusable(`the certificate authority of ${as} holds no certificate in PEM`, {hint: 'get the kubeconfig from the cluster again'})
  return {ca, authorities, certificate, key: new SecretText(key), token: readToken(user, as)}
}

/** The certificates of a PEM text. Those that can't be parsed are left out, as in Go. */
export function readCaBundle(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.filter(block => {
    try {
      return new X509Certificate(block).raw.length > 0
    } catch {
      return false
    }
  })
}

/**
 * For TLS with the API server. As in Go, an authority need not be a root: a named intermediate, or the server's own certificate, is trusted.
 * @throws AtlasError `unreachable` where certificate and key don't belong together
 */
export function secureContextOf(
  {authorities, certificate, key}: Pick<Material, 'authorities' | 'certificate' | 'key'>,
  as: string,
): SecureContext {
  const ca = authorities.length > 0 ? [...authorities] : systemAuthorities()
  const pair = certificate === '' ? {} : {cert: certificate, key: key.reveal()}
  try {
    return createSecureContext({...(ca !== undefined && {ca}), ...pair, allowPartialTrustChain: true})
  } catch (error) {
    throw unusable(`the client certificate of ${as} can't be used: ${messageOf(error).split('::').at(-1) ?? ''}`, {
      hint: 'client-certificate and client-key must belong together, in PEM, the key without a passphrase',
    })
  }
}

/** The machine's authorities, as in Go, and those of NODE_EXTRA_CA_CERTS. Where the machine has none, Node's own are used. */
function systemAuthorities(): string[] | undefined {
  const system = getCACertificates('system')
  return system.length === 0 ? undefined : [...system, ...getCACertificates('extra')]
}

/** As in client-go, the token in the file comes before the token in the kubeconfig. */
function readToken(user: KubeconfigTarget['user'], as: string): SecretText {
  if (user === undefined || user.tokenFile === '') return user?.token ?? new SecretText('')
  if (user.token.reveal() === '') {
    const token = textOf(`tokenFile of ${as}`, '', user.tokenFile).trim()
    if (token === '') throw unusable(`tokenFile of ${as} can't be used: ${user.tokenFile} is empty`)
    return new SecretText(token)
  }

  try {
    return new SecretText(readFileSync(user.tokenFile, 'utf8').trim() || user.token.reveal())
  } catch {
    return user.token
  }
}

/** The text in the kubeconfig, else the text of the file; empty where there is neither. */
function textOf(what: string, text = '', file = ''): string {
  if (text !== '' || file === '') return text
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unusable(`${what} can't be used: ${file} can't be read: ${reasonOf(error)}`, {cause: error})
  }
}
