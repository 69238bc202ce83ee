/** What the server knows of its proxies, kept for `/status`: open streams, who was refused, what was refused and is not repaired. */
import {identitySecret} from '../../lib/envoy/secret.js'
import {type Fleet, clustersOf} from '../../lib/model/fleet.js'
import {OBSERVABILITY, type Owner, envoyNames} from '../../lib/model/names.js'
import type {Node} from '../../lib/model/node.js'
import type {Leftover, ProxyReport, RefusalReport, TypeReport, UnrepairedReport} from '../../lib/model/report.js'
import {readKey} from '../../lib/pki/read.js'
import {type TypeDescription as SessionTypeReport, acknowledgedVersion, describeSession, unacknowledged} from '../../lib/xds/describe.js'
import type {Note} from '../../lib/xds/note.js'
import type {UnacknowledgedByType} from '../../lib/xds/session.js'
import {isServedType, typeUrls} from '../../lib/xds/type-url.js'
import {type Denied, credentialOf} from '../ads/admission.js'
import type {Stream} from '../ads/stream.js'
import {bounded} from '../log.js'

export interface Proxies {
  opened(stream: Stream): void
  /** The stream's node is known now. */
  joined(stream: Stream): void
  noted(stream: Stream, note: Note): void
  /** Keeps what the stream leaves unrepaired. */
  closed(stream: Stream): void
  refused(refusal: Denied, peer: string, now: Date): void
  /** What this server's life before this one has left: it is told, and given to the nodes, as if this one had seen it. */
  recall(leftovers: readonly Leftover[]): void
  /** What other streams of a node have left unrepaired, ended or still open. What is handed out is the taker's to keep. */
  takeUnrepaired(node: Node): UnacknowledgedByType | undefined
  streams(): Iterable<Stream>
  /** Each open stream whose node is known. */
  proxies(fleet: Fleet): readonly ProxyReport[]
  /** Whoever should have a proxy and has no open stream. */
  withoutProxy(fleet: Fleet): readonly Owner[]
  refusals(): readonly RefusalReport[]
  unrepaired(): readonly UnrepairedReport[]
  /** All that was refused and is not repaired, by streams that have ended and by open ones. */
  leftovers(): readonly Leftover[]
}

/** The latest refusals that are shown. */
const REFUSALS_MAX = 100

/** Nodes of one cluster whose unrepaired NACKs are kept: nobody pushes others out by making up ids. */
const UNREPAIRED_PER_CLUSTER = 64

const NAMES_MAX = 20

/** Of the types and nodes whose leftovers are told to other replicas; and of names in each. */
const LEFTOVERS_MAX = 1000
const LEFT_NAMES_MAX = 2000
/** Characters of names that one cluster may leave. */
const LEFT_BYTES_MAX = 16_384

