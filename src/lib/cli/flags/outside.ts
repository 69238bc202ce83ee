/** The flags that bring certificates that sign from outside, and reading their files. What is taken is decided in pki/import-issuer.ts. */
import {existsSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {Flags} from '@oclif/core'
import {AtlasError, accessHint, messageOf, quote} from '../../model/errors.js'
import {SecretText} from '../../model/secret.js'
import {type IssuerPart, type Outside, type OutsideAuthority, issuerParts} from '../../pki/import-issuer.js'
import {requireOwn} from '../own-directory.js'
import {requestFiles} from '../request-files.js'
import {type FlagsOf, refuseEmpty} from './common.js'

const helpGroup = 'OUTSIDE CERTIFICATE'

export const outsideFlags = {
  'ca-cert': Flags.string({
    helpGroup,
    description:
      'PEM file with a CA certificate that becomes the root, such as an intermediate of your company with a path length of 1 or more; the chain behind it may follow',
    helpValue: 'FILE',
  }),
  'ca-key': Flags.string({
    helpGroup,
    description: 'PEM file with its private key, without a passphrase; without it, bring both issuers too',
    helpValue: 'FILE',
    dependsOn: ['ca-cert'],
  }),
  request: Flags.string({
    helpGroup,
    description:
      'for a root that is kept offline: write keys and certificate requests for the issuers below it into this directory, and change nothing',
    helpValue: 'DIR',
    exclusive: ['ca-cert', 'certificate', 'issuer-cert', 'credential-issuer-cert', 'dry-run'],
  }),
  certificate: Flags.string({
    helpGroup,
    description: 'take the keys and the signed certificates from the directory of --request',
    helpValue: 'DIR',
    exclusive: ['issuer-cert', 'credential-issuer-cert'],
  }),
  'issuer-cert': Flags.string({
    helpGroup,
    description: 'PEM file with the certificate of the issuer, signed by the root; or, without --ca-cert, of the CA of both',
    helpValue: 'FILE',
    dependsOn: ['issuer-key'],
  }),
  'issuer-key': Flags.string({helpGroup, description: 'PEM file with its private key', helpValue: 'FILE', dependsOn: ['issuer-cert']}),
  'credential-issuer-cert': Flags.string({
    helpGroup,
    description: 'PEM file with the certificate of the credential issuer, signed by the root; or, without --ca-cert, of the CA of both',
    helpValue: 'FILE',
    dependsOn: ['credential-issuer-key'],
  }),
  'credential-issuer-key': Flags.string({
    helpGroup,
    description: 'PEM file with its private key',
    helpValue: 'FILE',
    dependsOn: ['credential-issuer-cert'],
  }),
}

const pairs = {
  issuer: ['issuer-cert', 'issuer-key'],
  credentialIssuer: ['credential-issuer-cert', 'credential-issuer-key'],
} as const satisfies Record<IssuerPart, readonly string[]>

/**
 * What is brought; undefined: nothing. With --yes certificates are taken that end soon.
 * @param parts the issuers that --certificate is to bring
 * @throws AtlasError `invalid` for a file that cannot be read, and for a directory in which other users could have put it
 */
export function outsideOf(
  flags: FlagsOf<typeof outsideFlags> & {readonly yes: boolean},
  parts: readonly IssuerPart[],
): OutsideAuthority | undefined {
  const {'ca-cert': file, 'ca-key': keyFile, certificate: directory} = flags
  refuseEmpty(flags, ['ca-cert', 'ca-key', 'certificate', 'request', ...Object.values(pairs).flat()])
  const read = (what: string, certificate: string, key: string | undefined): Outside => ({
    certificate: textIn(certificate, what),
    key: key === undefined ? undefined : new SecretText(textIn(key, what.replace(/-cert$/, '-key'))),
    name: `the certificate in ${quote(certificate)}`,
    anyAge: flags.yes,
  })
  if (directory !== undefined && file === undefined && parts.length > 1)
    throw new AtlasError('invalid', '--certificate needs the certificate of the root that has signed', {
      hint: 'name it with --ca-cert FILE',
    })
  if (directory !== undefined) requireOwn(directory, '--certificate')
  const issuers = issuerParts.flatMap(part => {
    const [certificateFlag, keyFlag] = pairs[part]
    if (flags[certificateFlag] !== undefined) return [[part, read(`--${certificateFlag}`, flags[certificateFlag], flags[keyFlag])] as const]
    if (directory === undefined || !parts.includes(part)) return []
    const files = requestFiles[part]
    requireAnswer(directory, files)
    return [[part, read('--certificate', path.join(directory, files.certificate), path.join(directory, files.key))] as const]
  })
  if (file === undefined && issuers.length === 0) return undefined
  return {...(file !== undefined && {root: read('--ca-cert', file, keyFile)}), ...Object.fromEntries(issuers)}
}

/** @throws AtlasError `invalid` for a directory that lacks a certificate, or the key that was written with its request */
function requireAnswer(
  directory: string,
  {certificate, key, request}: {readonly certificate: string; readonly key: string; readonly request: string},
): void {
  const lacks = (file: string): boolean => !existsSync(path.join(directory, file))
  const refuse = (what: string, hint: string): AtlasError => new AtlasError('invalid', `--certificate: ${what}`, {hint})
  if (!existsSync(directory)) throw refuse(`there is no directory ${quote(directory)}`, 'name the one that --request has written')
  if (lacks(key))
    throw refuse(
      `${quote(directory)} has no ${key}, the key that --request wrote`,
      'name the directory that --request has written; where the key is lost, begin again: --request with another directory',
    )
  if (lacks(certificate))
    throw refuse(
      `${quote(directory)} has no ${certificate}`,
      `put the certificate there under this name that the root has signed for the request ${request}`,
    )
}

/** @throws AtlasError `invalid` for a file that cannot be read */
export function textIn(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new AtlasError('invalid', `${flag}: cannot read ${quote(file)}: ${messageOf(error)}`, {hint: accessHint(error), cause: error})
  }
}
