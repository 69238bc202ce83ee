/** Log lines: JSON objects, one a line, bounded, never with key material. */
import {type DestinationStream, destination, pino, stdTimeFunctions} from 'pino'
import {printable} from '../lib/model/printable.js'

export type LogLevel = 'debug' | 'error' | 'info' | 'warn'

/** The levels that are written by default. */
export const logLevels = ['error', 'warn', 'info'] as const

export type LogFields = Readonly<Record<string, boolean | number | readonly string[] | string | undefined>>

export type Log = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>

/** Longer text is cut: much of it comes from clients, such as the message of a NACK. */
export const LOG_TEXT_MAX = 1000

/** JSON lines with `level`, `time` (ISO 8601) and `msg` to `to`, by default stderr. */
export function openLog(options: {readonly level?: LogLevel; readonly to?: DestinationStream} = {}): Log {
  const logger = pino(
    {level: options.level ?? 'info', base: null, timestamp: stdTimeFunctions.isoTime, formatters: {level: label => ({level: label})}},
    options.to ?? destination({dest: 2, sync: true}),
  )
  const write =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (logger.isLevelEnabled(level)) logger[level](boundedFields(fields), bounded(message))
    }

  return {debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error')}
}

/** A log that drops everything. */
export const silentLog: Log = {debug: drop, info: drop, warn: drop, error: drop}

/** The given log, or a new one of the given level. */
export function logOf(log: Log | LogLevel | 'silent' | undefined): Log {
  if (typeof log === 'object') return log
  return log === 'silent' ? silentLog : openLog(log === undefined ? {} : {level: log})
}

/** `text` as a log, a report or an Event may hold it: printable, cut, and without anything that looks like a key. */
export function bounded(text: string): string {
  const safe = /-----BEGIN [A-Z ]*PRIVATE KEY/.test(text) ? '[secret]' : printable(text)
  return safe.length > LOG_TEXT_MAX ? `${safe.slice(0, LOG_TEXT_MAX - 3)}...` : safe
}

function boundedFields(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]): [string, LogFields[string]] => {
      if (typeof value === 'string') return [key, bounded(value)]
      if (Array.isArray(value)) return [key, (value as readonly unknown[]).slice(0, 20).map(item => bounded(String(item)))]
      return [key, value]
    }),
  )
}

function drop(): void {
  // Not logged.
}
