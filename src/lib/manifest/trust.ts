/** ConfigMap `atlas-trust-bundle` <-> the certificates in force. */
import type {TrustBundle} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {fieldOf} from '../pki/fields.js'
import {requireUsableKey} from '../pki/key-kinds.js'
import {parseCertificates, renderCertificates} from '../pki/pem.js'
import type {Manifest} from './manifest.js'
import {at} from './path.js'

const keys = {roots: 'roots.pem', issuers: 'issuers.pem', credentialIssuers: 'credential-issuers.pem'} as const

/** @throws AtlasError `invalid` */
export function decodeTrust(manifest: Manifest): TrustBundle {
  const bundle = (key: string): readonly string[] =>
    at(`data.${key}`, () => {
      const text = manifest.data?.[key]
      if (text === undefined) throw new AtlasError('invalid', 'it must hold certificates in PEM; there is nothing')
      return parseCertificates(text, key).map(certificate => {
        requireUsableKey(fieldOf(certificate, 'publicKey', key), key)
        return renderCertificates([certificate])
      })
    })
  return {roots: bundle(keys.roots), issuers: bundle(keys.issuers), credentialIssuers: bundle(keys.credentialIssuers)}
}

/** The data of the ConfigMap that holds the trust bundle. */
export function encodeTrust(trust: TrustBundle): Readonly<Record<string, string>> {
  return {
    [keys.roots]: trust.roots.join(''),
    [keys.issuers]: trust.issuers.join(''),
    [keys.credentialIssuers]: trust.credentialIssuers.join(''),
  }
}
