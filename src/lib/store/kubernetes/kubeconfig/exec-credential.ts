/** ExecCredential, the object that Atlas and a program that gives credentials exchange: what the program is given, and what it answers. */
import {X509Certificate, createPrivateKey} from 'node:crypto'
import {parseKubectlYaml} from '../../../manifest/yaml.js'
import {SecretText} from '../../../model/secret.js'
import type {ExecEntry} from './format.js'
import type {KubeconfigTarget} from './select.js'
import {record, text} from './shape.js'

export interface ExecCredential {
  /** Empty: none. */
  readonly token: SecretText
  /** Empty: none. */
  readonly certificate: string
  readonly key: SecretText
  /** Milliseconds since 1970; undefined: it does not expire. */
  readonly expiresAt: number | undefined
}

/** Extension of a cluster that is passed on to the program. */
const EXTENSION = 'client.authentication.k8s.io/exec'

/** The value of KUBERNETES_EXEC_INFO. `ca` is the certificate authority of the cluster as it is written. */
export function execInfo(
  exec: ExecEntry,
  {cluster}: KubeconfigTarget,
  {ca, isInteractive}: {readonly ca: string; readonly isInteractive: boolean},
): string {
  const given = {
    server: cluster.server,
    ...(cluster.tlsServerName !== '' && {'tls-server-name': cluster.tlsServerName}),
    ...(cluster.isUnverified && {'insecure-skip-tls-verify': true}),
    ...(ca !== '' && {'certificate-authority-data': Buffer.from(ca).toString('base64')}),
    ...(cluster.proxyUrl !== '' && {'proxy-url': cluster.proxyUrl}),
    ...(cluster.isUncompressed && {'disable-compression': true}),
    config: cluster.extensions.get(EXTENSION) ?? null,
  }
  return JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: exec.apiVersion,
    spec: {...(exec.isGivenCluster && {cluster: given}), interactive: isInteractive},
  })
}

const credential = record({
  kind: ['kind', text],
  apiVersion: ['apiVersion', text],
  status: [
    'status',
    record({
      token: ['token', text],
      certificate: ['clientCertificateData', text],
      key: ['clientKeyData', text],
      expires: ['expirationTimestamp', text],
    }),
  ],
})

/** Decodes the program's output. A text is returned for a wrong one: it completes "the program NAME …", and quotes nothing of the output. */
export function decodeExecCredential(printed: string, {apiVersion}: ExecEntry): ExecCredential | string {
  let found
  try {
    found = credential(parseKubectlYaml(printed), '')
  } catch {
    return 'printed no ExecCredential'
  }

  const {token, certificate, key, expires} = found.status
  const expiresAt = expires === '' ? undefined : Date.parse(expires)
  if (found.kind !== 'ExecCredential') return 'printed no ExecCredential'
  if (found.apiVersion !== apiVersion) return `printed another version of ExecCredential than ${apiVersion}, which the kubeconfig names`
  if (token + certificate + key === '') return 'gave neither a token nor a client certificate'
  if ((certificate === '') !== (key === '')) return 'gave a client certificate or a key, not both'
  if (Number.isNaN(expiresAt)) return 'gave an expirationTimestamp that is no time'
  if (certificate !== '' && !isPair(certificate, key)) return 'gave a client certificate and a key that do not belong together'
  return {token: new SecretText(token), certificate, key: new SecretText(key), expiresAt}
}

function isPair(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}
