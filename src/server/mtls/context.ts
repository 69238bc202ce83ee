/** The TLS context of the ports for Envoys: which certificate they show and which they trust. Listening is done in listener.ts; certificate.ts follows the fleet. */
import {constants, X509Certificate} from 'node:crypto'
import {type SecureContext, type SecureContextOptions, createSecureContext} from 'node:tls'
import {AtlasError, messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {SecretText} from '../../lib/model/secret.js'

export interface TlsMaterial {
  readonly certificate: string
  readonly key: SecretText
  /** Certificates in force of both planes, PEM; intermediates are anchors here. */
  readonly anchors: readonly string[]
}

/** What Node's TLS server needs: the context for every connection, and the options of the default one, which trusts no client. */
export interface ServerTls {
  readonly context: SecureContext
  readonly fallback: SecureContextOptions
  readonly notAfter: Date
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly fingerprint: string
}

/** Undefined while the fleet has no certificate for the server or no trust bundle. */
export function materialOf(fleet: Fleet): TlsMaterial | undefined {
  const {server, trust} = fleet
  if (server === undefined || trust === undefined) return undefined
  return {certificate: server.certificate, key: server.key, anchors: [...trust.issuers, ...trust.credentialIssuers]}
}

/** Whether both make the same context. */
export function sameMaterial(a: TlsMaterial | undefined, b: TlsMaterial | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return (
    a.certificate === b.certificate &&
    a.key.equals(b.key) &&
    a.anchors.length === b.anchors.length &&
    a.anchors.every((anchor, index) => anchor === b.anchors[index])
  )
}

/**
 * Makes the context: TLS 1.3 alone, no session tickets (a session of a certificate that is no longer trusted must not resume).
 * Node's TLS server drops `allowPartialTrustChain` from its own options, so it gets the context by the client's server name (SNI);
 * a client that sends none gets the fallback, which trusts no client.
 * @throws AtlasError `invalid` for a certificate, key or anchor that can't be read, or a key that isn't the certificate's
 */
export function buildServerTls(material: TlsMaterial): ServerTls {
  const common: SecureContextOptions = {
    cert: material.certificate,
    key: material.key.reveal(),
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
  try {
    if (material.anchors.length === 0) throw new Error('there is no certificate to trust')
    for (const anchor of material.anchors) new X509Certificate(anchor)
    const context = createSecureContext({...common, ca: [...material.anchors], allowPartialTrustChain: true})
    const certificate = new X509Certificate(material.certificate)
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
    return {context, fallback: {...common, ca: []}, notAfter: certificate.validToDate, fingerprint}
  } catch (error) {
    throw new AtlasError('invalid', `the server's certificate, its key or the trust bundle can't be used: ${messageOf(error)}`, {
      hint: 'repair Secret atlas-ads-tls or ConfigMap atlas-trust-bundle; until then the ones before stay in use',
    })
  }
}
