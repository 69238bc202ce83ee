/** Looks after each pass of the leader for texts that are too long for Thanos Query (ops/text-limits.ts), logs them, and warns of them. */
import type {Fleet} from '../../lib/model/fleet.js'
import {textsTooLong} from '../../lib/ops/text-limits.js'
import type {Log} from '../log.js'

export interface TextLimits {
  look(fleet: Fleet): void
  /** Another server leads now. */
  forget(): void
  /** Each text that was too long at the last look, as a sentence. */
  warnings(): readonly string[]
}

export interface TextLimitsDependencies {
  readonly log: Log
  /** Whether the DNS zone is kept. */
  readonly withZone: boolean
  /** A text is too long that was not at the look before. */
  tooLong(why: string): void
}

/** No text is too long at first. */
export function openTextLimits({log, withZone, tooLong}: TextLimitsDependencies): TextLimits {
  let last: ReadonlyMap<string, string> = new Map()
  return {
    look(fleet) {
      const before = last
      last = textsTooLong(fleet, {withZone})
      for (const [text, why] of last) {
        if (before.has(text)) continue
        log.error(why, {text, hint: 'all else is written; docs/reference/limits.md'})
        tooLong(why)
      }

      for (const text of before.keys()) if (!last.has(text)) log.info('a text for Thanos Query is short enough again', {text})
    },
    forget() {
      last = new Map()
    },
    warnings: () => [...last.values()],
  }
}
