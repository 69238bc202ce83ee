/** Removing a cluster for good: it is revoked, its objects go, and nothing of its opens anything any more. */
import {type Change, reduceAll} from '../../model/change.js'
import {AtlasError, quote} from '../../model/errors.js'
import type {Fleet} from '../../model/fleet.js'
import {type ClusterName, parseClusterName} from '../../model/names.js'
import type {StateStore} from '../../store/store.js'
import {type CommitOptions, type Committed, commitPlan} from '../commit.js'
import {planReconcile} from '../reconcile.js'
import {planRemoval} from '../removal.js'
import {type World, settingsOf} from '../world.js'
import {clusterNames} from './list.js'

/** @throws AtlasError `not-found` when there is no such cluster */
export async function removeCluster(store: StateStore, text: string, world: World, options: CommitOptions = {}): Promise<Committed> {
  return commitPlan(store, fleet => planRemove(fleet, text, world), options)
}

function planRemove(fleet: Fleet, text: string, world: World): readonly Change[] {
  settingsOf(fleet)
  const name = requireCluster(fleet, text)
  const changes = planRemoval(fleet, name, world)
  return [...changes, ...planReconcile(reduceAll(fleet, changes), world)]
}

/** A cluster that is there: registered (readably or not), or suspended. @throws AtlasError `not-found`, naming those that are */
export function requireCluster(fleet: Fleet, text: string): ClusterName {
  const name = parseClusterName(text)
  const names = clusterNames(fleet)
  if (names.includes(name)) return name
  const known = names.length === 0 ? 'none is registered' : `registered: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`
  throw new AtlasError('not-found', `there is no cluster ${quote(text)}; ${known}`, {hint: 'run "atlas cluster list" to see all'})
}
