/** One seed with real keys and sessions, and its store repeated in a directory. What must come of it is the state of the same seed with symbolic ones. */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {isStored, objectOf} from '../../src/lib/manifest/encode.js'
import {reduceAll} from '../../src/lib/model/change.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {symbolicSigner} from '../../src/lib/pki/symbolic.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {Sessions} from './sessions.js'
import {simulate} from './simulate.js'
import {stateOf} from './state.js'
import type {Attempt} from './store.js'

export interface Real {
  /** What was wrong; undefined: nothing. */
  readonly failure: string | undefined
  /** The state that was read from the directory at the end. */
  readonly state: string
  /** How many responses Envoys have answered, and how many of these they have refused. */
  readonly answered: number
  readonly refused: number
  /** How many attempts to write were repeated, and how many of these were conflicts. */
  readonly attempts: number
  readonly conflicts: number
}

/** Keys on P-256, ADS sessions and a directory store, by the clock of the simulation. @param tell given each sentence of the history */
export async function simulateReal(seed: number, events: number, tell?: (sentence: string) => void): Promise<Real> {
  const sessions = new Sessions()
  const {network, failure} = simulate(seed, {events, signer: symbolicSigner, tell, checks: sessions, recordsAttempts: true})
  const attempts = network.store.attempts ?? []
  const {answered, refused} = sessions
  const counts = {answered, refused, attempts: attempts.length, conflicts: attempts.filter(({isConflict}) => isConflict).length}
  const directory = await mkdtemp(path.join(tmpdir(), 'atlas-simulation-'))
  try {
    const found = await repeated(attempts, directory)
    const state = stateOf(found.fleet)
    const isSame = state === stateOf(network.store.fleet)
    return {...counts, state, failure: failure ?? found.failure ?? (isSame ? undefined : 'the directory holds another state')}
  } finally {
    await rm(directory, {recursive: true})
  }
}

/** After so many attempts the directory is read in full. */
const LOOK = 250

/** Repeats what was written, and every conflict, in a directory. */
async function repeated(
  attempts: readonly Attempt[],
  directory: string,
): Promise<{readonly fleet: Fleet; readonly failure: string | undefined}> {
  const store = openDirectory({directory, create: true})
  const fleets = [emptyFleet]
  let [expected, failure]: [Fleet, string | undefined] = [emptyFleet, undefined]
  for (const [index, {base, isConflict, groups}] of attempts.entries()) {
    if (isConflict) {
      const [planned, present] = [fleets[base] ?? emptyFleet, fleets.at(-1) ?? emptyFleet]
      const keys = groups.flat().flatMap(change => (isStored(change) ? [objectOf(change)] : []))
      // The revision of a file is its digest: where each is again as it was planned on, a directory knows of no other writer.
      if (keys.every(key => planned.revisions.get(key) === present.revisions.get(key))) continue
      const error: unknown = await store.commit(planned, groups.flat()).catch((reason: unknown) => reason)
      if (!(error instanceof AtlasError && error.code === 'conflict'))
        failure ??= `the directory took what was a conflict: attempt ${index}`
    } else {
      for (const changes of groups) fleets.push(await store.commit(fleets.at(-1) ?? emptyFleet, changes))
      expected = reduceAll(expected, groups.flat())
    }

    if (index % LOOK === 0 && stateOf(await store.load()) !== stateOf(expected)) failure ??= `the directory differs after attempt ${index}`
  }

  const fleet = await store.load()
  return {fleet, failure: failure ?? (fleet.faults.size === 0 ? undefined : `the directory has faults: ${[...fleet.faults.keys()].join()}`)}
}
