/** What becomes of clusters and of broken objects, said by the leader beside the objects themselves: Kubernetes Events. */
import {renderAddresses} from '../../lib/model/address.js'
import type {OwnerRecord} from '../../lib/model/authority.js'
import type {Change} from '../../lib/model/change.js'
import {type Cluster, dialledPort, downstreamPorts} from '../../lib/model/cluster.js'
import {messageOf} from '../../lib/model/errors.js'
import {type Fault, type Fleet, type ObjectKey, clusterOf, faultsBetween, isRegistered, isBroken} from '../../lib/model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner, objectNames} from '../../lib/model/names.js'
import type {ProxyReport} from '../../lib/model/report.js'
import {whyUnsigned} from '../../lib/ops/reconcile.js'
import type {CommitConflict} from '../../lib/store/refused.js'
import type {Announcement, StateStore} from '../../lib/store/store.js'
import {type Log, bounded} from '../log.js'

export interface EventRecorder {
  /** What stands as it is when this server begins to lead: said before, as a rule. */
  begin(fleet: Fleet): void
  changed(before: Fleet, after: Fleet, changes: readonly Change[]): void
  /** An object can't be written. */
  refused(refusal: CommitConflict): void
}

/** Said beside the settings: the registration itself is not there any more. */
const GONE: ReadonlySet<string> = new Set(['Removed', 'Suspended'])

/** When proxies of more clusters than this come, go or refuse at once, it is the servers' doing, and not worth as many Events. */
const CLUSTERS_AT_ONCE = 10

/** Says beside objects what has become of them; failing to is logged and costs nothing else. */
export function openEventRecorder(store: StateStore, log: Log): EventRecorder {
  let proxies: Proxies = new Map()

  function say(object: ObjectKey, announcement: Announcement): void {
    store.announce(object, announcement).catch((error: unknown) => {
      log.warn('could not be said beside the object', {object, error: messageOf(error)})
    })
  }

  function sayOf(cluster: Owner, {type, reason, message}: News, {isNew}: {readonly isNew: boolean}): void {
    if (cluster !== OBSERVABILITY && !GONE.has(reason))
      say(`Service/${objectNames.registration(cluster)}`, {type, reason, message: bounded(message), isNew})
    else say(`ConfigMap/${objectNames.fleet}`, {type, reason, message: bounded(`${cluster}: ${message}`), isNew})
  }

  function sayBroken({object, key, message}: Fault, {isNew}: {readonly isNew: boolean}): void {
    say(object, {type: 'Warning', reason: 'Broken', message: bounded(`${key}: ${message}. What was known before stays in force.`), isNew})
  }

  /** Whoever registers a cluster that gets nothing looks at the registration first. */
  function sayUnsigned(fleet: Fleet): void {
    const message = whyUnsigned(fleet)
    if (message === undefined) return
    for (const name of fleet.registrations.keys())
      if (!fleet.credentials.has(name)) sayOf(name, {type: 'Warning', reason: 'NotSigned', message}, {isNew: false})
  }

  return {
    refused({object, error}) {
      say(object, {type: 'Warning', reason: 'Refused', message: bounded(`it can not be written: ${error.message}`), isNew: true})
    },

    begin(fleet) {
      proxies = proxiesOf(fleet)
      for (const fault of fleet.faults.values()) sayBroken(fault, {isNew: false})
      sayUnsigned(fleet)
    },

    changed(before, after, changes) {
      if (changes.some(({kind}) => kind === 'registration' || kind === 'authority')) sayUnsigned(after)
      const {broken, repaired} = faultsBetween(before, after)
      for (const [, fault] of broken) sayBroken(fault, {isNew: true})
      for (const [, {object, key}] of repaired)
        say(object, {type: 'Normal', reason: 'Mended', message: `${key} can be read again`, isNew: true})
      for (const change of changes) for (const [owner, news] of newsOf(before, after, change)) sayOf(owner, news, {isNew: true})
      if (!changes.some(({kind}) => kind === 'report' || kind === 'replicas')) return
      const known = proxies
      proxies = proxiesOf(after)
      for (const news of newsOfProxies(known, proxies, after))
        if (news.length <= CLUSTERS_AT_ONCE) for (const [owner, one] of news) sayOf(owner, one, {isNew: true})
    },
  }
}

