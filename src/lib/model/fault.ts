/** What is stored and can't be read: where it is, and what is wrong with it. The entry of the fleet is named by a subject (kinds.ts). */

/** Something stored that could not be read: where it is, and what it must be (never key material). */
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
