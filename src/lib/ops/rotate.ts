/** Replaces leaf certificates before they are due: identities, those of clients, and the ADS server's. It also repairs a broken one. */
import type {Change} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import {type Fleet, isRegistered, faultOf} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import {identitySpec, serverSpec} from '../pki/certificate-specs.js'
import {issue} from '../pki/issue.js'
import type {StateStore} from '../store/store.js'
import {clusterNames, requireCluster} from './cluster/list.js'
import {issueClients} from './clients.js'
import {CLOCK_HINT, atOnce, judgedOnce} from './clock.js'
import type {CommitOptions, Committed} from './commit.js'
import {type Patience, newRequest, waitForAnswer} from './ask-leader.js'
import {recordOrRecovered} from '../pki/recover.js'
import type {OpsDependencies} from './dependencies.js'
import {changeInstallation, readableSettings} from './installation.js'

export interface RotateResult extends Committed {
  /** The owners of the new identities. */
  readonly owners: readonly Owner[]
}

/**
 * Replaces the leaves of `names`; without names, those of all owners, of the clients and of the ADS server.
 * @throws AtlasError `not-found` for a name that is not registered, `failed` where the issuer is missing or cannot be read
 */
export async function rotateLeaves(
  store: StateStore,
  names: readonly string[],
  dependencies: OpsDependencies,
  options: CommitOptions & Partial<Patience> = {},
): Promise<RotateResult> {
  if (store.signedBy === 'leader') return askToRotate(store, names, dependencies, options)
  const others = names.length === 0
  const plan = (fleet: Fleet): readonly Change[] =>
    planLeaves(fleet, ownersNamed(fleet, names), {others}, judgedOnce(dependencies, store, fleet))
  const committed = await changeInstallation(store, plan, options)
  const owners = committed.changes.filter(change => change.kind === 'identity').map(change => change.owner)
  return {...committed, owners}
}

/**
 * New leaves for `owners`; with `others`, also for the ADS server and the clients of the internal ports.
 * @throws AtlasError `failed` where the settings or the issuer are missing or cannot be read, or the clock is doubted
 */
export function planLeaves(
  fleet: Fleet,
  owners: readonly Owner[],
  {others}: {readonly others: boolean},
  dependencies: OpsDependencies,
): readonly Change[] {
  const {now, clockDoubt, signer} = atOnce(dependencies)
  const doubt = clockDoubt?.()
  if (doubt !== undefined) throw new AtlasError('failed', doubt, {hint: CLOCK_HINT})
  const settings = readableSettings(fleet)
  const issuer = fleet.authority.get('issuer')
  if (settings === undefined || issuer === undefined)
    throw new AtlasError(
      'failed',
      faultOf(fleet, 'authority', 'issuer')?.message ?? 'there is no issuer that could sign: Secret atlas-issuer is missing',
      {hint: 'restore Secret atlas-issuer, or run "atlas init" again'},
    )
  const changes: Change[] = owners.map(owner => {
    const spec = identitySpec(settings, owner, recordOrRecovered(fleet, owner).generation)
    return {kind: 'identity', owner, value: issue(spec, issuer, now(), signer)}
  })
  if (others) changes.push({kind: 'server', value: issue(serverSpec(settings), issuer, now(), signer)})
  if (others) changes.push(...issueClients(fleet, settings, issuer, settings.clients, dependencies))
  return changes
}

/** Asks the leader to do it, after a check that all names are registered. */
async function askToRotate(
  store: StateStore,
  names: readonly string[],
  dependencies: OpsDependencies,
  {waitMs, ...options}: CommitOptions & Partial<Patience>,
): Promise<RotateResult> {
  let owners: readonly Owner[] = []
  const request = newRequest('rotate', dependencies)
  const committed = await changeInstallation(
    store,
    fleet => {
      owners = ownersNamed(fleet, names)
      return [request.for(names.length === 0 ? [] : owners)]
    },
    options,
  )
  if (options.dryRun !== true && waitMs !== undefined)
    await waitForAnswer(
      store,
      {id: request.id, owners: names.length === 0 ? [] : owners},
      `the certificates of ${names.length === 0 ? 'all' : names.join(', ')} are not issued yet`,
      {waitMs, dependencies},
    )
  return {...committed, owners}
}

function ownersNamed(fleet: Fleet, names: readonly string[]): readonly Owner[] {
  return names.length === 0 ? allOwners(fleet) : names.map(name => (name === OBSERVABILITY ? OBSERVABILITY : requireCluster(fleet, name)))
}

/** The observability cluster and every registered cluster. */
export function allOwners(fleet: Fleet): readonly Owner[] {
  return [OBSERVABILITY, ...clusterNames(fleet).filter(name => isRegistered(fleet, name))]
}
