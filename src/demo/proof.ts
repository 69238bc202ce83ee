/** A proof: something done on the running network, and what was really seen. */
import {AtlasError, messageOf} from '../lib/model/errors.js'

export interface Proof {
  /** Stable: scripts may rely on it. */
  readonly name: string
  readonly ok: boolean
  /** One sentence of what was observed, with figures. */
  readonly saw: string
}

/** What was seen speaks against the claim. */
export class Disproof extends Error {}

/** Ends the proof as failed unless `isTrue`. @param saw what was seen instead */
export function insist(isTrue: unknown, saw: string): asserts isTrue {
  if (isTrue !== true) throw new Disproof(saw)
}

/**
 * Runs a proof. What it throws is a failed proof, not the end of the demo.
 * @param prove gives what was seen
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
