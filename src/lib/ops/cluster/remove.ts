/** Removing a cluster for good: it is revoked, its objects go, and nothing of its opens anything any more. */
import {type Change, reduceAll} from '../../model/change.js'
import {AtlasError, quote} from '../../model/errors.js'
import type {Fleet} from '../../model/fleet.js'
import {type ClusterName, parseClusterName} from '../../model/names.js'
import type {Request} from '../../model/request.js'
import type {StateStore} from '../../store/store.js'
import {type CommitOptions, type Committed, commitPlan} from '../commit.js'
import {type Patience, newRequest, waitForAnswer} from '../ask-leader.js'
import {planReconcile} from '../reconcile.js'
import {planRemoval} from '../revoke.js'
import {type OpsDependencies, settingsOf} from '../dependencies.js'
import {clusterNames} from './list.js'

/**
 * Revokes a cluster and removes what is stored of it; where a leader signs, asks it to.
 * @throws AtlasError `not-found` when there is no such cluster, `unreachable` when no leader answers
 */
export async function removeCluster(
  store: StateStore,
  text: string,
  dependencies: OpsDependencies,
  {waitMs, ...options}: CommitOptions & Partial<Patience> = {},
): Promise<Committed> {
  if (store.signedBy === 'caller')
    return commitPlan(
      store,
      fleet => {
        settingsOf(fleet, store)
        return planRemove(fleet, text, dependencies)
      },
      options,
    )
  if (options.dryRun === true) return foretold(store, text, dependencies)
  const {id, value} = newRequest('remove', [], dependencies)
  const committed = await commitPlan(
    store,
    fleet => {
      settingsOf(fleet, store)
      return [{kind: 'request', id, value: {...(value as Request), owners: [requireCluster(fleet, text)]}}]
    },
    options,
  )
  if (waitMs !== undefined) await waitForAnswer(store, id, `cluster ${text} is not removed yet`, {waitMs, dependencies})
  return committed
}

/** What the leader will do: whoever asks may hold no right to see the keys that go. */
async function foretold(store: StateStore, text: string, dependencies: OpsDependencies): Promise<Committed> {
  const before = await store.load()
  settingsOf(before, store)
  const name = requireCluster(before, text)
  const seen = planRemoval(before, name, dependencies)
  const unseen = (['identity', 'credential'] as const).filter(kind => !seen.some(change => change.kind === kind))
  const changes = [...seen, ...unseen.map((kind): Change => ({kind, owner: name, value: undefined}))]
  return {before, changes, after: reduceAll(before, changes)}
}

function planRemove(fleet: Fleet, text: string, dependencies: OpsDependencies): readonly Change[] {
  const name = requireCluster(fleet, text)
  const changes = planRemoval(fleet, name, dependencies)
  return [...changes, ...planReconcile(reduceAll(fleet, changes), dependencies)]
}

/** A cluster that is there: registered (readably or not), or suspended. @throws AtlasError `not-found`, naming those that are */
export function requireCluster(fleet: Fleet, text: string): ClusterName {
  const name = parseClusterName(text)
  const names = clusterNames(fleet)
  if (names.includes(name)) return name
  const known = names.length === 0 ? 'none is registered' : `registered: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`
  throw new AtlasError('not-found', `there is no cluster ${quote(text)}; ${known}`, {hint: 'run "atlas cluster list" to see all'})
}
