/** Removes a cluster for good: revokes its certificates and removes its objects. Where a leader signs, the leader does it (answer-requests.ts). */
import {type Change, reduceAll} from '../../model/change.js'
import type {Fleet} from '../../model/fleet.js'
import {type ClusterName, parseClusterName} from '../../model/names.js'
import type {StateStore} from '../../store/store.js'
import {type Patience, newRequest, waitForAnswer} from '../ask-leader.js'
import {judgedOnce} from '../clock.js'
import type {CommitOptions, Committed} from '../commit.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation, loadInstallation} from '../installation.js'
import {planReconcile} from '../reconcile.js'
import {noRenewals} from '../renewals.js'
import {planRemoval} from '../revoke.js'
import {requireCluster} from './list.js'

/**
 * Removes a cluster, or asks the leader to, and waits for it as long as `waitMs`.
 * @throws AtlasError `not-found` when there is no such cluster, `unreachable` when no leader answers
 */
export async function removeCluster(
  store: StateStore,
  text: string,
  dependencies: OpsDependencies,
  {waitMs, ...options}: CommitOptions & Partial<Patience> = {},
): Promise<Committed> {
  if (store.signedBy === 'caller')
    return changeInstallation(store, fleet => planRemove(fleet, text, judgedOnce(dependencies, store, fleet)), options)
  if (options.dryRun === true) return previewRemoval(store, text, dependencies)
  const request = newRequest('remove', dependencies)
  const committed = await changeInstallation(store, fleet => [request.for([requireCluster(fleet, text)])], options)
  if (waitMs !== undefined)
    await waitForAnswer(store, {id: request.id, kind: 'remove', owners: [parseClusterName(text)]}, `cluster ${text} is not removed yet`, {
      waitMs,
      dependencies,
    })
  return committed
}

/** The changes that the leader will make. */
async function previewRemoval(store: StateStore, text: string, dependencies: OpsDependencies): Promise<Committed> {
  const {fleet: before} = await loadInstallation(store)
  const name = requireCluster(before, text)
  const changes = withUnseenKeys(name, planRemoval(before, name, dependencies))
  return {before, changes, after: reduceAll(before, changes)}
}

/** The changes with the removal of the keys that the caller may have no right to see, and the leader removes. */
export function withUnseenKeys(owner: ClusterName, seen: readonly Change[]): readonly Change[] {
  const unseen = (['identity', 'credential'] as const).filter(kind => !seen.some(change => change.kind === kind))
  return [...seen, ...unseen.map((kind): Change => ({kind, owner, value: undefined}))]
}

function planRemove(fleet: Fleet, text: string, dependencies: OpsDependencies): readonly Change[] {
  const changes = planRemoval(fleet, requireCluster(fleet, text), dependencies)
  return [...changes, ...planReconcile(reduceAll(fleet, changes), dependencies, {renewals: noRenewals})]
}
