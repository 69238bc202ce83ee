/** Certificates with keys in Secrets: of signers, the ADS server, ADS credentials, clients, and the entries of the identity shards. */
import {type CertifiedKey, type Credential, hasKey, keptElsewhere} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import {labels, objectNames} from '../model/names.js'
import {SecretText} from '../model/secret.js'
import {parseCertificates} from '../pki/pem.js'
import {readKey} from '../pki/read.js'
import type {Target} from './layout.js'
import {type Manifest, encodeBase64, frameOf, secretData, secretText} from './manifest.js'
import {at} from './path.js'

/** Keys of the Secrets that sign, as in 2021. */
export const signerKeys = {certificate: 'ca.pem', key: 'ca-key.pem'} as const
/** Keys of `kubernetes.io/tls` Secrets. */
export const tlsKeys = {certificate: 'tls.crt', key: 'tls.key', roots: 'ca.crt'} as const

/** The key of a root may be missing: it is kept offline then. @throws AtlasError `invalid` unless both decode and belong together */
export function decodeSigner(manifest: Manifest): CertifiedKey {
  const isRoot = manifest.metadata.name === objectNames.root || manifest.metadata.name === objectNames.nextRoot
  const isAlone = isRoot && (secretText(manifest, signerKeys.key) ?? '').trim() === ''
  const pair = isAlone ? {certificate: required(manifest, signerKeys.certificate), key: keptElsewhere} : pairIn(manifest, signerKeys)
  return checked(pair, `data.${signerKeys.certificate}`)
}

/** @throws AtlasError `invalid` unless both decode and belong together */
export function decodeServer(manifest: Manifest): CertifiedKey {
  return checked(pairIn(manifest, tlsKeys), `data.${tlsKeys.certificate}`)
}

/** @throws AtlasError `invalid` */
export function decodeCredential(manifest: Manifest): Credential {
  const roots = required(manifest, tlsKeys.roots)
  at(`data.${tlsKeys.roots}`, () => parseCertificates(roots, tlsKeys.roots))
  return checked({...pairIn(manifest, tlsKeys), roots}, `data.${tlsKeys.certificate}`)
}

/**
 * The certificate of a client of the internal ports. One that is no longer wanted is deleted, so it must be Atlas's.
 * @throws AtlasError `invalid`
 */
export function decodeClient(manifest: Manifest): Credential {
  const owner = manifest.metadata.labels?.[labels.managedBy]
  at(`metadata.labels["${labels.managedBy}"]`, () => {
    if (owner === 'atlas') return
    throw new AtlasError(
      'invalid',
      'this Secret is not one that Atlas made, though it has the name of one; remove it, or rename the client',
    )
  })
  return decodeCredential(manifest)
}

export function encodeSigner(signer: CertifiedKey, target: Target): Manifest {
  // The key of a former root is not the key of this one.
  const key = hasKey(signer) ? signer.key.reveal() : undefined
  return encodeSecret(target, 'Opaque', {[signerKeys.certificate]: signer.certificate, [signerKeys.key]: key})
}

/** With the roots beside the pair, where it has any. */
export function encodeTls({certificate, key, roots}: CertifiedKey & Partial<Credential>, target: Target): Manifest {
  const pair = {[tlsKeys.certificate]: certificate, [tlsKeys.key]: key.reveal()}
  return encodeSecret(target, 'kubernetes.io/tls', roots === undefined ? pair : {...pair, [tlsKeys.roots]: roots})
}

/** A shard's entry: private key, leaf, issuer, as one PEM text. */
export function renderIdentity(identity: CertifiedKey): string {
  return `${identity.key.reveal().trimEnd()}\n${identity.certificate}`
}

/** @throws AtlasError `invalid`; never with a key in its text */
export function parseIdentity(text: string, place: string): CertifiedKey {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z ]{1,40})-----[^-]*-----END \1-----\r?\n?/g)].map(match => ({
    label: match[1] ?? '',
    text: match[0],
  }))
  // A block that is cut off must not be ignored: a chain would lose its issuer.
  const isWhole = !blocks.reduce((rest, block) => rest.replace(block.text, ''), text).includes('-----')
  const keys = blocks.filter(block => block.label.endsWith('PRIVATE KEY'))
  const certificates = blocks.filter(block => block.label === 'CERTIFICATE')
  const [key] = keys
  return at(place, () => {
    if (!isWhole) throw new AtlasError('invalid', 'it must be one private key and its certificates in PEM; a block in it is not whole')
    if (key === undefined || keys.length > 1 || certificates.length === 0 || keys.length + certificates.length < blocks.length)
      throw new AtlasError(
        'invalid',
        `it must be one private key and its certificates in PEM; it has ${keys.length} keys and ${certificates.length} certificates`,
      )
    return checked({certificate: certificates.map(block => block.text).join(''), key: new SecretText(key.text)}, place)
  })
}

/** `texts` in place of what the Secret held of them, which goes where there is none; keys that aren't Atlas's stay. */
function encodeSecret({existing, name, namespace}: Target, type: string, texts: Readonly<Record<string, string | undefined>>): Manifest {
  const {stringData: _, ...frame} = frameOf(existing, ['Secret', name], namespace)
  const own = Object.entries(texts).map(([key, text]) => [key, text === undefined ? undefined : encodeBase64(text)] as const)
  const all: Readonly<Record<string, string | undefined>> = {...secretData(existing), ...Object.fromEntries(own)}
  const data = Object.fromEntries(Object.entries(all).flatMap(([key, text]) => (text === undefined ? [] : [[key, text]])))
  return {...frame, type: existing?.type ?? type, data}
}

function pairIn(manifest: Manifest, keys: typeof signerKeys | typeof tlsKeys): CertifiedKey {
  return {certificate: required(manifest, keys.certificate), key: new SecretText(required(manifest, keys.key))}
}

function checked<T extends CertifiedKey>(pair: T, place: string): T {
  return at(place, () => {
    const {hasKey: isHere, keyMatches} = readKey(pair, 'the certificate')
    if (isHere && !keyMatches) throw new AtlasError('invalid', 'the private key is not the one of the certificate beside it')
    return pair
  })
}

function required(manifest: Manifest, key: string): string {
  return at(`data.${key}`, () => {
    const text = secretText(manifest, key)
    if (text === undefined || text.trim() === '') throw new AtlasError('invalid', 'it must hold PEM text; there is nothing')
    return text
  })
}
