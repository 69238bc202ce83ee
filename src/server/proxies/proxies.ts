/** The proxies of this server: their open streams, what they have left unrepaired, and the latest denials; for /status and for the next stream of a node. */
import {clustersOf, isRemoved} from '../../lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../lib/model/names.js'
import type {Node} from '../../lib/model/node.js'
import {remember} from '../../lib/model/remember.js'
import type {AbsentNode, Leftover, ProxyReport, RefusalReport, UnrepairedReport} from '../../lib/model/report.js'
import {summarizeSession, unacknowledged} from '../../lib/xds/describe.js'
import type {Session, UnacknowledgedByType} from '../../lib/xds/session.js'
import {shortType} from '../../lib/xds/type-url.js'
import {credentialOf} from '../ads/admission.js'
import type {Stream} from '../ads/stream.js'
import type {ConnectedProxy} from '../cluster-metrics.js'
import type {CurrentFleet} from '../fleet/current-fleet.js'
import {bounded} from '../log.js'
import type {Denied} from '../mtls/denial.js'
import {openAbsentNodes} from './absent-nodes.js'
import {decodeLeftovers, encodeLeftovers, leftoversElsewhere, mergeReported, openLeftoverStore} from './leftovers.js'
import {openProxyReporter, withShortReasons} from './proxy-report.js'

export interface Proxies {
  opened(stream: Stream): void
  /** The stream's node is known now. */
  joined(stream: Stream): void
  /** Keeps what the stream leaves unrepaired. */
  closed(stream: Stream): void
  /** A connection or stream was not admitted. */
  denied(denied: Denied, peer: string, now: Date): void
  /** Takes over what an earlier process of this server's name has left, by its last report. */
  recall(): void
  /** What other streams of the node have left unrepaired, ended or open, of this server or another; the caller keeps it from now on. */
  takeUnrepaired(node: Node): UnacknowledgedByType | undefined
  readonly streams: () => Iterable<Stream>
  /** Whether a stream was opened just now, as after a restart, when all Envoys come back. */
  readonly isConnecting: () => boolean
  /** Of each open stream whose node is known: its cluster and its credential. */
  connected(): readonly ConnectedProxy[]
  /** Of each open stream whose node is known. */
  reports(): readonly ProxyReport[]
  /** The same, one by one. */
  reportsOneByOne(): Iterable<ProxyReport>
  /** Nodes that were connected to this server lately, and are connected to no server now. */
  absent(): readonly AbsentNode[]
  /** Owners that should have a proxy and have no open stream. */
  ownersWithout(): readonly Owner[]
  denials(): readonly RefusalReport[]
  unrepaired(): readonly UnrepairedReport[]
  /** All that is unrepaired, of ended and of open streams, for the other servers. */
  leftovers(): readonly Leftover[]
}

/** Denials that are kept; then the oldest of the cluster with most is dropped, so that one cluster does not push out the others'. */
const DENIALS_MAX = 100

/** Streams count as being opened for so long after the last one, milliseconds. */
const CONNECTING = 200

/** Names of each type that /status shows as unrepaired. */
const NAMES_MAX = 20

