/** Finds the demo's programs, says which are still being downloaded or built, and waits for them. */
import {type ProgramName, programs} from './lab/catalogue.js'
import {type Availability, type Environment, type Pending, availability, awaitProgram, renderPending} from './lab/programs.js'
import {pause} from './lab/wait.js'
import {listed} from './format.js'
import type {Screen} from './screen.js'

export interface FinderOptions {
  readonly env: Environment
  readonly screen: Screen
  readonly signal: AbortSignal
}

export type Ended = Exclude<Availability, {kind: 'pending'}>

/** Shows in at most three lines which programs are here, which are coming, and which are not. */
export async function showPrograms(names: readonly ProgramName[], {env, screen}: FinderOptions): Promise<void> {
  const titles: Record<Availability['kind'], string[]> = {found: [], pending: [], missing: []}
  for (const name of names) titles[(await availability(programs[name], env)).kind].push(programs[name].title)
  if (titles.found.length > 0) screen.detail(`found: ${listed(titles.found)}`)
  if (titles.pending.length > 0)
    screen.detail(`being downloaded or built meanwhile: ${listed(titles.pending)}; their proofs come when they are there`)
  if (titles.missing.length > 0) screen.detail(`not found: ${listed(titles.missing)}; proofs that need them will be skipped`)
}

/** Waits while the program is being downloaded or built, and shows the progress. */
export async function awaitShown(name: ProgramName, {env, screen, signal}: FinderOptions): Promise<Ended> {
  return awaitProgram(programs[name], env, {
    signal,
    onProgress: pending => {
      screen.progress(progressOf(name, pending))
    },
  })
}

/** A program that is there, or is known to be missing. */
export interface Settled<N extends ProgramName> {
  readonly name: N
  readonly state: Ended
}

/** The earliest of these programs that is there or is known to be missing; undefined where all are still coming, and where there are none. */
export async function firstSettled<N extends ProgramName>(names: readonly N[], {env}: FinderOptions): Promise<Settled<N> | undefined> {
  for (const name of names) {
    const state = await availability(programs[name], env)
    if (state.kind !== 'pending') return {name, state}
  }

  return undefined
}

/** Waits until one of these programs is there or is known to be missing, and shows the progress of the first. */
export async function awaitFirst<N extends ProgramName>(names: readonly [N, ...N[]], finder: FinderOptions): Promise<Settled<N>> {
  for (;;) {
    const settled = await firstSettled(names, finder)
    if (settled !== undefined) return settled
    const state = await availability(programs[names[0]], finder.env)
    if (state.kind === 'pending') finder.screen.progress(progressOf(names[0], state.pending))
    await pause(1000, finder.signal)
  }
}

/** Shows why a program is missing and how to get it. */
export function warnMissing(name: ProgramName, why: string, screen: Screen): void {
  screen.warn(`${why.replace(/\.$/, '')}; to get it: ${programs[name].remedy}`)
}

function progressOf(name: ProgramName, pending: Pending): string {
  return `waiting for ${programs[name].title}: ${renderPending(pending)}`
}
