/**
 * Replaces leaf certificates before they are due: identities, those of clients, the ADS server's, or ADS credentials. It also repairs a
 * broken one. The certificates that sign are rotated by rotation/start.ts.
 */
import type {CertifiedKey} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import {type Fleet, faultOf, isBroken, isRevoked, isServed, recordOf} from '../model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner, objectNames} from '../model/names.js'
import {credentialSpec, identitySpec, serverSpec} from '../pki/certificate-specs.js'
import {issue, issueCredential} from '../pki/issue.js'
import {recordOfCredential} from '../pki/read.js'
import type {StateStore} from '../store/store.js'
import {clusterNames, requireCluster, requireServed} from './cluster/list.js'
import {issueClients} from './clients.js'
import {atOnce, judgedOnce, requireBelieved} from './clock.js'
import type {CommitOptions, Committed} from './commit.js'
import {type Patience, newRequest, waitForAnswer} from './ask-leader.js'
import {recordOrRecovered} from '../pki/recover.js'
import type {Settings} from '../model/settings.js'
import {identityLeaf, serverLeaf} from './due.js'
import {evidenceIn} from './rotation/evidence.js'
import {whyHeld} from './rotation/held.js'
import {partNames, repairs} from './signing.js'
import {planTrust} from './trust.js'
import type {OpsDependencies} from './dependencies.js'
import {changeInstallation, readableSettings} from './installation.js'

export interface RotateOptions extends CommitOptions, Partial<Patience> {
  /** Which leaves; identities by default. */
  readonly leaves?: 'credentials' | 'identities'
}

export interface RotateResult extends Committed {
  /** The owners of the new certificates. */
  readonly owners: readonly Owner[]
}

/**
 * Replaces the leaves of `names`; without names, those of all owners, and with identities those of the clients and of the ADS server.
 * @throws AtlasError `not-found` for a name that is not registered, `failed` where the issuer is missing or cannot be read
 */
export async function rotateLeaves(
  store: StateStore,
  names: readonly string[],
  dependencies: OpsDependencies,
  {leaves = 'identities', ...options}: RotateOptions = {},
): Promise<RotateResult> {
  if (store.signedBy === 'leader') return askToRotate(store, names, dependencies, {leaves, ...options})
  const others = names.length === 0
  const planned = leaves === 'credentials' ? planCredentials : planLeaves
  const plan = (fleet: Fleet): readonly Change[] => [
    // An issuer that a person has put in its place is in the bundle before the first certificate that it signed.
    ...(leaves === 'credentials' || isBroken(fleet, 'trust') ? [] : planTrust(fleet)),
    ...planned(fleet, ownersNamed(fleet, names), {others}, judgedOnce(dependencies, store, fleet)),
  ]
  const committed = await changeInstallation(store, plan, options)
  const owners = committed.changes.flatMap(change => (change.kind === 'identity' || change.kind === 'credential' ? [change.owner] : []))
  return {...committed, owners}
}

/**
 * New leaves for `owners`; with `others`, also for the ADS server and the clients of the internal ports.
 * @throws AtlasError `failed` where the settings or the issuer are missing or cannot be read, or the clock is doubted; `conflict` for a
 * revoked cluster
 */
export function planLeaves(
  fleet: Fleet,
  owners: readonly Owner[],
  {others}: {readonly others: boolean},
  dependencies: OpsDependencies,
): readonly Change[] {
  const {now, signer, ...clock} = atOnce(dependencies)
  requireBelieved(clock)
  const {settings, issuer} = signingWith(fleet, 'issuer')
  if (others || owners.includes(OBSERVABILITY)) requireNotHeld(fleet, settings, now())
  const changes: Change[] = owners.map(owner => {
    const spec = identitySpec(settings, owner, recordOrRecovered(fleet, requireServed(fleet, owner)).generation)
    return {kind: 'identity', owner, value: issue(spec, issuer, now(), signer)}
  })
  if (others) changes.push({kind: 'server', value: issue(serverSpec(settings), issuer, now(), signer)})
  if (others)
    changes.push(
      ...issueClients(
        fleet,
        settings,
        issuer,
        settings.clients.map(({name}) => name),
        dependencies,
      ),
    )
  return changes
}

