/**
 * Taking over what the 2021 program left in a namespace. Little is written for it: its registrations are read as they are and stay as
 * they are until somebody changes them, its root becomes Atlas's, with a certificate issued anew. Everything else follows from
 * `reconcile`. What it ran goes on beside Atlas until each cluster has moved (docs/how-to/migrate-from-goatlas.md).
 */
import type {CertifiedKey} from '../../model/authority.js'
import type {Change} from '../../model/change.js'
import type {Cluster} from '../../model/cluster.js'
import {type Fault, type Fleet, clustersOf} from '../../model/fleet.js'
import type {ClusterName} from '../../model/names.js'
import {type Settings, defaultSettings} from '../../model/settings.js'
import {defaultStack, targetsOf} from '../../model/stack.js'
import {isRootOf2021, reissueRoot} from '../../pki/goatlas-root.js'
import {rootSpec} from '../../pki/certificate-specs.js'
import {readCertificates} from '../../pki/read.js'
import type {OpsDependencies} from '../dependencies.js'

/** What was taken over, and what of it people should look at. */
export interface Adoption {
  readonly root: {
    readonly subject: string
    /** ISO 8601, UTC. */
    readonly notAfter: string
  }
  readonly clusters: readonly ClusterName[]
  /** With several replicas, none of which anybody has given an address of its own: one was assumed. */
  readonly assumed: readonly ClusterName[]
  /** Registrations that can't be read: they stay with the 2021 program. */
  readonly unread: readonly Fault[]
}

/** Whether the 2021 program's root stands here as that program made it. */
export function isOf2021(fleet: Fleet): boolean {
  const root = fleet.authority.get('root')
  return root !== undefined && isRootOf2021(root)
}

/** What an adopted installation has where nothing was chosen: that program ran in `monitoring`, as did all that it served. */
export function standardSettings(fleet: Fleet, chosen: Pick<Partial<Settings>, 'namespace'>): Settings {
  if (!isOf2021(fleet)) return defaultSettings
  const namespace = chosen.namespace ?? 'monitoring'
  return {...defaultSettings, namespace, thanosNamespace: namespace}
}

/**
 * The changes that adopt an installation: none where there is nothing of 2021, or it was adopted already.
 * @throws AtlasError `failed` where its root can't be used any more
 */
export function planAdopt(fleet: Fleet, settings: Settings, dependencies: OpsDependencies): readonly Change[] {
  const root = fleet.authority.get('root')
  if (root === undefined || !isRootOf2021(root)) return []
  return [{kind: 'authority', part: 'root', value: reissueRoot(rootSpec(settings), root, dependencies.now(), dependencies.signer)}]
}

/** What changes that were planned on `before` have taken over; undefined: nothing of 2021. */
export function adoptionIn(before: Fleet, after: Fleet): Adoption | undefined {
  const root = after.authority.get('root')
  if (root === undefined || !isOf2021(before)) return undefined
  const clusters = clustersOf(after)
  return {
    root: rootOf(root),
    clusters: clusters.map(({name}) => name),
    assumed: clusters.filter(isAssumed).map(({name}) => name),
    unread: [...after.faults].filter(([subject]) => /^(registration|object\/Service)\//.test(subject)).map(([, fault]) => fault),
  }
}

function rootOf(root: CertifiedKey): Adoption['root'] {
  const [facts] = readCertificates(root.certificate)
  return {subject: facts?.subject ?? '', notAfter: facts?.notAfter.toISOString() ?? ''}
}

function isAssumed({replicas, services}: Cluster): boolean {
  return replicas > 1 && services.thanos.host === targetsOf(defaultStack).thanos.host
}
