/** Secrets as SDS delivers them. The only file of this room that reads a private key. */
import {create, type MessageInitShape} from '@bufbuild/protobuf'
import {SecretSchema} from '../../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import type {CertifiedKey, TrustBundle} from '../model/authority.js'
import {envoyNames} from '../model/names.js'
import type {UpstreamTls} from '../model/endpoint-tls.js'
import {toResource} from '../xds/resource.js'
import type {Resource} from '../xds/snapshot.js'
import {resourceOf} from './core.js'
import {remember} from '../model/remember.js'

/** `identity`: the node's certificate with its issuer, and its key. */
export const identitySecret: (identity: CertifiedKey) => Resource = remember(({certificate, key}: CertifiedKey) =>
  markable(envoyNames.identity, comment => ({
    case: 'tlsCertificate',
    value: {certificateChain: inline(comment + certificate), privateKey: inline(key.reveal())},
  })),
)

/** `trust`: the issuers in force, no roots: a retired issuer's certificates open nothing (docs/explanation/envoy.md#trust-anchors). */
export const trustSecret: (trust: TrustBundle) => Resource = remember((trust: TrustBundle) => validation(envoyNames.trust, trust.issuers))

/** `ads-trust`: the credential issuers in force, for the ADS listener alone: an ADS credential opens no other port. */
export const adsTrustSecret: (trust: TrustBundle) => Resource = remember((trust: TrustBundle) =>
  validation(envoyNames.adsTrust, trust.credentialIssuers),
)

/**
 * Certificates that are files beside the Envoy: the secrets hold paths and no key. Envoy reads the files again when a name in the directory
 * is replaced by renaming, as Kubernetes does with mounted Secrets.
 */
export function upstreamSecrets({directory, certificates}: UpstreamTls, name: string): readonly Resource[] {
  const watchedDirectory = {path: directory}
  const at = (file: string) => ({specifier: {case: 'filename' as const, value: `${directory}/${name}/${file}`}})
  const secret = (of: string, type: MessageInitShape<typeof SecretSchema>['type']): Resource =>
    resourceOf(SecretSchema, create(SecretSchema, {name: of, ...(type && {type})}))
  return [
    secret(envoyNames.upstreamAuthority(name), {case: 'validationContext', value: {trustedCa: at('ca.crt'), watchedDirectory}}),
    ...(certificates.get(name)?.isClient === true
      ? [
          secret(envoyNames.upstreamClient(name), {
            case: 'tlsCertificate',
            value: {certificateChain: at('tls.crt'), privateKey: at('tls.key'), watchedDirectory},
          }),
        ]
      : []),
  ]
}

/** Without name matchers of its own: they would widen those of the TLS contexts (docs/explanation/envoy.md#trust-anchors). */
function validation(name: string, anchors: readonly string[]): Resource {
  return markable(name, comment => ({case: 'validationContext', value: {trustedCa: inline(comment + bundle(anchors))}}))
}

/** A secret whose PEM text may begin with a comment, which every reader of PEM skips. */
function markable(name: string, content: (comment: string) => MessageInitShape<typeof SecretSchema>['type']): Resource {
  const secret = (comment: string): Resource => {
    const type = content(comment)
    return toResource(name, SecretSchema, create(SecretSchema, {name, ...(type && {type})}))
  }
  return {...secret(''), marked: mark => secret(`# ${mark}\n`).body}
}

function bundle(certificates: readonly string[]): string {
  return certificates.map(pem => `${pem.trimEnd()}\n`).join('')
}

function inline(text: string): {specifier: {case: 'inlineString'; value: string}} {
  return {specifier: {case: 'inlineString', value: text}}
}
