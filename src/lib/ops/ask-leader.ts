/** Requests to the leader, which alone can read the signing keys, and waiting until it has done what was asked. Answering: answer-requests.ts. */
import {isDeepStrictEqual} from 'node:util'
import type {Change} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import type {Owner} from '../model/names.js'
import {type Asked, type RequestKind, describeRequest, namedIn} from '../model/request.js'
import type {Heartbeat, StateStore} from '../store/store.js'
import type {OpsDependencies} from './dependencies.js'
import {holderName, leaderIn, leaseIn, livenessIn} from './leases.js'
import {ANSWERS} from './replicas.js'
import {watchFleet} from './watch-fleet.js'

/** How long to wait, milliseconds; undefined: not at all. */
export interface Patience {
  readonly waitMs: number | undefined
}

/** A request under a new id; `for` makes the change that stores it. */
export function newRequest(
  kind: RequestKind,
  {now, signer}: OpsDependencies,
  details: AskedOptions = {},
): {id: string; for(owners: readonly Owner[]): Change} {
  const id = `${kind}-${signer.serial().slice(0, 16)}`
  return {id, for: owners => ({kind: 'request', id, value: {kind, owners, ...details, requestedAt: now().toISOString(), state: 'waiting'}})}
}

export type AskedOptions = Omit<Asked, 'kind' | 'owners'>

/** How a leader is waited for. */
export interface LeaderPatience {
  readonly waitMs: number
  readonly dependencies: OpsDependencies
  /** Whether a warning of the leader means that it will not do it before a person has acted: then the waiting ends early. */
  readonly isFutile?: (warning: string) => boolean
}

/** How often the leader's warnings are looked at, milliseconds: its Lease has those of the last renewal, about 2 s ago. */
const WARNINGS_LOOK = 3000

/**
 * Resolves with the first fleet for which `isDone`.
 * @param what begins the message of an error, such as `the credential of paris is not issued yet`
 * @throws AtlasError `unreachable` when no leader has done it within `waitMs`; what was written stays, and a leader will do it. `failed`
 * where the leader's warnings show that waiting is futile
 */
export async function waitForLeader(
  store: StateStore,
  isDone: (fleet: Fleet) => boolean,
  what: string,
  {waitMs, dependencies, isFutile}: LeaderPatience,
): Promise<Fleet> {
  const ended = new AbortController()
  const limit = AbortSignal.timeout(waitMs)
  const found = Promise.withResolvers<Fleet>()
  // The time may be up before the promise is awaited.
  found.promise.catch(() => undefined)
  const look = (fleet: Fleet): void => {
    if (isDone(fleet)) found.resolve(fleet)
  }

  limit.addEventListener('abort', () => {
    found.reject(new Error('no leader has answered in time'))
  })
  let seen: Heartbeat | undefined
  const lookAtWarnings = async (isMeant: (warning: string) => boolean): Promise<void> => {
    const lease = leaseIn(await store.heartbeats())
    // Its renewal shows that the leader is alive, whatever its clock or this one shows: the next leader may be able to do it.
    const isAlive = seen !== undefined && seen.renewedAt !== lease?.renewedAt
    seen = lease
    const reasons = lease?.warnings.filter(warning => isMeant(warning)) ?? []
    if (lease !== undefined && isAlive && reasons.length > 0) found.reject(futile(what, lease, reasons))
  }

  const watching = isFutile && setInterval(() => void lookAtWarnings(isFutile).catch(ignore), WARNINGS_LOOK)
  try {
    await watchFleet(store, look, AbortSignal.any([ended.signal, limit]))
    return await found.promise
  } catch (error) {
    // After the limit, why the store could not be read does not matter: the leader has not answered.
    throw limit.aborted ? await unanswered(store, what, {waitMs, dependencies}) : error
  } finally {
    clearInterval(watching)
    ended.abort()
  }
}

