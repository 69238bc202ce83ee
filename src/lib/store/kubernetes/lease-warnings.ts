/**
 * What the leader says, in annotations of its Lease: what it warns of, and which roots have their keys elsewhere. The leader renews the Lease
 * anyway, so that this costs no other write, and it ends with its leadership. `atlas status` and `atlas rotate --status` show it to users who may
 * read no Secret.
 */
import type {Lease} from './lease.js'

/** Annotation: a JSON list of texts. */
const WARNINGS = 'goatlas.io/warnings'

/** Annotation: the SHA-256 of each root whose key is kept offline, with blanks between them; empty: there is none. */
const OFFLINE_ROOTS = 'goatlas.io/offline-roots'

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

/** The metadata of a Lease, with these roots instead of the earlier ones; undefined: nothing is said about roots. */
export function withOfflineRoots(metadata: Lease['metadata'], roots: readonly string[] | undefined): Lease['metadata'] {
  const {[OFFLINE_ROOTS]: _, ...others} = metadata.annotations ?? {}
  return {...metadata, annotations: roots === undefined ? others : {...others, [OFFLINE_ROOTS]: roots.join(' ')}}
}

/** Undefined where nothing is said about roots. */
export function offlineRootsIn({metadata}: Lease): readonly string[] | undefined {
  const text = metadata.annotations?.[OFFLINE_ROOTS]
  return text?.split(' ').filter(each => /^[0-9a-f]{64}$/.test(each))
}

function bounded(warnings: readonly string[]): readonly string[] {
  return warnings.slice(0, WARNINGS_MAX).map(text => (text.length <= WARNING_MAX ? text : `${text.slice(0, WARNING_MAX - 3)}...`))
}