/** @param replica this server's name in the fleet's reports */
export function openProxies(fleet: Pick<CurrentFleet, 'served'>, replica: string, now: () => Date): Proxies {
  const streams = new Set<Stream>()
  const byNode = new Map<string, Set<Stream>>()
  const denials: RefusalReport[] = []
  const ended = openLeftoverStore()
  const absent = openAbsentNodes()
  const report = openProxyReporter(fleet)
  let openedAt = -Infinity

  function* reportsOneByOne(): Generator<ProxyReport, void> {
    for (const stream of streams)
      if (stream.node !== undefined) yield report(stream, stream.node, byNode.get(keyOf(stream.node))?.size ?? 1)
  }

  return {
    opened(stream) {
      openedAt = performance.now()
      streams.add(stream)
    },

    joined(stream) {
      if (stream.node === undefined) return
      const key = keyOf(stream.node)
      byNode.set(key, (byNode.get(key) ?? new Set()).add(stream))
      absent.returned(stream.node)
    },

    closed(stream) {
      streams.delete(stream)
      if (stream.node === undefined) return
      const equal = byNode.get(keyOf(stream.node))
      equal?.delete(stream)
      if (equal?.size === 0) {
        byNode.delete(keyOf(stream.node))
        absent.left(stream.node, now())
      }

      const left = leftBy(stream)
      if (left.size > 0) ended.keep(stream.node, left)
    },

    denied({reason, message, cluster}, peer, now) {
      denials.push({at: now.toISOString(), reason, message: bounded(message), peer, ...(cluster === undefined ? {} : {cluster})})
      if (denials.length > DENIALS_MAX) denials.splice(oldestOfMost(denials), 1)
    },

    recall() {
      const last = fleet.served().reports.get(replica)
      for (const leftover of last?.leftovers ?? []) ended.keep(leftover, decodeLeftovers([leftover]))
      if (last !== undefined) absent.recall(last, now())
    },

    takeUnrepaired(node) {
      const open = [...(byNode.get(keyOf(node)) ?? [])].map(stream => leftBy(stream))
      const all = mergeReported([ended.take(node), ...open, leftoversElsewhere(fleet.served(), replica, node)])
      return all.size === 0 ? undefined : all
    },

    streams: () => streams,
    isConnecting: () => performance.now() - openedAt < CONNECTING,

    connected: () =>
      [...streams].flatMap(({node, admitted}) =>
        node === undefined ? [] : [{cluster: node.cluster, credential: credentialOf(fleet.served(), admitted)}],
      ),

    reports: () => withShortReasons([...reportsOneByOne()]),
    reportsOneByOne,

    absent() {
      const {reports: others, replicas = []} = fleet.served()
      absent.drop(cluster => isRemoved(fleet.served(), cluster))
      const left = absent.entries(now())
      if (left.length === 0) return left
      const elsewhere = replicas.filter(name => name !== replica).flatMap(name => others.get(name)?.report.proxies ?? [])
      const connected = new Set([...byNode.keys(), ...elsewhere.map(proxy => keyOf(proxy))])
      return left.filter(node => !connected.has(keyOf(node)))
    },

    ownersWithout() {
      const present = new Set([...streams].map(({node}) => node?.cluster))
      const owners: readonly Owner[] = [OBSERVABILITY, ...clustersOf(fleet.served()).map(({name}) => name)]
      return owners.filter(owner => !present.has(owner))
    },

    denials: () => [...denials],

    unrepaired: () =>
      ended
        .entries()
        .map(([{cluster, id}, reported]) => ({
          cluster,
          id,
          names: Object.fromEntries(
            [...reported].map(([typeUrl, {sent, removed}]) => [shortType(typeUrl), [...sent, ...removed].slice(0, NAMES_MAX)]),
          ),
        })),

    leftovers() {
      // The streams of a removed cluster end after its removal, and nothing of it connects again.
      ended.drop(cluster => isRemoved(fleet.served(), cluster))
      const open = [...streams].flatMap(stream => (stream.node === undefined ? [] : [[stream.node, nackedBy(stream)] as const]))
      return encodeLeftovers([...ended.entries(), ...open])
    },
  }
}

/** The index of the oldest denial of the cluster that has most; those without a known cluster count as one. */
function oldestOfMost(denials: readonly RefusalReport[]): number {
  const counts = new Map<Owner | undefined, number>()
  for (const {cluster} of denials) counts.set(cluster, (counts.get(cluster) ?? 0) + 1)
  const [most] = [...counts].sort(([, a], [, b]) => b - a)
  return denials.findIndex(({cluster}) => cluster === most?.[0])
}

/** What the stream would leave if it ended now, with what it has taken over from earlier streams and not given to its session yet. */
function leftBy(stream: Stream): UnacknowledgedByType {
  return mergeReported([stream.before, unacknowledged(stream.session)])
}

/** Of an open stream only what was refused: what is merely unanswered the node lists itself when it comes back. */
function nackedBy(stream: Stream): UnacknowledgedByType {
  const nacked = nackedTypes(stream.session)
  if (nacked.size === 0) return new Map()
  return new Map([...leftBy(stream)].filter(([typeUrl]) => nacked.has(typeUrl)))
}

/** Remembered for as long as nothing happens on the stream: of a thousand streams, few differ from one report to the next. */
const nackedTypes = remember(
  (session: Session): ReadonlySet<string> =>
    new Set(summarizeSession(session).flatMap(({typeUrl, state}) => (state === 'nack' ? [typeUrl] : []))),
)

function keyOf({cluster, id}: Pick<Node, 'cluster' | 'id'>): string {
  return `${cluster}/${id}`
}