/** Waits for the answer to a request. @throws AtlasError `failed` with the leader's message where it could not be done, and as `waitForLeader` */
export async function waitForAnswer(
  store: StateStore,
  {id, ...asked}: {readonly id: string} & Partial<Asked> & Pick<Asked, 'owners'>,
  what: string,
  patience: {readonly waitMs: number; readonly dependencies: OpsDependencies},
): Promise<void> {
  const fleet = await waitForLeader(store, each => isAnswered(each, id), what, patience)
  const answer = fleet.answers.get(id)
  if (answer !== undefined && !isSame(answer, asked))
    throw new AtlasError(
      'failed',
      `${what}: the request was changed before the leader read it; the leader did: ${describeRequest(answer)}`,
      {
        hint: 'other accounts that may ask the leader may write ConfigMap atlas-requests too; see its managedFields, and run the command again',
      },
    )
  const request = answer ?? fleet.requests.get(id)
  if (request === undefined)
    throw new AtlasError('failed', `${what}: the request was deleted before it was answered`, {
      hint: 'see whether it was done ("atlas status"), and run the command again if not',
    })
  if (request.state === 'failed') throw new AtlasError('failed', `${what}: ${request.message ?? 'the leader gives no reason'}`)
}

/** @param asked without a kind, that is not compared */
function isSame(answer: Asked, asked: Partial<Asked> & Pick<Asked, 'owners'>): boolean {
  const parts = (each: Asked): unknown => {
    const {kind, owners, credential, generation, reissue, skip} = each
    return {kind, owners: [...owners].sort(), credential, generation, reissue, skip: [...(skip ?? [])].sort(), named: namedIn(each)}
  }
  return isDeepStrictEqual(parts(answer), parts({kind: answer.kind, ...asked}))
}

/**
 * Whether the leader has answered, or the request is gone. What stands in the request itself counts only where no leader of this version
 * has run: each account that may ask can write it.
 */
function isAnswered({answers, requests, revisions}: Fleet, id: string): boolean {
  const request = requests.get(id)
  return answers.has(id) || request === undefined || (request.state !== 'waiting' && !revisions.has(ANSWERS))
}

/** The error for what the leader will not do before a person has acted. */
function futile(what: string, lease: Heartbeat, reasons: readonly string[]): AtlasError {
  return new AtlasError('failed', `${what}: the leader, ${holderName(lease)}, reports: ${reasons.join('; ')}`, {
    hint: 'the leader does it as soon as that is repaired; "atlas status" shows when',
  })
}

function ignore(): void {
  // Without the right to read Leases a command waits until its time is up.
}

/** The error for a request that was not answered in time: there is no leader, or it has not done it yet. */
async function unanswered(
  store: StateStore,
  what: string,
  {waitMs, dependencies}: {readonly waitMs: number; readonly dependencies: OpsDependencies},
): Promise<AtlasError> {
  const kubectl = `kubectl -n ${store.namespace ?? ''}`
  const look = `${kubectl} get lease atlas; ${kubectl} get pods -l app.kubernetes.io/component=controller`
  const found = await livenessIn(store, {now: dependencies.now()}).catch(() => undefined)
  if (found === undefined)
    return new AtlasError('unreachable', `${what}: no leader has answered within ${waitMs / 1000} s; a leader will do it later`, {
      hint: `see whether a server runs: ${look}`,
    })
  const leader = leaderIn(found)
  if (leader?.isAlive !== true) {
    const last =
      leader === undefined ? '' : ` (the last one, ${holderName(leader.heartbeat)}, has not renewed its Lease for ${leader.silence} s)`
    return new AtlasError('unreachable', `${what}: there is no leader${last}; the next leader will do it`, {
      hint: `start a server with --role controller or all; ${look}`,
    })
  }

  const lease = leader.heartbeat
  const name = holderName(lease)
  const reasons = lease.warnings.length === 0 ? '' : `. It warns: ${lease.warnings.join('; ')}`
  return new AtlasError('unreachable', `${what}: the leader, ${name}, has not done it within ${waitMs / 1000} s${reasons}`, {
    hint: `its log and Events have the reason: ${kubectl} logs ${name}; ${kubectl} get events`,
  })
}
