/** The directory of `--request`: keys of mode 0600, and beside each the request that goes to the one who has the root's key. */
import path from 'node:path'
import type {Settings} from '../model/settings.js'
import {renderExtensions, requestCertificate} from '../pki/certificate-request.js'
import {type CertificateSpec, credentialIssuerSpec, issuerSpec} from '../pki/certificate-specs.js'
import type {IssuerPart} from '../pki/import-issuer.js'
import type {Signer} from '../pki/signer.js'
import {createInOwn} from './own-directory.js'
import {shellWord} from './text/shell.js'

/** Of one certificate: its request, what openssl is to put into the certificate, the certificate that is expected, and the key. */
export const requestFiles = {issuer: filesOf('issuer'), credentialIssuer: filesOf('credential-issuer')} as const satisfies Record<
  IssuerPart,
  object
>

function filesOf(name: string) {
  return {request: `${name}.csr`, extensions: `${name}.ext`, certificate: `${name}.pem`, key: `${name}-key.pem`}
}

export interface WrittenRequests {
  /** For people: what was written, and how it is signed. */
  readonly message: string
  readonly json: {readonly directory: string; readonly files: readonly string[]}
}

/**
 * @param then the command that takes the answers, without its directory
 * @throws AtlasError `conflict` where the directory has requests already, whose keys would be lost; `invalid` where other users could put
 * theirs in; `failed` where it cannot be written
 */
export async function writeRequests(
  directory: string,
  parts: readonly IssuerPart[],
  settings: Settings,
  {signer, then}: {readonly signer: Signer; readonly then: string},
): Promise<WrittenRequests> {
  const place = path.resolve(directory)
  const files = parts.flatMap(part => {
    const [names, spec] = [requestFiles[part], specs[part](settings)]
    const {request, key} = requestCertificate(spec, signer)
    return [
      {path: names.key, text: key.reveal()},
      {path: names.request, text: request},
      {path: names.extensions, text: renderExtensions(spec)},
    ]
  })
  const keys = parts.map(part => requestFiles[part].key)
  const ignored = await createInOwn(place, files, keys)
  const commands = parts.map(part => signCommand(requestFiles[part], specs[part](settings)))
  return {
    message: [
      `Written to ${place}, for this user alone:`,
      ...files.map(file => `  ${file.path}`),
      ...(ignored === undefined ? [] : [`  ${ignored}`]),
      '',
      `Take the files .csr and .ext to where the root's key is. The signer needs no private key (${keys.join(' and ')}): those stay here. There, with the root in ca.pem:`,
      '',
      ...commands,
      '',
      `Put each certificate beside its request, then: ${then} --certificate ${shellWord(place)}`,
    ].join('\n'),
    json: {directory: place, files: files.map(file => file.path)},
  }
}

/**
 * For people, after `--certificate`: the directory's keys are copies now.
 * @param hasBegun whether the certificates are in use; before that another one may have to be brought
 */
export function renderKeysLeft(directory: string, {hasBegun}: {readonly hasBegun: boolean}): string {
  const place = path.resolve(directory)
  return hasBegun
    ? `The private keys in ${place} are no longer needed there: delete this directory.`
    : `Once it has begun, the private keys in ${place} are no longer needed there: delete this directory then.`
}

const specs: Readonly<Record<IssuerPart, (settings: Settings) => CertificateSpec>> = {
  issuer: issuerSpec,
  credentialIssuer: credentialIssuerSpec,
}

/** As long as Atlas itself would make them last, if the root does. OpenSSL 1.1.1 needs -CAcreateserial where there is no ca.srl yet. */
export function signCommand(
  {request, extensions, certificate}: {readonly request: string; readonly extensions: string; readonly certificate: string},
  {lifetime}: CertificateSpec,
  root = 'ca',
): string {
  const days = Math.round(lifetime / 86_400)
  return `  openssl x509 -req -in ${request} -extfile ${extensions} -CA ${root}.pem -CAkey ${root}-key.pem -CAcreateserial -sha256 -days ${days} -out ${certificate}`
}
