/** The files beside a bootstrap: the ADS credential, and two SDS files, through which Envoy reads a replaced credential again. */
import {create, createRegistry, type MessageInitShape, toJson} from '@bufbuild/protobuf'
import {ApiVersion} from '../../gen/envoy/config/core/v3/config_source_pb.js'
import {type SdsSecretConfig, SdsSecretConfigSchema, SecretSchema} from '../../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {DiscoveryResponseSchema} from '../../gen/envoy/service/discovery/v3/discovery_pb.js'
import {envoyNames} from '../model/names.js'
import {pack} from './core.js'
import type {TlsSecrets} from './tls.js'

/**
 * Paths of the files below one directory. The first three have the names of a `kubernetes.io/tls` Secret's keys.
 * Write all of them in this order before Envoy starts: Envoy doesn't recover from a missing `ca.crt`, and exits where an SDS file is
 * missing (docs/explanation/envoy.md#certificate-files). To replace a file, write the new one beside it and rename.
 */
export const bootstrapPaths = {
  certificate: 'certs/tls.crt',
  key: 'certs/tls.key',
  roots: 'certs/ca.crt',
  sdsCredential: `sds/${envoyNames.bootstrap.credential}.json`,
  sdsRoots: `sds/${envoyNames.bootstrap.roots}.json`,
  bootstrap: 'envoy.json',
} as const

/** The folder of certificates for Thanos endpoints with TLS, which no command of Atlas writes: a folder for each name. */
export const UPSTREAM_DIRECTORY = 'upstream'

/** The Unix socket of the admin pages below the same directory. Envoy makes it when it starts, and replaces one that is left over. */
export const ADMIN_SOCKET = 'admin.sock'

/** The text of the two SDS files, by path below the directory. They hold paths, no key. */
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

/** These files as the secrets of the bootstrap's TLS context. */
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
 * Envoy watches the folders, not the files, because Kubernetes replaces a Secret's files by renaming a folder
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