/** Gathers what streams report; keeps what is not repaired over their end, bounded for each cluster. */
export function openProxies(): Proxies {
  const streams = new Set<Stream>()
  const refusals: RefusalReport[] = []
  /** By cluster and id. */
  const named = new Map<string, Set<Stream>>()
  const kept = new Map<Owner, Map<string, UnacknowledgedByType>>()
  const nackNames = new WeakMap<Stream, Map<string, readonly string[]>>()
  const leaves = new Map<Owner, ReadonlyMap<string, string>>()

  function keep(node: Pick<Node, 'cluster' | 'id'>, reported: UnacknowledgedByType): void {
    const ofCluster = kept.get(node.cluster) ?? new Map<string, UnacknowledgedByType>()
    kept.set(node.cluster, ofCluster)
    const before = ofCluster.get(node.id)
    ofCluster.delete(node.id)
    ofCluster.set(node.id, merged([before, reported]))
    const [oldest] = ofCluster.keys()
    if (ofCluster.size > UNREPAIRED_PER_CLUSTER && oldest !== undefined) ofCluster.delete(oldest)
  }

  /** Ends of the present identity and of those before it that a proxy may still run with. */
  function leavesOf(fleet: Fleet, owner: Owner): ReadonlyMap<string, string> {
    const before = leaves.get(owner) ?? new Map<string, string>()
    const identity = fleet.identities.get(owner)
    if (identity === undefined) return before
    const {version} = identitySecret(identity)
    if (before.has(version)) return before
    const after = new Map([...before, [version, readKey(identity).notAfter.toISOString()] as const].slice(-4))
    leaves.set(owner, after)
    return after
  }

  return {
    opened(stream) {
      streams.add(stream)
    },

    joined(stream) {
      if (stream.node === undefined) return
      const key = keyOf(stream.node)
      named.set(key, (named.get(key) ?? new Set()).add(stream))
    },

    noted(stream, note) {
      const names = nackNames.get(stream) ?? new Map<string, readonly string[]>()
      if (note.kind === 'nacked') nackNames.set(stream, names.set(note.typeUrl, [...note.names, ...note.removed].slice(0, NAMES_MAX)))
      if (note.kind === 'repaired') names.delete(note.typeUrl)
    },

    closed(stream) {
      streams.delete(stream)
      if (stream.node === undefined) return
      const equal = named.get(keyOf(stream.node))
      equal?.delete(stream)
      if (equal?.size === 0) named.delete(keyOf(stream.node))
      const left = merged([stream.before, unacknowledged(stream.session)])
      if (left.size > 0) keep(stream.node, left)
    },

    refused({reason, message, cluster}, peer, now) {
      refusals.push({at: now.toISOString(), reason, message: bounded(message), peer, ...(cluster === undefined ? {} : {cluster})})
      if (refusals.length > REFUSALS_MAX) refusals.shift()
    },

    recall(leftovers) {
      for (const leftover of leftovers) keep(leftover, reportedBy([leftover]))
    },

    takeUnrepaired(node) {
      const ofCluster = kept.get(node.cluster)
      const left = [
        ofCluster?.get(node.id),
        ...[...(named.get(keyOf(node)) ?? [])].flatMap(stream => [stream.before, unacknowledged(stream.session)]),
      ]
      ofCluster?.delete(node.id)
      if (ofCluster?.size === 0) kept.delete(node.cluster)
      const all = merged(left)
      return all.size === 0 ? undefined : all
    },

    streams: () => streams,

    proxies(fleet) {
      const known = [...streams].flatMap(stream => (stream.node === undefined ? [] : [{stream, node: stream.node}]))
      return known.map(({stream, node}) => ({
        cluster: node.cluster,
        id: node.id,
        ...(node.envoyVersion === undefined ? {} : {envoyVersion: node.envoyVersion}),
        sequence: stream.sequence,
        variant: stream.variant,
        path: stream.admitted.path,
        connectedSince: stream.openedAt.toISOString(),
        ...(stream.lastSentAt === undefined ? {} : {lastChange: stream.lastSentAt.toISOString()}),
        types: describeSession(stream.session).map(type => typeReport(type, nackNames.get(stream)?.get(type.typeUrl))),
        credential: credentialReport(fleet, stream),
        ...identityReport(stream, leavesOf(fleet, node.cluster)),
        ...(stream.frozen === undefined ? {} : {frozen: bounded(stream.frozen)}),
        equalIds: named.get(keyOf(node))?.size ?? 1,
      }))
    },

    withoutProxy(fleet) {
      const present = new Set([...streams].flatMap(({node}) => (node === undefined ? [] : [node.cluster])))
      const wanted: readonly Owner[] = [OBSERVABILITY, ...clustersOf(fleet).map(cluster => cluster.name)]
      return wanted.filter(owner => !present.has(owner))
    },

    refusals: () => [...refusals],

    leftovers() {
      const ended = [...kept].flatMap(([cluster, ofCluster]) =>
        [...ofCluster].flatMap(([id, reported]) => leftoversOf({cluster, id}, reported)),
      )
      const open = [...streams].flatMap(stream => {
        if (stream.node === undefined) return []
        // What is merely unanswered is listed by the node when it comes back; what it refused it keeps a part of and does not list.
        const nacked = new Set(describeSession(stream.session).flatMap(({typeUrl, state}) => (state === 'nack' ? [typeUrl] : [])))
        const left = new Map([...merged([stream.before, unacknowledged(stream.session)])].filter(([typeUrl]) => nacked.has(typeUrl)))
        return leftoversOf(stream.node, left)
      })
      return boundedLeftovers([...ended, ...open])
    },

    unrepaired: () =>
      [...kept].flatMap(([cluster, ofCluster]) =>
        [...ofCluster].map(([id, reported]) => ({
          cluster,
          id,
          names: Object.fromEntries(
            [...reported].map(([typeUrl, {sent, removed}]) => [shortType(typeUrl), [...sent, ...removed].slice(0, NAMES_MAX)]),
          ),
        })),
      ),
  }
}

