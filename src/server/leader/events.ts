/** Kubernetes Events, recorded by the leader on the objects that they are about: what happens to clusters, and which objects are broken. */
import {objectKeyOf} from '../../lib/manifest/kinds.js'
import {renderAddresses} from '../../lib/model/address.js'
import type {Change} from '../../lib/model/change.js'
import {type Cluster, dialledPort, downstreamPorts} from '../../lib/model/cluster.js'
import {rightToGroups} from '../../lib/model/endpoints.js'
import {messageOf} from '../../lib/model/errors.js'
import {type Fault, type Fleet, type ObjectKey, clusterOf, faultsBetween, isBroken, isServed} from '../../lib/model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner, objectNames} from '../../lib/model/names.js'
import type {ProxyReport} from '../../lib/model/report.js'
import {type Settings, defaultSettings} from '../../lib/model/settings.js'
import type {Clock} from '../../lib/ops/dependencies.js'
import {agingCredentials, applyCredential} from '../../lib/ops/credential-findings.js'
import {latestProxies, reportedIn} from '../../lib/ops/server-reports.js'
import {remarksOn} from '../../lib/ops/goatlas/remarks.js'
import {refusedOffer} from '../../lib/ops/rotation/offered.js'
import {unsignedReasons} from '../../lib/ops/signing.js'
import type {CommitConflict} from '../../lib/store/commit.js'
import type {ObjectEvent, StateStore} from '../../lib/store/store.js'
import {type Log, bounded} from '../log.js'
import {openMinuteBudget} from '../minute-budget.js'
import type {FleetUpdate} from '../fleet/current-fleet.js'
import {newsOfRecord} from '../fleet/record-news.js'

export interface EventRecorder {
  /** This server begins to lead: records what is broken, in Events that an earlier leader has recorded as a rule. */
  begin(fleet: Fleet): void
  changed(update: FleetUpdate): void
  /** Why nothing may be signed may have changed. */
  unsigned(fleet: Fleet): void
  /** A text for Thanos Query is too long. */
  tooLong(why: string): void
  /** The list of Alertmanagers may not be as it is in Kubernetes. */
  alertmanagers(why: string): void
  /** An object can't be written. */
  refused(refusal: CommitConflict): void
}

/** Events that are recorded on the settings, since the registration is deleted. */
const GONE: ReadonlySet<string> = new Set(['Removed', 'Suspended'])

/** When Envoys of more clusters than this connect, disconnect or refuse at once, a server is the cause, and no Event is recorded. */
const CLUSTERS_AT_ONCE = 10

/** More Events about one cluster, or one object, are left out for the rest of the minute: each is a write or two in the API server. */
export const EVENTS_PER_MINUTE = 10

