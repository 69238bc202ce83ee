/** How many bytes a response takes: a large delta response is sent in parts, a state-of-the-world response that is too large ends its stream. */
import type {Resource} from './snapshot.js'

/** Field tags, lengths and the wrapping messages of one resource of a response, rounded up. */
const OVERHEAD = 48

/** The most bytes that these resources take in a response of either variant. */
export function responseBytes(resources: Iterable<Resource>): number {
  let bytes = 0
  for (const resource of resources) bytes += bytesOf(resource)
  return bytes
}

/** The first resources, as many as take at most `max` bytes; one at least, however large. */
export function firstPart(resources: readonly Resource[], max: number): readonly Resource[] {
  let bytes = 0
  const end = resources.findIndex((resource, index) => {
    bytes += bytesOf(resource)
    return bytes > max && index > 0
  })
  return end < 0 ? resources : resources.slice(0, end)
}

/** Names are counted three times, which covers characters that take up to three bytes. */
function bytesOf({name, typeUrl, version, body}: Resource): number {
  return body.length + 3 * name.length + typeUrl.length + version.length + OVERHEAD
}