/** What other replicas have told of a node. */
export function leftoversIn(fleet: Fleet, own: string, node: Node): UnacknowledgedByType {
  const told = [...fleet.reports].filter(([replica]) => replica !== own).flatMap(([, {leftovers}]) => leftovers)
  return reportedBy(told.filter(({cluster, id}) => cluster === node.cluster && id === node.id))
}

/** Of one node. */
function reportedBy(leftovers: readonly Leftover[]): UnacknowledgedByType {
  const known = leftovers.filter(({typeUrl}) => isServedType(typeUrl))
  return merged(
    known.map(({typeUrl, sent, removed}): UnacknowledgedByType => new Map([[typeUrl, {sent, removed}]]) as UnacknowledgedByType),
  )
}

/** Both together; undefined where there is nothing. */
export function joinReported(all: readonly (UnacknowledgedByType | undefined)[]): UnacknowledgedByType | undefined {
  const joined = merged(all)
  return joined.size === 0 ? undefined : joined
}

/** The observability Envoy may have refused a whole fleet; what one downstream cluster leaves must not push out the others'. */
function boundedLeftovers(all: readonly Leftover[]): readonly Leftover[] {
  const room = new Map<Owner, number>()
  return all.slice(0, LEFTOVERS_MAX).filter(({cluster, sent, removed}) => {
    const left = room.get(cluster) ?? (cluster === OBSERVABILITY ? LEFT_BYTES_MAX * 16 : LEFT_BYTES_MAX)
    const rest = left - [...sent, ...removed].reduce((sum, name) => sum + name.length, 64)
    if (rest >= 0) room.set(cluster, rest)
    return rest >= 0
  })
}

function leftoversOf({cluster, id}: Pick<Node, 'cluster' | 'id'>, reported: UnacknowledgedByType): readonly Leftover[] {
  return [...reported].map(([typeUrl, {sent, removed}]) => ({
    cluster,
    id,
    typeUrl,
    sent: sent.slice(0, LEFT_NAMES_MAX),
    removed: removed.slice(0, LEFT_NAMES_MAX),
  }))
}

/** The last name of a type that is served, such as `Cluster`; `other` for whatever else a client may have made up. */
export function shortType(typeUrl: string): string {
  return isServedType(typeUrl) ? typeUrl.slice(typeUrl.lastIndexOf('.') + 1) : 'other'
}

function typeReport({typeUrl, state, sent, acked, nack}: SessionTypeReport, names: readonly string[] | undefined): TypeReport {
  const acknowledged = [...sent].filter(([name, version]) => version !== '' && acked.get(name) === version).length
  return {
    type: shortType(typeUrl),
    state,
    sent: sent.size,
    acknowledged,
    ...(nack === undefined ? {} : {nack: bounded(nack)}),
    ...(nack === undefined || names === undefined ? {} : {nackNames: names}),
  }
}

function credentialReport(fleet: Fleet, {admitted}: Stream): ProxyReport['credential'] {
  const record = credentialOf(fleet, admitted)
  return {sha256: admitted.fingerprint, ...(record === undefined ? {} : {notAfter: record.notAfter, rootsDigest: record.rootsDigest})}
}

function identityReport(stream: Stream, leaves: ReadonlyMap<string, string>): Pick<ProxyReport, 'identity'> {
  const version = acknowledgedVersion(stream.session, typeUrls.secret, envoyNames.identity)
  if (version === undefined || version === '') return {}
  const notAfter = leaves.get(version)
  return {identity: {version, ...(notAfter === undefined ? {} : {notAfter})}}
}

function merged(all: readonly (UnacknowledgedByType | undefined)[]): UnacknowledgedByType {
  const result = new Map<string, {readonly sent: readonly string[]; readonly removed: readonly string[]}>()
  for (const reported of all) {
    for (const [typeUrl, {sent, removed}] of reported ?? []) {
      const before = result.get(typeUrl)
      result.set(typeUrl, {sent: union(before?.sent, sent), removed: union(before?.removed, removed)})
    }
  }

  return result
}

function union(a: readonly string[] = [], b: readonly string[] = []): readonly string[] {
  return [...new Set([...a, ...b])]
}

function keyOf({cluster, id}: Node): string {
  return `${cluster}/${id}`
}
