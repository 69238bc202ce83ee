/** Registers a downstream cluster, or changes its registration; the same call again changes nothing. */
import type {Address} from '../../model/address.js'
import type {OwnerRecord} from '../../model/authority.js'
import {type Change, reduceAll} from '../../model/change.js'
import {
  type Cluster,
  type DownstreamPort,
  type ServiceTargets,
  checkCluster,
  isPending,
  requireReachableCluster,
} from '../../model/cluster.js'
import {type Fleet, clusterOf, isBroken} from '../../model/fleet.js'
import {type ClusterName, parseClusterName, parseNewClusterName, sidecarName, objectKey} from '../../model/names.js'
import type {StateStore} from '../../store/store.js'
import {type CommitOptions, type Committed, sameValue} from '../commit.js'
import {type Patience, waitForLeader} from '../ask-leader.js'
import {judgedOnce} from '../clock.js'
import {planReconcile} from '../reconcile.js'
import {noRenewals} from '../renewals.js'
import {isUnsignedReason, unsignedReasons} from '../signing.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation} from '../installation.js'

/** The parts of a registration that the caller names. All others keep their value, or take the default. */
export interface ClusterRequest {
  readonly addresses?: readonly Address[]
  readonly ports?: ReadonlyMap<DownstreamPort, number>
  readonly replicas?: number
  readonly services?: Partial<ServiceTargets>
  readonly groups?: readonly string[]
}

export interface AddResult extends Committed {
  readonly cluster: Cluster
  /** The registration before; of a broken registration, the last one that could be read. */
  readonly previous: Cluster | undefined
  /** Whether it was suspended before; it keeps its certificates. */
  readonly restored: boolean
  /** Why certificates that it needs are not issued, where the caller may know; a sentence each. */
  readonly unsigned: readonly string[]
}

/**
 * Registers the cluster `text`, or changes its registration as `request` names.
 * @param defaults the services of a cluster that has none yet
 * @throws AtlasError `invalid` for a name or a combination that is not allowed
 */
export async function addCluster(
  store: StateStore,
  text: string,
  {request, defaults}: {request: ClusterRequest; defaults: ServiceTargets},
  dependencies: OpsDependencies,
  {waitMs, ...options}: CommitOptions & Partial<Patience> = {},
): Promise<AddResult> {
  const committed = await changeInstallation(
    store,
    fleet => {
      const changes = planAdd(fleet, text, {request, defaults})
      return store.signedBy === 'leader'
        ? changes
        : [...changes, ...planReconcile(reduceAll(fleet, changes), judgedOnce(dependencies, store, fleet), {renewals: noRenewals})]
    },
    options,
  )
  const name = parseClusterName(text)
  const cluster = committed.after.registrations.get(name)
  if (cluster === undefined) throw new Error(`cluster ${name} is not there after it was added`)
  if (store.signedBy === 'leader' && options.dryRun !== true && waitMs !== undefined)
    await waitForLeader(store, fleet => isAccepted(fleet, cluster), `the credential of ${name} is not issued yet`, {
      ...{waitMs, dependencies, isFutile: isUnsignedReason},
    })
  const {before} = committed
  const previous = clusterOf(before, name)
  return {
    ...committed,
    cluster,
    previous,
    restored: previous === undefined && before.records.get(name)?.registration !== undefined,
    // Where the leader signs, the caller may have no right to read the certificates that sign.
    unsigned: store.signedBy === 'leader' ? [] : unsignedReasons(committed.after, judgedOnce(dependencies, store, committed.before)),
  }
}

function planAdd(fleet: Fleet, text: string, {request, defaults}: {request: ClusterRequest; defaults: ServiceTargets}): readonly Change[] {
  const known = parseClusterName(text)
  const isKnown = fleet.registrations.has(known) || isBroken(fleet, 'registration', known) || fleet.records.has(known)
  const name = isKnown ? known : parseNewClusterName(text)
  const present = fleet.registrations.get(name)
  const base = clusterOf(fleet, name) ?? fleet.records.get(name)?.registration ?? newCluster(name, defaults)
  const cluster = requireReachableCluster(checkCluster(withRequest(base, request)))
  return sameValue(present, cluster) ? [] : [{kind: 'registration', name, value: cluster}]
}

/** Whether the leader has accepted the registration and issued a credential: it writes both into the record. */
function isAccepted(fleet: Fleet, cluster: Cluster): boolean {
  const record = fleet.records.get(cluster.name)
  const isOnRecord = sameValue(record?.registration, cluster) && record?.suspendedSince === undefined && hasValidCredential(record)
  // The Services are made after the Secret, and the caller may read them even without a right to read the Secret.
  return isOnRecord && (isPending(cluster) || fleet.derived.has(objectKey('Service', sidecarName(cluster.name, 0))))
}

function hasValidCredential(record: OwnerRecord | undefined): boolean {
  return record?.credentials.some(({state}) => state === 'valid') === true
}

function newCluster(name: ClusterName, services: ServiceTargets): Cluster {
  return {name, addresses: [], ports: new Map(), replicas: 1, services, groups: []}
}

function withRequest(cluster: Cluster, request: ClusterRequest): Cluster {
  return {...cluster, ...request, services: {...cluster.services, ...request.services}}
}
