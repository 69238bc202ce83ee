/** Waits for the end of a rotation, which servers bring about whether a command waits or not. Beginning one: start.ts. */
import {AtlasError} from '../../model/errors.js'
import {type Fault, type Fleet, faultOf} from '../../model/fleet.js'
import {type Rotation, describeStage} from '../../model/rotation.js'
import {isSameKey} from '../../pki/signed.js'
import type {StateStore} from '../../store/store.js'
import {watchFleet} from '../watch-fleet.js'

/** How a rotation is followed. */
export interface RotationWatch {
  readonly waitMs: number
  /** Called with each new state of the rotation. */
  readonly changed: (rotation: Rotation) => void
}

/**
 * Resolves when no rotation is under way any more and the trust bundle has no former issuer. Without a record of the rotation a bundle that
 * has one shows that the record is lost: the leader makes it again and goes on.
 * @returns the rotation as it was seen last; undefined where it had ended before
 * @throws AtlasError `failed` with what it waits for when the time is up, and where its record cannot be read; the servers go on
 */
export async function followRotation(store: StateStore, {waitMs, changed}: RotationWatch): Promise<Rotation | undefined> {
  const [ended, limit] = [new AbortController(), AbortSignal.timeout(Math.round(waitMs))]
  const done = Promise.withResolvers<Rotation | undefined>()
  done.promise.catch(() => undefined)
  let last: Rotation | undefined
  const look = (fleet: Fleet): void => {
    const {rotation} = fleet
    const fault = faultOf(fleet, 'rotation')
    if (fault !== undefined) done.reject(unreadable(fault))
    else if (rotation === undefined) {
      if (!hasFormerIssuer(fleet)) done.resolve(last)
    } else if (rotation !== last) changed(rotation)
    last = rotation ?? last
  }

  limit.addEventListener('abort', () => {
    done.reject(new Error('the time is up'))
  })
  try {
    await watchFleet(store, look, AbortSignal.any([ended.signal, limit]))
    return await done.promise
  } catch (error) {
    throw limit.aborted ? unfinished(last, waitMs) : error
  } finally {
    ended.abort()
  }
}

/** As `leftover` tells it from the bundle alone: below one root a former credential issuer may stay. */
function hasFormerIssuer({trust}: Fleet): boolean {
  if (trust === undefined) return false
  // Two certificates of one key and one name are one authority: it was issued again.
  const isOne = ([first = '', ...others]: readonly string[]): boolean => others.every(each => isSameKey(first, each))
  return !isOne(trust.issuers) || (!isOne(trust.roots) && !isOne(trust.credentialIssuers))
}

function unreadable({source, object, key, message}: Fault): AtlasError {
  return new AtlasError('failed', `the record of the rotation cannot be read: ${source ?? object}, ${key}: ${message}`, {
    hint: 'fix it there, or delete it: what is in the trust bundle shows how far the rotation is, and the servers go on; "atlas rotate --status" shows when',
  })
}

function unfinished(rotation: Rotation | undefined, waitMs: number): AtlasError {
  const waiting = rotation?.waitingFor ?? []
  const after = `after ${Math.round(waitMs / 1000)} s`
  const how = rotation === undefined ? `has not begun ${after}, or its record is lost` : `is at ${describeStage(rotation)} ${after}`
  return new AtlasError('failed', `the rotation ${how}${waiting.length === 0 ? '' : `; it waits: ${waiting.join('; ')}`}`, {
    hint: 'the servers go on with it; "atlas rotate --status" shows how far it is',
  })
}