type News = Omit<Announcement, 'isNew'>
type NewsOf = readonly (readonly [Owner, News])[]

/** What a change of the store says of a cluster. */
function newsOf(before: Fleet, after: Fleet, change: Change): NewsOf {
  if (change.kind === 'record') return newsOfRecord(change.owner, before.records.get(change.owner), change.value)
  if (change.kind === 'credential') {
    if (change.owner === OBSERVABILITY) return []
    const isFirst = !before.credentials.has(change.owner) && !isBroken(before, 'credential', change.owner)
    return change.value === undefined || !isFirst
      ? []
      : [[change.owner, {type: 'Normal', reason: 'Registered', message: joined(after, change.owner)}]]
  }

  if (change.kind !== 'registration' || change.value === undefined) return []
  const was = clusterOf(before, change.name)
  const place = placeOf(change.value)
  return was === undefined || placeOf(was) === place ? [] : [[change.name, {type: 'Normal', reason: 'Moved', message: place}]]
}

function joined(fleet: Fleet, owner: ClusterName): string {
  const cluster = clusterOf(fleet, owner)
  const place = cluster === undefined ? '' : `; ${placeOf(cluster)}`
  return `its Envoy may join with the ADS credential in Secret ${objectNames.credential(owner)}${place}`
}

function placeOf(cluster: Cluster): string {
  if (cluster.addresses.length === 0) return `nobody dials it before it has an address: atlas cluster add ${cluster.name} --address HOST`
  return `the observability Envoy dials ${renderAddresses(cluster.addresses)}, port ${dialledPort(cluster, downstreamPorts.thanos)}`
}

/** A record follows the registration: it says when that was lost, and when it came back. */
function newsOfRecord(owner: Owner, before: OwnerRecord | undefined, after: OwnerRecord | undefined): NewsOf {
  if (before?.registration === undefined || after === undefined) return []
  if (after.registration === undefined)
    return [[owner, {type: 'Normal', reason: 'Removed', message: 'removed for good: its certificates open nothing any more'}]]
  if (before.suspendedSince === after.suspendedSince) return []
  if (after.suspendedSince === undefined)
    return [[owner, {type: 'Normal', reason: 'Restored', message: 'it is registered again, with the certificates that it had'}]]
  const message = `its registration is gone since ${after.suspendedSince}: it is refused; registered again in time, it is restored`
  return [[owner, {type: 'Warning', reason: 'Suspended', message}]]
}

/** The connected proxies of each cluster, by what living servers say. */
type Proxies = ReadonlyMap<Owner, readonly ProxyReport[]>

function proxiesOf({replicas = [], reports}: Fleet): Proxies {
  const proxies = new Map<Owner, ProxyReport[]>()
  for (const proxy of replicas.flatMap(replica => reports.get(replica)?.report.proxies ?? []))
    proxies.set(proxy.cluster, [...(proxies.get(proxy.cluster) ?? []), proxy])
  return proxies
}

/** Who has come, who has gone, and who refuses what; each a list of its own. */
function newsOfProxies(before: Proxies, after: Proxies, fleet: Fleet): readonly NewsOf[] {
  const came = [...after].filter(([owner]) => !before.has(owner))
  const went = [...before.keys()].filter(owner => !after.has(owner) && isRegistered(fleet, owner))
  const refused = [...after].flatMap(([owner, proxies]) => {
    const known = refusalsOf(before.get(owner) ?? [])
    return refusalsOf(proxies)
      .filter(text => !known.includes(text))
      .slice(0, 1)
      .map(message => [owner, {type: 'Warning', reason: 'EnvoyRefused', message}] as const)
  })
  return [
    came.map(([owner, [proxy]]) => [owner, {type: 'Normal', reason: 'EnvoyConnected', message: `${proxy?.id ?? 'its Envoy'} has joined`}]),
    went.map(owner => [
      owner,
      {type: 'Warning', reason: 'EnvoyLost', message: 'no Envoy of it is connected any more; one that runs keeps what it has'},
    ]),
    refused,
  ]
}

function refusalsOf(proxies: readonly ProxyReport[]): readonly string[] {
  return proxies.flatMap(({id, types}) => types.flatMap(({nack, type}) => (nack === undefined ? [] : [`${id} refused ${type}: ${nack}`])))
}
