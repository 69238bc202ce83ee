/** The path inside an object at which something is wrong: carried beside an error, so that a fault can name it. */
import {AtlasError, messageOf} from '../model/errors.js'

/** The path inside an object that an error is about, such as `data.tls.crt`. */
class PathError extends Error {
  readonly key: string

  constructor(key: string, cause: unknown) {
    super(key, {cause})
    this.key = key
  }
}

/** Runs `parse`; an error that it throws gets the path `key`, unless it has a path further inside already. */
export function at<T>(key: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof AtlasError && error.cause instanceof PathError) throw error
    const hint = error instanceof AtlasError ? error.hint : undefined
    throw new AtlasError('invalid', messageOf(error), {cause: new PathError(key, error), ...(hint !== undefined && {hint})})
  }
}

/** The path that `at` attached to an error; `fallback` where there is none. */
export function pathOf(error: unknown, fallback: string): string {
  return error instanceof AtlasError && error.cause instanceof PathError ? error.cause.key : fallback
}
