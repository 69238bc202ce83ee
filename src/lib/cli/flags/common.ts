/** Flags that several commands take, and how lists on a command line are read. */
import {Flags} from '@oclif/core'
import {parseDuration} from '../../model/duration.js'
import {AtlasError} from '../../model/errors.js'

export const dryRunFlag = {'dry-run': Flags.boolean({description: 'print the manifests that would be written, and write nothing'})}

export const confirmFlags = {
  'no-input': Flags.boolean({description: 'never ask; fail where an answer would be needed'}),
  yes: Flags.boolean({char: 'y', description: 'do not ask for confirmation'}),
}

/** Whether to wait until the leader, who alone holds the keys, has done what was asked; with a directory the command does it itself. */
export const waitFlags = {
  wait: Flags.boolean({allowNo: true, description: 'in Kubernetes: wait until the leader has done it (default on a terminal)'}),
  timeout: Flags.string({default: '60s', description: 'how long to wait for the leader', helpValue: 'DURATION'}),
}

/** How long to wait, as `waitFlags` say. @throws AtlasError `invalid` */
export function patienceOf(flags: {readonly wait?: boolean | undefined; readonly timeout: string}): {waitMs: number | undefined} {
  const waitMs = parseDuration(flags.timeout, '--timeout') * 1000
  return {waitMs: (flags.wait ?? process.stderr.isTTY) ? waitMs : undefined}
}

/** Present flags only: `exactOptionalPropertyTypes` tells "absent" from "undefined". */
export function present<T extends Record<string, unknown>>(values: T): {[K in keyof T]?: Exclude<T[K], undefined>} {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/**
 * `--address a,b --address c` -> `a,b,c`; undefined where the flag was not given.
 * @throws AtlasError `invalid` for a flag that was given and is empty, as an unset variable of a shell makes it
 */
export function joined(values: readonly string[] | undefined, flag: string): string | undefined {
  if (values?.some(value => value.trim() === '') === true)
    throw new AtlasError('invalid', `${flag} is empty; give it a value, or leave it out`)
  return values?.join(',')
}
