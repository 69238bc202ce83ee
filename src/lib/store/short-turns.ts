/** Long work in short turns, so that streams, probes and Leases are served meanwhile. */
import {setImmediate as nextTurn} from 'node:timers/promises'

/** Other work gets a turn after so many milliseconds. */
const TURN = 8

/** Iterates to the end; a turn ends with the step that reaches its time. @returns what the steps gave @throws what a step throws */
export async function inShortTurns<Step>(steps: Iterable<Step>): Promise<readonly Step[]> {
  const all: Step[] = []
  let until = performance.now() + TURN
  for (const step of steps) {
    all.push(step)
    if (performance.now() < until) continue
    await nextTurn()
    until = performance.now() + TURN
  }

  return all
}
