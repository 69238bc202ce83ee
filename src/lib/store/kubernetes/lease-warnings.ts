/**
 * What the leader warns of, in an annotation of its Lease: the leader renews the Lease anyway, so that its warnings cost no other write, and
 * they end with its leadership. `atlas status` shows them.
 */
import type {Lease} from './lease.js'

/** Annotation: a JSON list of texts. */
const WARNINGS = 'goatlas.io/warnings'

/** More warnings, and the ends of longer ones, are left out: an object's annotations may have 256 KiB, and a renewal is to stay small. */
const WARNINGS_MAX = 10
const WARNING_MAX = 300

/** The metadata of a Lease, with these warnings instead of the earlier ones. */
export function withWarnings(metadata: Lease['metadata'], warnings: readonly string[]): Lease['metadata'] {
  const {[WARNINGS]: _, ...others} = metadata.annotations ?? {}
  const shown = bounded(warnings)
  return {...metadata, annotations: shown.length === 0 ? others : {...others, [WARNINGS]: JSON.stringify(shown)}}
}

/** Empty where there is none, or the annotation is not one that `withWarnings` writes. */
export function warningsIn({metadata}: Lease): readonly string[] {
  try {
    const found: unknown = JSON.parse(metadata.annotations?.[WARNINGS] ?? '[]')
    return Array.isArray(found) ? bounded(found.filter(each => typeof each === 'string')) : []
  } catch {
    return []
  }
}

function bounded(warnings: readonly string[]): readonly string[] {
  return warnings.slice(0, WARNINGS_MAX).map(text => (text.length <= WARNING_MAX ? text : `${text.slice(0, WARNING_MAX - 3)}...`))
}
