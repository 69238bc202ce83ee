/** The clock of the API server, by its responses. */
import type {IncomingMessage} from 'node:http'
import {steady} from '../steady.js'

export interface ServerTime {
  hear(response: IncomingMessage): void
  /** What it shows now, milliseconds since 1970; undefined before the first response. */
  now(): number | undefined
}

/** Every response has a `Date` with whole seconds (RFC 9110, 6.6.1). A text that is no date is passed over. */
export function openServerTime(): ServerTime {
  /** The API server's clock minus the steady one, milliseconds. */
  let offset: number | undefined
  return {
    hear({headers: {date}}) {
      const time = Date.parse(date ?? '')
      if (!Number.isNaN(time)) offset = time - steady()
    },
    now: () => (offset === undefined ? undefined : offset + steady()),
  }
}
