/**
 * The directory of `--request` while a rotation of the root waits: requests for issuers that stay, by the keys that they have in the store, and the
 * certificates that come back. Requests for new keys: request-files.ts.
 */
import {existsSync} from 'node:fs'
import path from 'node:path'
import {AtlasError, quote} from '../model/errors.js'
import type {Settings} from '../model/settings.js'
import type {BoundIssuer} from '../ops/rotation/brought-again.js'
import {requestAgain} from '../pki/certificate-request.js'
import {issuerSpec} from '../pki/certificate-specs.js'
import type {Outside} from '../pki/import-issuer.js'
import {readKey} from '../pki/read.js'
import type {Signer} from '../pki/signer.js'
import {textIn} from './flags/outside.js'
import {createInOwn, requireOwn} from './own-directory.js'
import {type WrittenRequests, requestFiles, signCommand} from './request-files.js'
import {shellWord} from './text/shell.js'

/** Of each issuer its files, and those of the root where it is signed. */
const againFiles = {
  issuer: {...requestFiles.issuer, root: 'ca'},
  nextIssuer: {request: 'next-issuer.csr', extensions: 'next-issuer.ext', certificate: 'next-issuer.pem', root: 'next-ca'},
} as const satisfies Record<BoundIssuer['part'], object>

/**
 * @param then the command that takes the answers, without its directory
 * @throws AtlasError as `writeRequests`
 */
export async function writeRequestsAgain(
  directory: string,
  issuers: readonly BoundIssuer[],
  settings: Settings,
  {signer, then}: {readonly signer: Signer; readonly then: string},
): Promise<WrittenRequests> {
  const place = path.resolve(directory)
  const spec = issuerSpec(settings)
  const files = issuers.flatMap(({part, present}) => {
    const {request, extensions} = requestAgain(present, spec, signer)
    return [
      {path: againFiles[part].request, text: request},
      {path: againFiles[part].extensions, text: extensions},
    ]
  })
  await createInOwn(place, files)
  const roots = issuers.map(({part, root}) => `the root ${quote(readKey(root).subject)} in ${againFiles[part].root}.pem`)
  return {
    message: [
      `Written to ${place}, for this user alone:`,
      ...files.map(file => `  ${file.path}`),
      '',
      'The issuer stays, with its key, which stays where it is: its certificate gets a new life. Take these files to where the key of the root is. There, with',
      `${roots.join(' and ')}:`,
      '',
      ...issuers.map(({part}) => signCommand(againFiles[part], spec, againFiles[part].root)),
      '',
      `Put ${issuers.length === 1 ? 'the certificate' : 'each certificate, or one of them,'} beside its request, then: ${then} --certificate ${shellWord(place)}`,
    ].join('\n'),
    json: {directory: place, files: files.map(file => file.path)},
  }
}

/** The certificates that have come back, one at least. @throws AtlasError `invalid` where there is none, or other users could have put it there */
export function certificatesAgain(directory: string, {anyAge}: {readonly anyAge: boolean}): readonly Outside[] {
  requireOwn(directory, '--certificate')
  const names = Object.values(againFiles).map(({certificate}) => certificate)
  const found = names.map(name => path.join(directory, name)).filter(file => existsSync(file))
  if (found.length === 0)
    throw new AtlasError('invalid', `--certificate: neither ${names.join(' nor ')} is in ${quote(directory)}`, {
      hint: 'put there what the root has signed; "atlas rotate --issuer --request DIR" prints the command',
    })
  return found.map(file => ({
    certificate: textIn(file, '--certificate'),
    key: undefined,
    name: `the certificate in ${quote(file)}`,
    anyAge,
  }))
}
