/** The files beside a bootstrap: the ADS credential, and the two SDS files through which Envoy reads it anew whenever it is replaced. */
import {create, createRegistry, type MessageInitShape, toJson} from '@bufbuild/protobuf'
import {ApiVersion} from '../../gen/envoy/config/core/v3/config_source_pb.js'
import {type SdsSecretConfig, SdsSecretConfigSchema, SecretSchema} from '../../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {DiscoveryResponseSchema} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {envoyNames} from '../model/names.js'
import {pack} from './core.js'
import type {TlsSecrets} from './tls.js'

/**
 * Where the files are, below one directory; the first three are named as the keys of a Secret `kubernetes.io/tls`.
 * To be written in this order, and all before Envoy starts: it does not recover from a missing `ca.crt`, and ends without an SDS file
 * (docs/explanation/envoy.md#certificate-files). To replace one, write another beside it and rename.
 */
export const bootstrapPaths = {
  certificate: 'certs/tls.crt',
  key: 'certs/tls.key',
  roots: 'certs/ca.crt',
  sdsCredential: `sds/${envoyNames.bootstrap.credential}.json`,
  sdsRoots: `sds/${envoyNames.bootstrap.roots}.json`,
  bootstrap: 'envoy.json',
} as const

/** The text of the two SDS files, by path below the directory. They hold paths alone, no key. */
export function sdsFiles(directory: string): Readonly<Record<string, string>> {
  const watchedDirectory = {path: `${directory}/certs`}
  const at = (path: string) => ({specifier: {case: 'filename' as const, value: `${directory}/${path}`}})
  return {
    [bootstrapPaths.sdsCredential]: sdsFile({
      name: envoyNames.bootstrap.credential,
      type: {
        case: 'tlsCertificate',
        value: {certificateChain: at(bootstrapPaths.certificate), privateKey: at(bootstrapPaths.key), watchedDirectory},
      },
    }),
    [bootstrapPaths.sdsRoots]: sdsFile({
      name: envoyNames.bootstrap.roots,
      type: {case: 'validationContext', value: {trustedCa: at(bootstrapPaths.roots), watchedDirectory}},
    }),
  }
}

/** What the bootstrap's TLS context says of them. */
export function credentialSecrets(directory: string): TlsSecrets {
  return {
    own: fromFile(envoyNames.bootstrap.credential, directory, bootstrapPaths.sdsCredential),
    trust: fromFile(envoyNames.bootstrap.roots, directory, bootstrapPaths.sdsRoots),
  }
}

function sdsFile(secret: MessageInitShape<typeof SecretSchema>): string {
  const file = create(DiscoveryResponseSchema, {resources: [pack(SecretSchema, secret)]})
  return `${JSON.stringify(toJson(DiscoveryResponseSchema, file, {registry: createRegistry(SecretSchema), useProtoFieldName: true}), undefined, 2)}\n`
}

/**
 * Kubernetes swaps a Secret's files by renaming a folder: the folders are watched, not the files
 * (docs/explanation/envoy.md#certificate-files).
 */
function fromFile(name: string, directory: string, path: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, {
    name,
    sdsConfig: {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: {
        case: 'pathConfigSource',
        value: {path: `${directory}/${path}`, watchedDirectory: {path: `${directory}/sds`}},
      },
    },
  })
}
