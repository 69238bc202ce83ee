/** Asking the leader, who alone holds the keys, and waiting until it has done it. */
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import type {Request} from '../model/request.js'
import type {Heartbeat, StateStore} from '../store/store.js'
import type {OpsDependencies} from './dependencies.js'

/** How long to wait, milliseconds; undefined: not at all. */
export interface Patience {
  readonly waitMs: number | undefined
}

/** A request as one writes it, under an id of its own. */
export function newRequest(
  kind: Request['kind'],
  owners: Request['owners'],
  dependencies: OpsDependencies,
): Extract<Change, {kind: 'request'}> {
  const id = `${kind}-${dependencies.signer.serial().slice(0, 16)}`
  return {kind: 'request', id, value: {kind, owners, requestedAt: dependencies.now().toISOString(), state: 'waiting'}}
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
  {waitMs, dependencies}: {readonly waitMs: number; readonly dependencies: OpsDependencies},
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
    found.reject(new Error('nobody has answered in time'))
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
    throw limit.aborted ? await unanswered(store, what, {waitMs, dependencies}) : error
  } finally {
    ended.abort()
  }
}

/** Waits for the answer to a request. @throws AtlasError `failed` with the leader's words where it could not be done */
export async function waitForAnswer(
  store: StateStore,
  id: string,
  what: string,
  patience: {readonly waitMs: number; readonly dependencies: OpsDependencies},
): Promise<void> {
  const fleet = await waitForLeader(store, ({requests}) => requests.get(id)?.state !== 'waiting', what, patience)
  const request = fleet.requests.get(id)
  if (request === undefined)
    throw new AtlasError('failed', `${what}: the request is gone, and nobody has said what became of it`, {
      hint: 'look at the cluster, and ask again',
    })
  if (request.state === 'failed') throw new AtlasError('failed', `${what}: ${request.message ?? 'the leader says no more'}`)
}

/** The clocks of two machines may differ, and a Lease is renewed only so often. Seconds. */
export const SILENCE = 20

/** Seconds since a server said that it lives, by its clock and ours. */
export function silenceOf({renewedAt}: Heartbeat, now: Date): number {
  return Math.max(0, Math.round((now.getTime() - Date.parse(renewedAt)) / 1000))
}

/** Says what the Lease says: nobody leads, or somebody does and has its reasons. */
async function unanswered(
  store: StateStore,
  what: string,
  {waitMs, dependencies}: {readonly waitMs: number; readonly dependencies: OpsDependencies},
): Promise<AtlasError> {
  const kubectl = `kubectl -n ${store.namespace ?? ''}`
  const heartbeats = await store.heartbeats().catch(() => undefined)
  const leader = heartbeats?.find(({replica}) => replica === undefined)
  const pods = `${kubectl} get pods -l app.kubernetes.io/component=controller`
  if (heartbeats === undefined)
    return new AtlasError('unreachable', `${what}: no leader has answered within ${waitMs / 1000} s; it will be done when one does`, {
      hint: `is a server running? ${kubectl} get lease atlas; ${pods}`,
    })
  if (leader === undefined || leader.holder === '' || silenceOf(leader, dependencies.now()) > SILENCE) {
    const since =
      leader === undefined || leader.holder === ''
        ? ''
        : ` any more: ${nameOf(leader)} did until ${silenceOf(leader, dependencies.now())} s ago`
    return new AtlasError('unreachable', `${what}: nobody leads${since}; it will be done when a server does`, {
      hint: `a server with --role controller or all is wanted; ${kubectl} get lease atlas; ${pods}`,
    })
  }

  const name = nameOf(leader)
  return new AtlasError('unreachable', `${what}: the leader, ${name}, has not done it within ${waitMs / 1000} s`, {
    hint: `its log says why, and events do; ${kubectl} logs ${name}; ${kubectl} get events`,
  })
}

/** The replica's own name: what stands behind it tells its lives apart. */
export function nameOf({holder}: Heartbeat): string {
  return holder.replace(/_[^_]*$/, '')
}
