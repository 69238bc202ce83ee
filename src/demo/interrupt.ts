/** Ctrl-C, SIGTERM and a closed terminal as one AbortSignal; asked a second time, the process ends at once and the guard tidies up. */
import {AtlasError} from '../lib/model/errors.js'

export interface Interrupt {
  readonly signal: AbortSignal
  /** Gives the signals back to the system. */
  dispose(): void
}

/** Exit code of a program that Ctrl-C ended, by the shells' convention. */
export const INTERRUPTED_EXIT = 130

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** @param onFirst told once, to say that all is being ended */
export function listenForInterrupt(onFirst: () => void): Interrupt {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED_EXIT)
    controller.abort(new AtlasError('failed', 'the demo was ended before it was done'))
    onFirst()
  }
  for (const signal of signals) process.on(signal, stop)
  return {
    signal: controller.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, stop)
    },
  }
}
