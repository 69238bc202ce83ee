/** Registers a downstream cluster, or changes its registration; the same call again changes nothing. */
import type {Address} from '../../model/address.js'
import type {OwnerRecord} from '../../model/authority.js'
import {type Change, reduceAll} from '../../model/change.js'
import {
  type Cluster,
  type DownstreamPort,
  type Pages,
  type NamedTarget,
  type ServiceTargets,
  acceptedPart,
  checkCluster,
  isPending,
  requireReachableCluster,
} from '../../model/cluster.js'
import type {EndpointTls} from '../../model/endpoint-tls.js'
import {AtlasError} from '../../model/errors.js'
import {type Fleet, clusterOf, isBroken} from '../../model/fleet.js'
import {type ClusterName, parseClusterName, parseNewClusterName, objectKey} from '../../model/names.js'
import {defaultPages, requirePageTargets} from '../../model/page.js'
import {requireFewTargets, sidecars, thanosEndpointsOf} from '../../model/thanos-target.js'
import type {StateStore} from '../../store/store.js'
import {type CommitOptions, type Committed, sameValue} from '../commit.js'
import {type Patience, waitForLeader} from '../ask-leader.js'
import {judgedOnce} from '../clock.js'
import {planReconcile} from '../reconcile.js'
import {noRenewals} from '../renewals.js'
import {isUnsignedReason, unsignedReasons} from '../signing.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation} from '../installation.js'
import {requireServed} from './list.js'

/** The parts of a registration that the caller names. All others keep their value, or take the default. */
export interface ClusterRequest {
  readonly addresses?: readonly Address[]
  readonly ports?: ReadonlyMap<DownstreamPort, number>
  readonly replicas?: number
  readonly services?: Partial<ServiceTargets>
  /** All of the named targets. */
  readonly targets?: ReadonlyMap<string, NamedTarget>
  /** TLS by target, `sidecars` for the sidecars; undefined as value: plaintext. */
  readonly tls?: ReadonlyMap<string | typeof sidecars, EndpointTls | undefined>
  readonly pages?: Partial<Omit<Pages, 'paths'>> & {readonly paths?: Partial<Pages['paths']>}
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
  const name = requireServed(fleet, isKnown ? known : parseNewClusterName(text))
  const present = fleet.registrations.get(name)
  const base = clusterOf(fleet, name) ?? fleet.records.get(name)?.registration ?? newCluster(name, defaults)
  const cluster = requirePageTargets(requireFewTargets(requireReachableCluster(checkCluster(withRequest(acceptedPart(base), request)))))
  return sameValue(present && acceptedPart(present), cluster) ? [] : [{kind: 'registration', name, value: cluster}]
}

/** Whether the leader has accepted the registration and issued a credential: it writes both into the record. */
function isAccepted(fleet: Fleet, cluster: Cluster): boolean {
  const record = fleet.records.get(cluster.name)
  const isOnRecord =
    sameValue(record?.registration, acceptedPart(cluster)) && record?.suspendedSince === undefined && hasValidCredential(record)
  // The Services are made after the Secret, and the caller may read them even without a right to read the Secret.
  return isOnRecord && (isPending(cluster) || isFirstServiceThere(fleet, cluster))
}

function isFirstServiceThere(fleet: Fleet, cluster: Cluster): boolean {
  const [first] = thanosEndpointsOf(cluster)
  return first === undefined || fleet.derived.has(objectKey('Service', first.name))
}

function hasValidCredential(record: OwnerRecord | undefined): boolean {
  return record?.credentials.some(({state}) => state === 'valid') === true
}

function newCluster(name: ClusterName, services: ServiceTargets): Cluster {
  return {
    name,
    addresses: [],
    ports: new Map(),
    replicas: 1,
    services,
    thanosHealth: 'grpc',
    targets: new Map(),
    pages: defaultPages,
    groups: [],
  }
}

function withRequest({thanosTls, ...cluster}: Cluster, {tls = new Map(), ...request}: ClusterRequest): Cluster {
  const {paths, ...pages} = request.pages ?? {}
  const targets = request.targets ?? cluster.targets
  const ofSidecars = tls.has(sidecars) ? tls.get(sidecars) : thanosTls
  for (const name of tls.keys())
    if (name !== sidecars && !targets.has(name))
      throw new AtlasError('invalid', `cluster "${cluster.name}" has no target "${name}" that could have TLS`, {
        hint: 'name the target with --thanos in the same command',
      })
  return {
    ...cluster,
    ...request,
    ...(ofSidecars && {thanosTls: ofSidecars}),
    services: {...cluster.services, ...request.services},
    targets: new Map([...targets].map(([name, target]) => [name, withKept(target, cluster.targets.get(name), name, tls)])),
    pages: {...cluster.pages, ...pages, paths: {...cluster.pages.paths, ...paths}},
  }
}

/** `--thanos` says neither how a target is checked nor its TLS: its annotations stay. */
function withKept(
  {tls, ...target}: NamedTarget,
  before: NamedTarget | undefined,
  name: string,
  requested: NonNullable<ClusterRequest['tls']>,
): NamedTarget {
  const chosen = requested.has(name) ? requested.get(name) : (tls ?? before?.tls)
  return {...target, health: before?.health ?? target.health, ...(chosen && {tls: chosen})}
}
