/** Durations and times as people write and read them: 30d, 12h, 5m, 90s, 200ms; 2026-12-01T05:06Z. */
import {invalid} from './errors.js'

const seconds: Readonly<Record<string, number>> = {ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, y: 31_536_000}

/**
 * A duration in seconds: a whole number and one of ms, s, m, h, d, y (365 days); more than zero, at most 100 years.
 * @throws AtlasError `invalid`
 */
export function parseDuration(text: string, what = 'a duration'): number {
  const match = /^([0-9]{1,12})(ms|[smhdy])$/.exec(text)
  const duration = Number(match?.[1] ?? 0) * (seconds[match?.[2] ?? ''] ?? 0)
  if (duration <= 0 || duration > 100 * 31_536_000)
    throw invalid(what, 'a whole number with a unit, such as 30d, 12h, 5m, 90s or 200ms', text)
  return duration
}

/** The shortest writing that `parseDuration` reads as the same: 90 -> 90s, 3600 -> 1h, 0.2 -> 200ms. */
export function renderDuration(duration: number): string {
  const units = ['y', 'd', 'h', 'm', 's'].filter(unit => duration % (seconds[unit] ?? 1) === 0)
  const unit = units[0]
  return unit === undefined ? `${Math.round(duration * 1000)}ms` : `${duration / (seconds[unit] ?? 1)}${unit}`
}

/** For a reader: ISO 8601 to the minute, with its zone, such as `2026-12-01T05:06Z`. @param time ISO 8601, UTC, where it is a text */
export function renderTime(time: Date | string): string {
  return `${(typeof time === 'string' ? time : time.toISOString()).slice(0, 16)}Z`
}

/** For a reader: the two largest units, such as `2d 3h`; `now` below a second. */
export function renderAge(duration: number): string {
  const parts: string[] = []
  let rest = Math.floor(duration)
  for (const [unit, size] of [
    ['y', 31_536_000],
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    if (rest >= size && parts.length < 2) parts.push(`${Math.floor(rest / size)}${unit}`)
    else if (parts.length > 0) break
    rest %= size
  }

  return parts.length === 0 ? 'now' : parts.join(' ')
}
