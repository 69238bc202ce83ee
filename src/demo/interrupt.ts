/** Ctrl-C, SIGTERM and a closed terminal as one AbortSignal; a second signal ends the process at once, and the guard stops the programs. */
import {onSignals} from '../lib/cli/signals.js'
import {AtlasError} from '../lib/model/errors.js'

export interface Interrupt {
  readonly signal: AbortSignal
  /** Restores the default handling of the signals. */
  dispose(): void
}

/** Exit code of a program that Ctrl-C ended, by the shells' convention. */
export const INTERRUPTED_EXIT = 130

/** @param onFirst called once, at the first signal, to print that the demo is stopping */
export function listenForInterrupt(onFirst: () => void): Interrupt {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED_EXIT)
    controller.abort(new AtlasError('failed', 'the demo was interrupted before it was done'))
    onFirst()
  }
  return {signal: controller.signal, dispose: onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], stop)}
}
