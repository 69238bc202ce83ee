/** Fleet and node -> snapshot. Pure and incremental: every builder remembers its result for an unchanged value. */
import type {CertifiedKey, TrustBundle} from '../model/authority.js'
import {type Cluster, isSameBehind} from '../model/cluster.js'
import {clusterOf, type Fleet, type Subject} from '../model/fleet.js'
import {subjectOf} from '../model/kinds.js'
import {OBSERVABILITY} from '../model/names.js'
import type {Node} from '../model/node.js'
import {type Resource, type Snapshot, editOf, editSnapshot, toSnapshot} from '../xds/snapshot.js'
import {downstreamResources, downstreamSources} from './downstream.js'
import {observabilityAhead, observabilityEdits, observabilityResources} from './observability.js'
import {adsTrustSecret, identitySecret, trustSecret} from './secret.js'

/**
 * A node's snapshot; or `frozen` where something that it needs can't be read or doesn't exist yet: nothing is sent to the node and
 * nothing removed (promise 6). `why` names the object and key at fault, never key material.
 */
export type Built = {readonly kind: 'frozen'; readonly why: string} | {readonly kind: 'snapshot'; readonly snapshot: Snapshot}

/**
 * `previous`: the node's last snapshot. Its unchanged maps are shared, and an observability node's is edited where the fleet differs;
 * without it the result is equal, but shares less and costs the whole fleet.
 */
export function buildSnapshot(fleet: Fleet, node: Node, previous?: Snapshot): Built {
  const {settings, trust} = fleet
  const identity = fleet.identities.get(node.cluster)
  if (settings === undefined) return frozen(fleet, 'settings', 'there are no settings yet')
  if (identity === undefined) return frozen(fleet, subjectOf('identity', node.cluster), `the identity of ${node.cluster} is not issued yet`)
  if (trust === undefined) return frozen(fleet, 'trust', 'there is no trust bundle yet')
  if (node.cluster === OBSERVABILITY) {
    if (!hasAnchors(trust, 'issuers') || !hasAnchors(trust, 'credentialIssuers')) return frozen(fleet, 'trust', EMPTY_TRUST)
    const present = [...secrets(identity, trust), adsTrustSecret(trust)]
    const edited = editedSnapshot(fleet, node, present, previous)
    const snapshot = edited ?? toSnapshot([...observabilityResources(fleet, settings, node), ...present], previous)
    builtFrom.set(snapshot, {fleet, node})
    return {kind: 'snapshot', snapshot}
  }

  if (!hasAnchors(trust, 'issuers')) return frozen(fleet, 'trust', EMPTY_TRUST)
  const cluster = clusterOf(fleet, node.cluster)
  if (cluster === undefined) return frozen(fleet, subjectOf('registration', node.cluster), `the cluster ${node.cluster} is not registered`)
  const held = secrets(identity, trust)
  const sources = [...downstreamSources(fleet, settings, node), ...held]
  const snapshot =
    unchangedSnapshot(cluster, sources, previous) ?? toSnapshot([...downstreamResources(fleet, cluster, settings, node), ...held], previous)
  builtFor.set(snapshot, {cluster, sources})
  return {kind: 'snapshot', snapshot}
}

/** What the snapshots of downstream nodes were built from beside their cluster, each by identity; and the cluster. */
const builtFor = new WeakMap<Snapshot, {readonly cluster: Cluster; readonly sources: readonly unknown[]}>()

/** `previous` where nothing differs that it was built from: the addresses of a cluster, which change most often, are for other nodes. */
function unchangedSnapshot(cluster: Cluster, sources: readonly unknown[], previous: Snapshot | undefined): Snapshot | undefined {
  const before = previous && builtFor.get(previous)
  if (before?.sources.every((source, index) => source === sources[index]) !== true) return undefined
  return isSameBehind(before.cluster, cluster) ? previous : undefined
}

/**
 * What the last snapshots of observability nodes were built from. Those of downstream nodes stay for long, and would keep every fleet from
 * which one was built.
 */
const builtFrom = new WeakMap<Snapshot, {readonly fleet: Fleet; readonly node: Node}>()

/** `previous` with what differs since its fleet; undefined where that is not known, or may be everything. */
function editedSnapshot(fleet: Fleet, node: Node, present: readonly Resource[], previous: Snapshot | undefined): Snapshot | undefined {
  const source = previous === undefined ? undefined : builtFrom.get(previous)
  if (previous === undefined || source?.node !== node) return undefined
  const edits = observabilityEdits(source.fleet, fleet, node)
  return edits && editSnapshot(previous, [...present.map(resource => editOf(resource)), ...edits])
}

/** Builds ahead the parts that make a first snapshot slow. The caller iterates with pauses, and may stop at any time. */
export function* buildAhead(fleet: Fleet): Generator<undefined, void> {
  if (fleet.settings !== undefined) yield* observabilityAhead(fleet, fleet.settings)
}

const EMPTY_TRUST = 'the trust bundle holds no issuer or no credential issuer yet'

/** Envoy refuses a TLS context without trust anchors, and with it the whole listener. */
function hasAnchors(trust: TrustBundle, part: 'credentialIssuers' | 'issuers'): boolean {
  return trust[part].length > 0
}

function secrets(identity: CertifiedKey, trust: TrustBundle): readonly Resource[] {
  return [identitySecret(identity), trustSecret(trust)]
}

/** Names the subject's fault where there is one, which explains more than that something is missing. */
function frozen(fleet: Fleet, subject: Subject, missing: string): Built {
  const fault = fleet.faults.get(subject)
  if (fault === undefined) return {kind: 'frozen', why: missing}
  const where = fault.source === undefined ? fault.object : `${fault.object} (${fault.source})`
  return {kind: 'frozen', why: `${where}, ${fault.key}: ${fault.message}`}
}
