/** Asking the leader, who alone holds the keys, and waiting until it has done it. */
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import type {Request} from '../model/request.js'
import type {StateStore} from '../store/store.js'
import type {World} from './world.js'

/** How long to wait, milliseconds; undefined: not at all. */
export interface Patience {
  readonly waitMs: number | undefined
}

/** A request as one writes it, under an id of its own. */
export function newRequest(kind: Request['kind'], owners: Request['owners'], world: World): Extract<Change, {kind: 'request'}> {
  const id = `${kind}-${world.signer.serial().slice(0, 16)}`
  return {kind: 'request', id, value: {kind, owners, requestedAt: world.now().toISOString(), state: 'waiting'}}
}

/** Whether a leader signs for the store, and commands only ask. */
export function isLed(store: StateStore): boolean {
  return store.kubernetes !== undefined
}

/**
 * Resolves with the fleet in which `isDone`.
 * @param what was asked, for the message, such as `the credential of paris was not issued`
 * @throws AtlasError `unreachable` when no leader has done it in time: what was written stands, and it will be done
 */
export async function waitForLeader(
  store: StateStore,
  isDone: (fleet: Fleet) => boolean,
  what: string,
  {waitMs}: {waitMs: number},
): Promise<Fleet> {
  const ended = new AbortController()
  const limit = AbortSignal.timeout(waitMs)
  let fleet: Fleet | undefined
  const found = Promise.withResolvers<Fleet>()
  // It may be over before anybody waits for it.
  found.promise.catch(() => undefined)
  const look = (): void => {
    if (fleet !== undefined && isDone(fleet)) found.resolve(fleet)
  }

  limit.addEventListener('abort', () => {
    found.reject(unanswered(store, what, waitMs))
  })
  const early: Parameters<typeof reduceAll>[1][] = []
  try {
    fleet = await store.watch(
      {
        changed(changes) {
          if (fleet === undefined) early.push(changes)
          else {
            fleet = reduceAll(fleet, changes)
            look()
          }
        },
        failed: () => undefined,
        recovered: () => undefined,
      },
      AbortSignal.any([ended.signal, limit]),
    )
    fleet = reduceAll(fleet, early.flat())
    look()
    return await found.promise
  } catch (error) {
    // Whatever kept the store from being read all that time, nobody has answered.
    throw limit.aborted ? unanswered(store, what, waitMs) : error
  } finally {
    ended.abort()
  }
}

/** Waits for the answer to a request. @throws AtlasError `failed` with the leader's words where it could not be done */
export async function waitForAnswer(store: StateStore, id: string, what: string, waitMs: number): Promise<void> {
  // An answer is dropped after an hour: one that is gone was given.
  const fleet = await waitForLeader(store, ({requests}) => requests.get(id)?.state !== 'waiting', what, {waitMs})
  const request = fleet.requests.get(id)
  if (request?.state === 'failed') throw new AtlasError('failed', `${what}: ${request.message ?? 'the leader says no more'}`)
}

function unanswered({kubernetes}: StateStore, what: string, waitMs: number): AtlasError {
  const namespace = kubernetes?.namespace ?? ''
  return new AtlasError('unreachable', `${what}: no leader has answered within ${waitMs / 1000} s; it will be done when one does`, {
    hint: `is a server running? kubectl -n ${namespace} get lease atlas; kubectl -n ${namespace} get pods -l app.kubernetes.io/component=controller; kubectl -n ${namespace} logs -l app.kubernetes.io/component=controller`,
  })
}
