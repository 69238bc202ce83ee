/**
 * Adopts what the 2021 program left in a namespace. Its root becomes Atlas's, with a new certificate. Its registrations are read as they
 * are, and not written until an operator changes them. `reconcile` makes everything else. The program's Envoys go on running beside
 * Atlas until each cluster has moved (docs/how-to/migrate-from-goatlas.md).
 */
import type {CertifiedKey} from '../../model/authority.js'
import type {Change} from '../../model/change.js'
import type {Cluster} from '../../model/cluster.js'
import {type Fault, type Fleet, type Subject, clustersOf} from '../../model/fleet.js'
import {parseSubject} from '../../model/kinds.js'
import {type ClusterName, parseObjectKey} from '../../model/names.js'
import {type Settings, defaultSettings} from '../../model/settings.js'
import {defaultStack, targetsOf} from '../../model/stack.js'
import {isRootOf2021, reissueRoot} from '../../pki/goatlas-root.js'
import {rootSpec} from '../../pki/certificate-specs.js'
import {readCertificates} from '../../pki/read.js'
import type {OpsDependencies} from '../dependencies.js'

/** What was adopted, and what of it an operator should check. */
export interface Adoption {
  readonly root: {
    readonly subject: string
    /** ISO 8601, UTC. */
    readonly notAfter: string
  }
  readonly clusters: readonly ClusterName[]
  /** Clusters with several replicas and no address for each of them: one was assumed. */
  readonly assumed: readonly ClusterName[]
  /** Registrations that cannot be read: they stay with the 2021 program. */
  readonly unread: readonly Fault[]
}

/** Whether the root is the 2021 program's, and not adopted yet. */
function isOf2021(fleet: Fleet): boolean {
  const root = fleet.authority.get('root')
  return root !== undefined && isRootOf2021(root)
}

/** Completes `whyUnsigned` (reconcile.ts): a root of 2021 signs nothing before an operator has adopted it. */
export function whyNotAdopted(fleet: Fleet): string | undefined {
  if (!isOf2021(fleet)) return undefined
  return 'the root (Secret atlas-ca) is the 2021 program\'s: run "atlas init" to adopt it; nothing is signed before'
}

/** The defaults of an adopted installation: the 2021 program, and all that it served, ran in namespace `monitoring`. */
export function standardSettings(fleet: Fleet, chosen: Pick<Partial<Settings>, 'namespace'>): Settings {
  if (!isOf2021(fleet)) return defaultSettings
  const namespace = chosen.namespace ?? 'monitoring'
  return {...defaultSettings, namespace, thanosNamespace: namespace}
}

/**
 * The changes that adopt an installation; none where there is no root of 2021, or it was adopted already.
 * @throws AtlasError `failed` where its root cannot be used any more
 */
export function planAdopt(fleet: Fleet, settings: Settings, dependencies: OpsDependencies): readonly Change[] {
  const root = fleet.authority.get('root')
  if (root === undefined || !isRootOf2021(root)) return []
  return [{kind: 'authority', part: 'root', value: reissueRoot(rootSpec(settings), root, dependencies.now(), dependencies.signer)}]
}

/** What the changes from `before` to `after` have adopted; undefined: nothing of 2021. */
export function adoptionIn(before: Fleet, after: Fleet): Adoption | undefined {
  const root = after.authority.get('root')
  if (root === undefined || !isOf2021(before)) return undefined
  const clusters = clustersOf(after)
  return {
    root: rootOf(root),
    clusters: clusters.map(({name}) => name),
    assumed: clusters.filter(isAssumed).map(({name}) => name),
    unread: [...after.faults].filter(([subject]) => isOfRegistration(subject)).map(([, fault]) => fault),
  }
}

/** A registration, or a Service whose name no cluster can have. */
function isOfRegistration(subject: Subject): boolean {
  const {kind, name} = parseSubject(subject)
  return kind === 'registration' || (kind === 'object' && parseObjectKey(name).kind === 'Service')
}

function rootOf(root: CertifiedKey): Adoption['root'] {
  const [facts] = readCertificates(root.certificate)
  return {subject: facts?.subject ?? '', notAfter: facts?.notAfter.toISOString() ?? ''}
}

function isAssumed({replicas, services}: Cluster): boolean {
  return replicas > 1 && services.thanos.host === targetsOf(defaultStack).thanos.host
}