/** An Event that can't be recorded is logged, and stops nothing. */
export function openEventRecorder(store: StateStore, log: Log, clock: Clock): EventRecorder {
  const budget = openMinuteBudget(EVENTS_PER_MINUTE, (about, events) => {
    log.warn('Events about one cluster or object are left out', {about, events})
  })

  /** What was recorded of Envoys that come with an old credential. */
  let aging: ReadonlySet<string> = new Set()

  function record(object: ObjectKey, event: ObjectEvent): void {
    store.recordEvent(object, event).catch((error: unknown) => {
      log.warn('can not record an Event', {object, reason: event.reason, error: messageOf(error)})
    })
  }

  /** What Envoys of a cluster, or those who edit its objects, can cause as often as they like. */
  function recordBounded(about: string, object: ObjectKey, event: ObjectEvent): void {
    if (budget.take(about)) record(object, event)
  }

  function recordFor(cluster: Owner, {type, reason, message}: News, {isNew}: {readonly isNew: boolean}): void {
    if (cluster !== OBSERVABILITY && !GONE.has(reason))
      recordBounded(cluster, objectKeyOf('registration', cluster), {type, reason, message: bounded(message), isNew})
    else recordBounded(cluster, objectKeyOf('settings'), {type, reason, message: bounded(`${cluster}: ${message}`), isNew})
  }

  function recordBroken({object, key, message}: Fault, {isNew}: {readonly isNew: boolean}): void {
    recordBounded(object, object, {
      type: 'Warning',
      reason: 'Broken',
      message: bounded(`${key}: ${message}. The last valid state stays in effect.`),
      isNew,
    })
  }

  /** On the settings, and on registrations: an operator whose new cluster gets no certificate looks there first. */
  function recordUnsigned(fleet: Fleet): void {
    const message = bounded(unsignedReasons(fleet, clock).join('; '))
    if (message === '') return
    const event = {type: 'Warning', reason: 'NotSigned', message, isNew: false} as const
    recordBounded(event.reason, objectKeyOf('settings'), event)
    // Counted apart: a change of one registration repeats it for all clusters that wait, and must not use up what else is recorded of them.
    for (const name of fleet.registrations.keys())
      if (!fleet.credentials.has(name) && isServed(fleet, name))
        recordBounded(`${event.reason} ${name}`, objectKeyOf('registration', name), event)
  }

  /** Once for each credential: the Event of an earlier leader is counted up. */
  function recordAging(fleet: Fleet): void {
    const present = new Map(
      agingCredentials(fleet, latestProxies(reportedIn(fleet)), clock.now()).map(finding => [finding.message, finding]),
    )
    for (const [text, {cluster = OBSERVABILITY}] of present) {
      if (aging.has(text)) continue
      const message = `${text}: ${applyCredential(cluster)}`
      recordFor(cluster, {type: 'Warning', reason: 'CredentialNotReplaced', message}, {isNew: false})
    }

    aging = new Set(present.keys())
  }

  function recordOffer(fleet: Fleet): void {
    const offer = refusedOffer(fleet, clock.now())
    if (offer === undefined) return
    const object = objectKeyOf('offeredRoot', offer.secret)
    recordBounded(object, object, {type: 'Warning', reason: 'NotTaken', message: bounded(offer.refused), isNew: false})
  }

  return {
    refused({object, error}) {
      record(object, {type: 'Warning', reason: 'Refused', message: bounded(`it can not be written: ${error.message}`), isNew: true})
    },

    tooLong(why) {
      // On the settings: the text may have no object yet, or one in a namespace where Atlas may not record Events.
      recordBounded('TooLong', objectKeyOf('settings'), {type: 'Warning', reason: 'TooLong', message: bounded(why), isNew: false})
    },

    alertmanagers(why) {
      recordBounded('Alertmanagers', objectKeyOf('settings'), {
        type: 'Warning',
        reason: 'Alertmanagers',
        message: bounded(why),
        isNew: false,
      })
    },

    unsigned: recordUnsigned,

    begin(fleet) {
      for (const fault of fleet.faults.values()) recordBroken(fault, {isNew: false})
      recordUnsigned(fleet)
      recordAging(fleet)
      recordOffer(fleet)
      // Written before this leader began, perhaps while there was none.
      for (const name of fleet.registrations.keys())
        for (const [owner, news] of newsOfNoEffect(undefined, fleet, name)) recordFor(owner, news, {isNew: false})
    },

    changed({before, after, changes}) {
      if (changes.some(({kind}) => kind === 'registration' || kind === 'authority')) recordUnsigned(after)
      if (changes.some(({kind}) => kind === 'offeredRoot')) recordOffer(after)
      const {broken, repaired} = faultsBetween(before, after)
      for (const [, fault] of broken) recordBroken(fault, {isNew: true})
      for (const [, {object, key}] of repaired)
        recordBounded(object, object, {type: 'Normal', reason: 'Repaired', message: `${key} can be read again`, isNew: true})
      for (const change of changes) for (const [owner, news] of newsOf(before, after, change)) recordFor(owner, news, {isNew: true})
      if (changes.some(({kind}) => kind === 'report' || kind === 'replicas' || kind === 'credential')) recordAging(after)
      if (!changes.some(({kind}) => kind === 'report' || kind === 'replicas')) return
      for (const news of newsOfProxies(proxiesOf(before), proxiesOf(after), after))
        if (news.length <= CLUSTERS_AT_ONCE) for (const [owner, one] of news) recordFor(owner, one, {isNew: true})
    },
  }
}

type News = Omit<ObjectEvent, 'isNew'>
type NewsOf = readonly (readonly [Owner, News])[]

/** What a change in the store means for a cluster. */
function newsOf(before: Fleet, after: Fleet, change: Change): NewsOf {
  if (change.kind === 'record') {
    const news = newsOfRecord(before.records.get(change.owner), change.value)
    return news === undefined ? [] : [[change.owner, news]]
  }

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
  return [
    ...newsOfNoEffect(was, after, change.name),
    ...(was === undefined || placeOf(was) === place ? [] : [[change.name, {type: 'Normal', reason: 'Moved', message: place}] as const]),
  ]
}

