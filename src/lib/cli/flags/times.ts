/** `serve`'s time limits as one repeatable flag: names and durations. */
import {parseDuration, renderDuration} from '../../model/duration.js'
import {AtlasError} from '../../model/errors.js'

/**
 * `NAME=DURATION` entries as milliseconds.
 * @param defaults the names there are, with what each is unless set, in milliseconds
 * @throws AtlasError `invalid`
 */
export function parseTimes<T extends Readonly<Record<string, number>>>(entries: readonly string[], defaults: T): Partial<T> {
  const times = entries.map(entry => {
    const cut = entry.indexOf('=')
    const name = `${entry.slice(0, Math.max(cut, 0)).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())}Ms`
    if (!Object.hasOwn(defaults, name))
      throw new AtlasError('invalid', `--time takes NAME=DURATION, such as max-age=1h; got "${entry.slice(0, 80)}"`, {
        hint: `names: ${timeNames(defaults)}`,
      })
    return [name, parseDuration(entry.slice(cut + 1), `--time ${entry.slice(0, cut)}`) * 1000] as const
  })
  return Object.fromEntries(times) as Partial<T>
}

/** `max-age (1h), …`: the names and their defaults, for help. */
export function timeNames(defaults: Readonly<Record<string, number>>): string {
  return Object.entries(defaults)
    .map(
      ([name, value]) =>
        `${name.replace(/Ms$/, '').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)} (${renderDuration(value / 1000)})`,
    )
    .join(', ')
}
