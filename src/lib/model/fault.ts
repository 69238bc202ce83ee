/** What is stored and can't be read: where it is, and what is wrong with it. Which entry of the fleet it is, a subject says (kinds.ts). */

/** Something stored that could not be read: where, what was wanted there, and what was found instead (never key material). */
export interface Fault {
  /** Kind and name, such as `Service/paris`. */
  readonly object: string
  /** The file, where the store has files. */
  readonly source?: string
  /** Path inside the object, such as `metadata.annotations["goatlas.io/addresses"]`. */
  readonly key: string
  readonly message: string
}

export function sameFault(fault: Fault, other: Fault | undefined): boolean {
  return fault.object === other?.object && fault.key === other.key && fault.message === other.message && fault.source === other.source
}
