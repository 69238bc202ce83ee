/** What a use case needs besides its store. */
import type {Signer} from '../pki/signer.js'

export interface OpsDependencies {
  now(): Date
  readonly signer: Signer
  /**
   * Why `now` is not believed, as a sentence; undefined: it is. While it is not, nothing is signed, and nothing is dropped because its time
   * is over. Absent: the clock was not judged (ops/clock.ts).
   */
  readonly clockDoubt?: () => string | undefined
}

/** The time, and whether it is believed. */
export type Clock = Pick<OpsDependencies, 'clockDoubt' | 'now'>