/** What in a registration has no effect, as far as it was not in the earlier one. */
function newsOfNoEffect(was: Cluster | undefined, fleet: Fleet, name: ClusterName): NewsOf {
  const {registrations, settings} = fleet
  const cluster = registrations.get(name)
  return cluster === undefined ? [] : [...newsOfRemarks(fleet, was, cluster), ...newsOfGroups(was, cluster, settings)]
}

/** One Event each, so that a remark has the same one under every leader. */
function newsOfRemarks(fleet: Fleet, was: Cluster | undefined, cluster: Cluster): NewsOf {
  const known = was === undefined ? [] : remarksOn(fleet, was)
  const fresh = remarksOn(fleet, cluster).filter(remark => !known.includes(remark))
  return fresh.map(message => [cluster.name, {type: 'Warning', reason: 'NoEffect', message}])
}

/** Groups that the settings do not list, when the registration is new in them. Atlas may have no right to write their endpoints. */
function newsOfGroups(was: Cluster | undefined, {name, groups}: Cluster, settings: Settings = defaultSettings): NewsOf {
  const listed = settings.groups
  const fresh = groups.filter(group => !listed.includes(group) && was?.groups.includes(group) !== true)
  if (fresh.length === 0) return []
  const needed = [...new Set([...listed, ...groups])].sort()
  const message = `not listed in the settings, so without an endpoints file and a DNS name: group ${fresh.join(', ')}; run atlas init --groups ${needed.join(',')}, and before that ${rightToGroups(settings, needed)}`
  return [[name, {type: 'Warning', reason: 'NoEffect', message}]]
}

function joined(fleet: Fleet, owner: ClusterName): string {
  const cluster = clusterOf(fleet, owner)
  const place = cluster === undefined ? '' : `; ${placeOf(cluster)}`
  return `its Envoy may join with the ADS credential in Secret ${objectNames.credential(owner)}${place}`
}

function placeOf(cluster: Cluster): string {
  if (cluster.addresses.length === 0)
    return `the observability Envoy connects to it once it has an address: atlas cluster add ${cluster.name} --address HOST`
  return `the observability Envoy connects to ${renderAddresses(cluster.addresses)}, port ${dialledPort(cluster, downstreamPorts.thanos)}`
}

/** The connected Envoys of each cluster, by the reports of the servers that are alive. */
type Connected = ReadonlyMap<Owner, readonly ProxyReport[]>

function proxiesOf({replicas = [], reports}: Fleet): Connected {
  const proxies = new Map<Owner, ProxyReport[]>()
  for (const proxy of replicas.flatMap(replica => reports.get(replica)?.report.proxies ?? []))
    proxies.set(proxy.cluster, [...(proxies.get(proxy.cluster) ?? []), proxy])
  return proxies
}

/** The first Envoys that have connected, the last that are gone, and new refusals; each a list of its own. */
function newsOfProxies(before: Connected, after: Connected, fleet: Fleet): readonly NewsOf[] {
  const came = [...after].filter(([owner]) => !before.has(owner))
  const went = [...before.keys()].filter(owner => !after.has(owner) && isServed(fleet, owner))
  const refused = [...after].flatMap(([owner, proxies]) => {
    const known = refusalsOf(before.get(owner) ?? [])
    return refusalsOf(proxies)
      .filter(text => !known.includes(text))
      .slice(0, 1)
      .map(message => [owner, {type: 'Warning', reason: 'EnvoyRefused', message}] as const)
  })
  return [
    came.map(([owner, [proxy]]) => [
      owner,
      {type: 'Normal', reason: 'EnvoyConnected', message: `${proxy?.id ?? 'its Envoy'} is connected`},
    ]),
    went.map(owner => [
      owner,
      {type: 'Warning', reason: 'EnvoyLost', message: 'no Envoy of this cluster is connected; one that still runs keeps its configuration'},
    ]),
    refused,
  ]
}

function refusalsOf(proxies: readonly ProxyReport[]): readonly string[] {
  return proxies.flatMap(({id, types}) => types.flatMap(({nack, type}) => (nack === undefined ? [] : [`${id} refused ${type}: ${nack}`])))
}
