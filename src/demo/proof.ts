/** A proof: an action on the running network, and what was observed. */
import {AtlasError, messageOf} from '../lib/model/errors.js'

export interface Proof {
  /** Stable: scripts may rely on it. */
  readonly name: string
  readonly ok: boolean
  /** One sentence of what was observed, with figures. */
  readonly saw: string
}

/** The observation contradicts the claim. */
export class Disproof extends Error {}

/** Fails the proof unless `isTrue`. @param saw what was observed instead */
export function insist(isTrue: unknown, saw: string): asserts isTrue {
  if (isTrue !== true) throw new Disproof(saw)
}

/**
 * Runs a proof. An error that it throws fails the proof and does not end the demo.
 * @param prove returns what was observed
 * @throws the signal's reason once it has aborted: a crashed program, or Ctrl-C
 */
export async function runProof(name: string, prove: () => Promise<string>, signal: AbortSignal): Promise<Proof> {
  try {
    return {name, ok: true, saw: await prove()}
  } catch (error) {
    signal.throwIfAborted()
    const hint = error instanceof AtlasError && error.hint !== undefined ? ` (${error.hint})` : ''
    return {name, ok: false, saw: `${messageOf(error)}${hint}`}
  }
}
