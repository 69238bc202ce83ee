/**
 * Cuts a cluster off, or refuses one of its credentials, and issues for it again. Where a leader signs, the leader does it
 * (answer-requests.ts); what is planned is in ../revoke.ts.
 */
import {streamLimit} from '../../envoy/route.js'
import {type Change, reduceAll} from '../../model/change.js'
import {type Fleet, generationOf, isServed} from '../../model/fleet.js'
import {type ClusterName, parseClusterName} from '../../model/names.js'
import type {RequestKind} from '../../model/request.js'
import type {StateStore} from '../../store/store.js'
import {type AskedOptions, type Patience, newRequest, waitForAnswer, waitForLeader} from '../ask-leader.js'
import {judgedOnce} from '../clock.js'
import type {CommitOptions, Committed} from '../commit.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation, loadInstallation} from '../installation.js'
import {planReconcile} from '../reconcile.js'
import {noRenewals} from '../renewals.js'
import {planCredentialRevocation, planRestore, planRevocation, requireCredential} from '../revoke.js'
import {isUnsignedReason} from '../signing.js'
import {requireCluster} from './list.js'
import {withUnseenKeys} from './remove.js'

export interface RevokeOptions {
  /** New certificates are issued at once. */
  readonly reissue: boolean
  /** The beginning of the SHA-256 of the credential that alone is revoked. */
  readonly credential?: string | undefined
}

export interface CutOff extends Committed {
  readonly name: ClusterName
  /** The SHA-256 of the credential that alone is revoked. */
  readonly credential?: string
  /** Seconds after which a stream ends that is open now. */
  readonly streamLimit: number
}

type Options = CommitOptions & Partial<Patience>

/**
 * Revokes a cluster, or one of its credentials, or asks the leader to, and waits for it as long as `waitMs`; with `reissue` also for what
 * is issued then.
 * @throws AtlasError `not-found` for the cluster or the credential, `conflict` for the newest credential without `reissue`, `unreachable`
 * when no leader answers
 */
export async function revokeCluster(
  store: StateStore,
  text: string,
  {reissue, credential: part}: RevokeOptions,
  dependencies: OpsDependencies,
  options: Options = {},
): Promise<CutOff> {
  const {fleet, settings} = await loadInstallation(store)
  const name = requireCluster(fleet, text)
  const credential = part === undefined ? undefined : requireCredential(fleet, name, part).sha256
  const plan = (current: Fleet): readonly Change[] =>
    credential === undefined
      ? planRevocation(current, requireCluster(current, name), {reissue}, dependencies)
      : planCredentialRevocation(current, requireCluster(current, name), {text: credential, reissue})
  // Before anything is asked of the leader: what it would refuse.
  plan(fleet)
  const asked = credential === undefined ? {generation: generationOf(fleet, name)} : {credential}
  const job: Job = {kind: 'revoke', name, plan, asked: {...asked, ...(reissue && {reissue})}, issues: reissue}
  const committed = await carryOut(store, job, dependencies, options)
  return {...committed, name, streamLimit: streamLimit(settings.timeouts.thanosConnection), ...(credential !== undefined && {credential})}
}

/**
 * Ends a revocation: certificates of the new generation are issued. Nothing changes for a cluster that is not revoked.
 * @throws AtlasError `not-found`, `unreachable` when no leader answers
 */
export async function restoreCluster(
  store: StateStore,
  text: string,
  dependencies: OpsDependencies,
  options: Options = {},
): Promise<Committed & {readonly name: ClusterName}> {
  const name = parseClusterName(text)
  const plan = (fleet: Fleet): readonly Change[] => planRestore(fleet, requireCluster(fleet, text))
  return {...(await carryOut(store, {kind: 'restore', name, plan, asked: {}, issues: true}, dependencies, options)), name}
}

interface Job {
  readonly kind: RequestKind
  readonly name: ClusterName
  plan(fleet: Fleet): readonly Change[]
  readonly asked: AskedOptions
  /** Whether it is done only when a new credential is issued. */
  readonly issues: boolean
}

async function carryOut(
  store: StateStore,
  {kind, name, plan, asked, issues}: Job,
  dependencies: OpsDependencies,
  {waitMs, ...options}: Options,
): Promise<Committed> {
  if (store.signedBy === 'caller')
    return changeInstallation(
      store,
      fleet => {
        const changes = plan(fleet)
        return [...changes, ...planReconcile(reduceAll(fleet, changes), judgedOnce(dependencies, store, fleet), {renewals: noRenewals})]
      },
      options,
    )
  if (options.dryRun === true) {
    const deletesKeys = kind === 'revoke' && !issues && asked.credential === undefined
    return changeInstallation(store, fleet => (deletesKeys ? withUnseenKeys(name, plan(fleet)) : plan(fleet)), options)
  }

  const request = newRequest(kind, dependencies, asked)
  const committed = await changeInstallation(store, fleet => (plan(fleet).length === 0 ? [] : [request.for([name])]), options)
  if (waitMs === undefined || committed.changes.length === 0) return committed
  const what = `cluster ${name} is not ${kind === 'restore' ? 'restored' : 'revoked'} yet`
  await waitForAnswer(store, {id: request.id, kind, owners: [name], ...asked}, what, {waitMs, dependencies})
  const before = new Set(committed.before.records.get(name)?.credentials.map(({sha256}) => sha256))
  const isIssued = (fleet: Fleet): boolean =>
    !isServed(fleet, name) ||
    fleet.records.get(name)?.credentials.some(({sha256, state}) => state === 'valid' && !before.has(sha256)) === true
  if (issues)
    await waitForLeader(store, isIssued, `the new credential of ${name} is not issued yet`, {
      ...{waitMs, dependencies, isFutile: isUnsignedReason},
    })
  return committed
}