/** By the reports in the store: a directory has none, and there the server's own evidence decides. @throws AtlasError `conflict` */
function requireNotHeld(fleet: Fleet, settings: Settings, now: Date): void {
  const leaves = [serverLeaf(fleet, settings), identityLeaf(fleet, settings, recordOf(fleet, OBSERVABILITY))]
  const why = leaves.map(leaf => whyHeld(fleet, leaf, evidenceIn(fleet), now)).find(each => each !== undefined)
  if (why === undefined) return
  throw new AtlasError('conflict', `the rotation of the root has not come to what every Envoy is shown: ${why}`, {
    hint: 'it replaces the identity of the observability Envoy and the certificate of the servers ("atlas rotate --status"); "atlas rotate NAME" is for one cluster',
  })
}

/**
 * New ADS credentials for `owners`, with their records before them. Those before stay valid: an Envoy uses its own until a person, or a
 * pipeline, has put the new one into its files.
 * @throws AtlasError `failed` where the settings or the credential issuer are missing or cannot be read, or the clock is doubted;
 * `conflict` for a revoked cluster
 */
export function planCredentials(
  fleet: Fleet,
  owners: readonly Owner[],
  _: {readonly others: boolean},
  dependencies: OpsDependencies,
): readonly Change[] {
  const {now, signer, ...clock} = atOnce(dependencies)
  requireBelieved(clock)
  const {settings, issuer} = signingWith(fleet, 'credentialIssuer')
  const roots = fleet.trust?.roots
  if (roots === undefined) throw new AtlasError('failed', 'there is no trust bundle', {hint: 'run "atlas init" again'})
  return owners.flatMap((owner): readonly Change[] => {
    const record = recordOrRecovered(fleet, requireServed(fleet, owner))
    const credential = issueCredential(credentialSpec(settings, owner, record.generation), issuer, roots, now(), signer)
    const value = {...record, credentials: [...record.credentials, recordOfCredential(credential)]}
    return [
      {kind: 'record', owner, value},
      {kind: 'credential', owner, value: credential},
    ]
  })
}

/** @throws AtlasError `failed` where the settings or the issuer are missing or cannot be read, with what brings them back */
function signingWith(fleet: Fleet, part: 'credentialIssuer' | 'issuer'): {readonly settings: Settings; readonly issuer: CertifiedKey} {
  const [settings, issuer, fault] = [readableSettings(fleet), fleet.authority.get(part), faultOf(fleet, 'authority', part)]
  if (settings !== undefined && issuer !== undefined) return {settings, issuer}
  const [name, secret] = [partNames[part], `Secret ${objectNames[part]}`]
  if (fault === undefined)
    throw new AtlasError('failed', `there is no ${name} that could sign: ${secret} is missing`, {
      hint: `restore ${secret}, or run "atlas init" again`,
    })
  throw new AtlasError('failed', `the ${name} cannot be read: ${fault.source ?? fault.object}, ${fault.key}: ${fault.message}`, {
    hint: `${secret}: ${repairs[part]}`,
  })
}

/** Asks the leader to do it, after a check that all names are registered. */
async function askToRotate(
  store: StateStore,
  names: readonly string[],
  dependencies: OpsDependencies,
  {waitMs, leaves = 'identities', ...options}: RotateOptions,
): Promise<RotateResult> {
  let owners: readonly Owner[] = []
  const kind = leaves === 'credentials' ? 'rotate-ads' : 'rotate'
  const request = newRequest(kind, dependencies)
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
      {id: request.id, kind, owners: names.length === 0 ? [] : owners},
      `the certificates of ${names.length === 0 ? 'all' : names.join(', ')} are not issued yet`,
      {waitMs, dependencies},
    )
  return {...committed, owners}
}

function ownersNamed(fleet: Fleet, names: readonly string[]): readonly Owner[] {
  if (names.length === 0) return allOwners(fleet)
  return names.map(name => (name === OBSERVABILITY ? OBSERVABILITY : requireServed(fleet, requireCluster(fleet, name))))
}

/** The observability cluster and every cluster that is served. */
export function allOwners(fleet: Fleet): readonly Owner[] {
  return [OBSERVABILITY, ...clusterNames(fleet).filter(name => isServed(fleet, name))]
}

/** The clusters that a rotation of all owners leaves out: nothing is issued for them before they are restored. */
export function revokedClusters(fleet: Fleet): readonly ClusterName[] {
  return clusterNames(fleet).filter(name => isRevoked(fleet, name))
}
