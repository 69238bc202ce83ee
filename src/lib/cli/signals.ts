/** SIGINT and SIGTERM as an AbortSignal. */

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function terminationSignal(): AbortSignal {
  const terminated = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => terminated.abort())
  return terminated.signal
}

/** Resolves when the signal is aborted, at once where it is already. */
export async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), {once: true})
  })
}
