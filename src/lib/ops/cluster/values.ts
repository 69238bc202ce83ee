/** What a cluster's Envoy needs to join: Helm values without a key, the Secret with the key, or an Envoy bootstrap with its files. */
import {type BootstrapOptions, buildBootstrap} from '../../envoy/bootstrap.js'
import {bootstrapPaths, sdsFiles} from '../../envoy/credential-files.js'
import {type ReleaseFormat, renderCredential, renderRelease, renderSecrets} from '../../manifest/formats.js'
import {defaultRelease} from '../../manifest/release.js'
import {valuesOf} from '../../manifest/values.js'
import type {Credential} from '../../model/authority.js'
import {AtlasError} from '../../model/errors.js'
import {type Fleet, dialledAddresses, faultOf} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import type {Settings} from '../../model/settings.js'
import type {StateStore} from '../../store/store.js'
import {loadInstallation} from '../installation.js'
import {requireCluster, requireServed} from './list.js'

/** A file to write: `path` below the output directory. In an order in which Envoy may find them appear. */
export interface OutputFile {
  readonly path: string
  readonly text: string
}

/** The forms in which an owner's Envoy can be given what it needs. */
export interface Joining {
  readonly owner: Owner
  /** The default namespace of its Envoy; the observability Envoy runs in Atlas's own namespace. */
  readonly namespace: string
  /** Helm values for chart `envoy`: no key in them. */
  values(): Readonly<Record<string, unknown>>
  /** The object by which a GitOps tool releases the chart with these values; no key in it. */
  release(format: ReleaseFormat): string
  /** The Secret with the key, for a namespace of the cluster that it is for. */
  secret(namespace: string): string
  /** The same, and the Secret with the values. */
  secrets(namespace: string): string
  /** A bootstrap with its files, one of which is the key. */
  bootstrap(options: Omit<BootstrapOptions, 'owner'>): readonly OutputFile[]
}

/**
 * @throws AtlasError `not-found` for a cluster that is not there, `failed` where its credential is not issued yet or cannot be read
 */
export async function joining(store: StateStore, text: string): Promise<Joining> {
  const {fleet, settings: stored} = await loadInstallation(store)
  const settings = {...stored, addresses: dialledAddresses(fleet)}
  const owner = text === OBSERVABILITY ? OBSERVABILITY : requireCluster(fleet, text)
  return {
    owner,
    namespace: owner === OBSERVABILITY ? settings.namespace : defaultRelease.namespace,
    values: () => {
      requireAddress(settings, owner)
      return valuesOf(settings, owner)
    },
    release: format => {
      requireAddress(settings, owner)
      return renderRelease(settings, owner, format)
    },
    secret: namespace => renderCredential(owner, credentialOf(fleet, owner), namespace),
    secrets: namespace => {
      requireAddress(settings, owner)
      return renderSecrets(settings, owner, credentialOf(fleet, owner), namespace)
    },
    bootstrap: options => bootstrapFiles(settings, credentialOf(fleet, owner), {...options, owner}),
  }
}

/**
 * Certificates first, then the files that name them: Envoy does not recover from the other order
 * (docs/explanation/envoy.md#certificate-files).
 */
function bootstrapFiles(settings: Settings, credential: Credential, options: BootstrapOptions): readonly OutputFile[] {
  requireAddress(settings, options.owner)
  const sds = Object.entries(sdsFiles(options.directory)).map(([path, text]) => ({path, text}))
  return [
    {path: bootstrapPaths.roots, text: credential.roots},
    {path: bootstrapPaths.certificate, text: credential.certificate},
    {path: bootstrapPaths.key, text: credential.key.reveal()},
    ...sds,
    {path: bootstrapPaths.bootstrap, text: buildBootstrap(settings, options)},
  ]
}

function credentialOf(fleet: Fleet, owner: Owner): Credential {
  const fault = faultOf(fleet, 'credential', owner)
  if (fault !== undefined)
    throw new AtlasError(
      'failed',
      `the ADS credential of ${owner} cannot be read: ${fault.source ?? fault.object}, ${fault.key}: ${fault.message}`,
      {
        hint: `fix it there, or delete that object and run ${owner === OBSERVABILITY ? '"atlas init"' : `"atlas cluster add ${owner}"`} again to get a new credential`,
      },
    )
  requireServed(fleet, owner)
  const credential = fleet.credentials.get(owner)
  if (credential === undefined)
    throw new AtlasError('failed', `there is no ADS credential for ${owner} yet`, {
      hint: owner === OBSERVABILITY ? 'run "atlas init" again' : `run "atlas cluster add ${owner}" again, or start "atlas serve"`,
    })
  return credential
}

function requireAddress(settings: Settings, owner: Owner): void {
  if (owner === OBSERVABILITY || settings.addresses.length > 0) return
  throw new AtlasError('failed', 'the address at which downstream Envoys connect to the observability Envoy is not set', {
    hint: 'run "atlas init --address HOST" with its IP address or DNS name',
  })
}
