/** Registering a downstream cluster, or changing its registration: the same call, as often as one likes. */
import type {Address} from '../../model/address.js'
import type {OwnerRecord} from '../../model/authority.js'
import {type Change, reduceAll} from '../../model/change.js'
import {type Cluster, type DownstreamPort, type ServiceTargets, checkCluster, isPending} from '../../model/cluster.js'
import {type Fleet, clusterOf, isBroken} from '../../model/fleet.js'
import {type ClusterName, parseClusterName, parseNewClusterName, sidecarName, objectKey} from '../../model/names.js'
import type {StateStore} from '../../store/store.js'
import {type CommitOptions, type Committed, sameValue} from '../commit.js'
import {type Patience, waitForLeader} from '../ask-leader.js'
import {planReconcile} from '../reconcile.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation} from '../installation.js'

/** What was asked for; what is absent keeps what stands, or takes the default. */
export interface ClusterRequest {
  readonly addresses?: readonly Address[]
  readonly ports?: ReadonlyMap<DownstreamPort, number>
  readonly replicas?: number
  readonly services?: Partial<ServiceTargets>
  readonly groups?: readonly string[]
}

export interface AddResult extends Committed {
  readonly cluster: Cluster
  /** The registration before, where there was one; of a broken one the last that could be read. */
  readonly previous: Cluster | undefined
  /** It was suspended, and is back with the certificates that it had. */
  readonly restored: boolean
}

/**
 * Registers `text`, or brings its registration to what `request` says.
 * @param defaults the services of a cluster that has none yet
 * @throws AtlasError `invalid` for a name or a combination that can't be
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
      return store.signedBy === 'leader' ? changes : [...changes, ...planReconcile(reduceAll(fleet, changes), dependencies)]
    },
    options,
  )
  const name = parseClusterName(text)
  const cluster = committed.after.registrations.get(name)
  if (cluster === undefined) throw new Error(`cluster ${name} is not there after it was added`)
  if (store.signedBy === 'leader' && options.dryRun !== true && waitMs !== undefined)
    await waitForLeader(store, fleet => isTakenUp(fleet, cluster), `the credential of ${name} is not issued yet`, {waitMs, dependencies})
  const {before} = committed
  const previous = clusterOf(before, name)
  return {...committed, cluster, previous, restored: previous === undefined && before.records.get(name)?.registration !== undefined}
}

function planAdd(fleet: Fleet, text: string, {request, defaults}: {request: ClusterRequest; defaults: ServiceTargets}): readonly Change[] {
  const known = parseClusterName(text)
  const isKnown = fleet.registrations.has(known) || isBroken(fleet, 'registration', known) || fleet.records.has(known)
  const name = isKnown ? known : parseNewClusterName(text)
  const present = fleet.registrations.get(name)
  const cluster = checkCluster(
    withRequest(clusterOf(fleet, name) ?? fleet.records.get(name)?.registration ?? newCluster(name, defaults), request),
  )
  return sameValue(present, cluster) ? [] : [{kind: 'registration', name, value: cluster}]
}

/** The leader keeps on record what it has accepted, and each credential before it is handed out. */
function isTakenUp(fleet: Fleet, cluster: Cluster): boolean {
  const record = fleet.records.get(cluster.name)
  const isOnRecord = sameValue(record?.registration, cluster) && record?.suspendedSince === undefined && hasValidCredential(record)
  // Its Services are made after its Secret, and may be seen by those who may not see that.
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
