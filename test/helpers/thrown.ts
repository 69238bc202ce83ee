/** The AtlasError that a call throws; anything else, or nothing, fails the test. */
import {AtlasError} from '../../src/lib/model/errors.js'

export function thrownBy(call: () => unknown): AtlasError {
  try {
    call()
  } catch (error) {
    if (error instanceof AtlasError) return error
    throw error
  }

  throw new Error('nothing was thrown')
}

export async function rejectedBy(promise: Promise<unknown>): Promise<AtlasError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => ({error}),
  )
  if (outcome === undefined) throw new Error('nothing was thrown')
  if (outcome.error instanceof AtlasError) return outcome.error
  throw outcome.error
}
