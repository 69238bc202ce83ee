/** Flags that several commands take, and helpers to read flags. */
import {Flags, type Interfaces} from '@oclif/core'
import {parseDuration} from '../../model/duration.js'
import {AtlasError} from '../../model/errors.js'

/** What a set of flags parses to. */
export type FlagsOf<T> = Omit<Interfaces.InferredFlags<T>, 'json'>

export const dryRunFlag = {'dry-run': Flags.boolean({description: 'show what would be written, and write nothing'})}

export const confirmFlags = {
  yes: Flags.boolean({char: 'y', description: 'skip the confirmation'}),
  'no-input': Flags.boolean({description: 'never ask; fail if a confirmation is needed'}),
}

/** Whether to wait until the leader, which alone holds the keys, has applied a request. With `--store` the command applies it itself. */
export const waitFlags = {
  wait: Flags.boolean({allowNo: true, description: 'in Kubernetes: wait until the leader has applied the change (default on a terminal)'}),
  timeout: Flags.string({
    default: '60s',
    description: 'when to give up waiting: for what --wait waits for and, with --store, for another process that writes there',
    helpValue: 'DURATION',
  }),
}

/** How long to wait by `waitFlags`; undefined for not at all. @throws AtlasError `invalid` */
export function waitOf(flags: {readonly wait?: boolean | undefined; readonly timeout: string}): {waitMs: number | undefined} {
  const waitMs = parseDuration(flags.timeout, '--timeout') * 1000
  return {waitMs: (flags.wait ?? process.stderr.isTTY) ? waitMs : undefined}
}

/** The values without those that are undefined: with `exactOptionalPropertyTypes`, absent is not the same as undefined. */
export function present<T extends Record<string, unknown>>(values: T): {[K in keyof T]?: Exclude<T[K], undefined>} {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** The flag's value through `parse`; undefined where the flag was not given. */
export function parsed<V, T>(value: V | undefined, parse: (value: V) => T): T | undefined {
  return value === undefined ? undefined : parse(value)
}

/**
 * A path that is empty would name the present directory, and keys be written there.
 * @throws AtlasError `invalid` for the first flag that is empty, as an unset shell variable makes it
 */
export function refuseEmpty<N extends string>(flags: Readonly<Partial<Record<N, string | undefined>>>, names: readonly N[]): void {
  for (const name of names)
    if (flags[name]?.trim() === '') throw new AtlasError('invalid', `--${name} is empty; set a value, or leave it out`)
}

/**
 * `--address a,b --address c` -> `a,b,c`; undefined where the flag was not given.
 * @throws AtlasError `invalid` for a flag that is empty, as an unset shell variable makes it
 */
export function joined(values: readonly string[] | undefined, flag: string): string | undefined {
  if (values?.some(value => value.trim() === '') === true) throw new AtlasError('invalid', `${flag} is empty; set a value, or leave it out`)
  return values?.join(',')
}
