/** Flags that several commands take, and how lists on a command line are read. */
import {Flags} from '@oclif/core'

export const dryRunFlag = {'dry-run': Flags.boolean({description: 'print the manifests that would be written, and write nothing'})}

export const confirmFlags = {
  'no-input': Flags.boolean({description: 'never ask; fail where an answer would be needed'}),
  yes: Flags.boolean({char: 'y', description: 'do not ask for confirmation'}),
}

/** Present flags only: `exactOptionalPropertyTypes` tells "absent" from "undefined". */
export function present<T extends Record<string, unknown>>(values: T): {[K in keyof T]?: Exclude<T[K], undefined>} {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** `--address a,b --address c` -> `a,b,c`; undefined where the flag was not given. */
export function joined(values: readonly string[] | undefined): string | undefined {
  return values?.join(',')
}
