/** SIGHUP, SIGINT and SIGTERM: as an AbortSignal, and for commands that do not handle them, as PID 1 too. */

const NUMBERS = {SIGHUP: 1, SIGINT: 2, SIGTERM: 15} as const

export type Signal = keyof typeof NUMBERS

/** How many listeners of `onSignals` handle a signal now. Listeners of packages, such as a prompt's, do not count: they rely on the default action. */
const handlers = new Map<Signal, number>()

/** Calls `listener` at each of the signals, instead of the default action. @returns restores the default action */
export function onSignals(signals: readonly Signal[], listener: () => void): () => void {
  for (const signal of signals) {
    handlers.set(signal, (handlers.get(signal) ?? 0) + 1)
    process.on(signal, listener)
  }

  return () => {
    for (const signal of signals) {
      if (!process.listeners(signal).includes(listener)) continue
      process.off(signal, listener)
      handlers.set(signal, (handlers.get(signal) ?? 0) - 1)
    }
  }
}

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function terminationSignal(): AbortSignal {
  const terminated = new AbortController()
  const dispose = onSignals(['SIGINT', 'SIGTERM'], () => {
    dispose()
    terminated.abort()
  })
  return terminated.signal
}

/**
 * Gives a process that runs as PID 1 the default action of all other processes: a signal that no `onSignals` handles ends it, with exit
 * code 128 + its number. The kernel gives PID 1 no default action, so that without this a container ignores Ctrl-C and `docker stop`
 * until it is killed.
 */
export function endOnSignals(): void {
  for (const [signal, number] of Object.entries(NUMBERS) as [Signal, number][])
    process.on(signal, () => {
      if ((handlers.get(signal) ?? 0) === 0) process.exit(128 + number)
    })
}

/** Resolves when the signal is aborted, at once where it is already. */
export async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), {once: true})
  })
}
