/** Issuing leaves anew before they are due: identities, and the ADS server's own. Also the remedy for a broken one. */
import type {Change} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import {type Fleet, isRegistered, faultOf} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import {identitySpec, serverSpec} from '../pki/certificate-specs.js'
import {issue} from '../pki/issue.js'
import type {StateStore} from '../store/store.js'
import {clusterNames} from './cluster/list.js'
import {issueClients} from './clients.js'
import {requireCluster} from './cluster/remove.js'
import {type CommitOptions, type Committed, commitPlan} from './commit.js'
import {type Patience, newRequest, waitForAnswer} from './ask-leader.js'
import {recordOrRecovered} from '../pki/recover.js'
import {type OpsDependencies, readableSettings, settingsOf} from './dependencies.js'

export interface RotateResult extends Committed {
  /** Whose identity is new. */
  readonly owners: readonly Owner[]
}

/**
 * Issues the leaves of `names` anew; of everybody, the server included, where none is named.
 * @throws AtlasError `not-found` for a name that is not registered, `failed` where the issuer is missing or can't be read
 */
export async function rotateLeaves(
  store: StateStore,
  names: readonly string[],
  dependencies: OpsDependencies,
  options: CommitOptions & Partial<Patience> = {},
): Promise<RotateResult> {
  if (store.signedBy === 'leader') return askToRotate(store, names, dependencies, options)
  const committed = await commitPlan(
    store,
    fleet => {
      settingsOf(fleet, store)
      return planRotate(fleet, names, dependencies)
    },
    options,
  )
  const owners = committed.changes.filter(change => change.kind === 'identity').map(change => change.owner)
  return {...committed, owners}
}

/** New leaves for `owners`, and where the others are asked for, for the ADS server and the clients of the internal ports. @throws AtlasError `failed` where there is no issuer to sign with */
export function planLeaves(
  fleet: Fleet,
  owners: readonly Owner[],
  {others}: {readonly others: boolean},
  dependencies: OpsDependencies,
): readonly Change[] {
  const settings = readableSettings(fleet)
  const issuer = fleet.authority.get('issuer')
  if (settings === undefined || issuer === undefined)
    throw new AtlasError(
      'failed',
      faultOf(fleet, 'authority', 'issuer')?.message ?? 'there is no issuer to sign with: Secret atlas-issuer is missing',
      {hint: 'restore Secret atlas-issuer, or run "atlas init" again'},
    )
  const now = dependencies.now()
  const changes: Change[] = owners.map(owner => {
    const wanted = identitySpec(settings, owner, recordOrRecovered(fleet, owner).generation)
    return {kind: 'identity', owner, value: issue(wanted, issuer, now, dependencies.signer)}
  })
  if (others) changes.push({kind: 'server', value: issue(serverSpec(settings), issuer, now, dependencies.signer)})
  if (others) changes.push(...issueClients(fleet, settings, issuer, settings.clients, dependencies))
  return changes
}

function planRotate(fleet: Fleet, names: readonly string[], dependencies: OpsDependencies): readonly Change[] {
  return planLeaves(fleet, ownersNamed(fleet, names), {others: names.length === 0}, dependencies)
}

/** Where a leader signs, it is asked to; which of the named ones are there is looked at before. */
async function askToRotate(
  store: StateStore,
  names: readonly string[],
  dependencies: OpsDependencies,
  {waitMs, ...options}: CommitOptions & Partial<Patience>,
): Promise<RotateResult> {
  let owners: readonly Owner[] = []
  const request = newRequest('rotate', [], dependencies)
  const committed = await commitPlan(
    store,
    fleet => {
      settingsOf(fleet, store)
      owners = ownersNamed(fleet, names)
      return [{...request, value: {...request.value, owners: names.length === 0 ? [] : owners}} as Change]
    },
    options,
  )
  if (options.dryRun !== true && waitMs !== undefined)
    await waitForAnswer(store, request.id, `the leaves of ${names.length === 0 ? 'everybody' : names.join(', ')} are not issued yet`, {
      waitMs,
      dependencies,
    })
  return {...committed, owners}
}

function ownersNamed(fleet: Fleet, names: readonly string[]): readonly Owner[] {
  return names.length === 0 ? everybody(fleet) : names.map(name => (name === OBSERVABILITY ? OBSERVABILITY : requireCluster(fleet, name)))
}

function everybody(fleet: Fleet): readonly Owner[] {
  return [OBSERVABILITY, ...clusterNames(fleet).filter(name => isRegistered(fleet, name))]
}
