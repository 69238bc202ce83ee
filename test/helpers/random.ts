/** Random numbers that a run with the same seed repeats, for tests that choose what to break, and when. The seed: scripts/lanes/seed.mjs. */
import {createHash} from 'node:crypto'
import {seed} from '../../scripts/lanes/seed.mjs'

/** A source of numbers from 0 up to 1 by the seed of the run; sources of another name give others. */
export function randomSource(name: string): () => number {
  let count = 0
  return () => {
    count += 1
    return createHash('sha256').update(`${seed}/${name}/${count}`).digest().readUInt32BE() / 2 ** 32
  }
}
