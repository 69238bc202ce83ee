/** Nodes that were connected lately and are not now: which of them a stage of a rotation waits for, and for how long. */
import type {Fleet} from '../../model/fleet.js'
import type {Owner} from '../../model/names.js'
import {printable} from '../../model/printable.js'
import type {AbsentNode, ProxyReport, ReplicaReport} from '../../model/report.js'
import type {Rotation} from '../../model/rotation.js'
import {readKey} from '../../pki/read.js'
import {CLOCK_SKEW, issuedAt} from '../../pki/rotation.js'
import {describeWaited, readWaited} from './waited.js'

/**
 * For so long at most a stage waits for a node that was connected and is not, milliseconds. It may run on with what it has, and would be cut off; but
 * a pod of a Deployment that was replaced never comes back under its name.
 */
export const ABSENT_COUNTS = 3_600_000

/** What a rotation waits for that is about one owner: a sentence without its full stop. */
export interface OwnersReason {
  readonly owner: Owner
  readonly reason: string
}

/** Of all reports, those of dead servers too: who is connected nowhere now. */
export function absentIn(reports: Iterable<Pick<ReplicaReport, 'report'>>, proxies: readonly ProxyReport[]): readonly AbsentNode[] {
  const absent = [...reports].flatMap(({report}) => report.absent ?? [])
  if (absent.length === 0) return absent
  const newest = new Map<string, AbsentNode>()
  for (const node of absent) if ((newest.get(keyOf(node))?.since ?? '') < node.since) newest.set(keyOf(node), node)
  for (const proxy of proxies) newest.delete(keyOf(proxy))
  return [...newest.values()]
}

/** Whether a node still counts. One whose time lies ahead was dated by a clock that is wrong, and does not. */
export function isAwaited({since}: AbsentNode, now: Date): boolean {
  const passed = now.getTime() - Date.parse(since)
  return passed >= -2 * CLOCK_SKEW * 1000 && passed < ABSENT_COUNTS
}

/**
 * A sentence each, without its full stop. A cluster without any connected Envoy is waited for as a whole. In the last stage nothing more is
 * cut off.
 *
 * A node that leaves during a stage had taken what the stage asks for, or it lacks that: the stage waited for it by name, or has issued the
 * identity of its cluster only since it left. Only then does its hour begin when it leaves. Otherwise it ends an hour after the stage began, since in
 * a large fleet some pod is replaced every few minutes.
 */
export function waitingForAbsent(
  fleet: Pick<Fleet, 'identities'>,
  rotation: Rotation,
  absent: readonly AbsentNode[],
  {owners, connected, now}: {readonly owners: readonly Owner[]; readonly connected: ReadonlySet<Owner>; readonly now: Date},
): readonly OwnersReason[] {
  if (rotation.stage === 'retire') return []
  const stageBegan = Date.parse(rotation.since)
  return absent
    .filter(node => owners.includes(node.cluster) && isAwaited(node, now))
    .flatMap(node => {
      const left = Date.parse(node.since)
      const isLacking = wasLacking(rotation, node) || lacksIdentity(fleet, rotation, node)
      if (!isLacking && !connected.has(node.cluster)) return []
      const until = (isLacking ? left : Math.min(left, stageBegan)) + ABSENT_COUNTS
      return until > now.getTime() ? [{owner: node.cluster, reason: describeWaited(isAway(node, until))}] : []
    })
}

/**
 * Whether the stage waited for something else of a node than that it connects within the stage's first hour: while it was connected, or
 * since it left.
 */
function wasLacking({waitingFor, since}: Rotation, node: AbsentNode): boolean {
  const inFirstHour = Date.parse(since) + ABSENT_COUNTS
  return waitingFor
    .map(each => readWaited(each))
    .some(
      waited =>
        (waited.is === 'lacking' || (waited.is === 'away' && waited.until !== inFirstHour)) &&
        waited.owner === node.cluster &&
        waited.node === printable(node.id),
    )
}

/** Whether the stage issued the identity of a node's cluster after the node had left, by clocks that may differ. */
function lacksIdentity({identities}: Pick<Fleet, 'identities'>, {stage}: Rotation, {cluster, since}: AbsentNode): boolean {
  const identity = stage === 'leaves' ? identities.get(cluster) : undefined
  return identity !== undefined && issuedAt(readKey(identity)) > Date.parse(since) - CLOCK_SKEW * 1000
}

function isAway({cluster, id}: AbsentNode, until: number) {
  return {is: 'away', owner: cluster, node: id, until} as const
}

function keyOf({cluster, id}: Pick<AbsentNode, 'cluster' | 'id'>): string {
  return `${cluster}/${id}`
}
