/** A short text that stands for all identities, by which servers report which ones they send to Envoys. */
import {createHash} from 'node:crypto'
import type {CertifiedKey} from '../model/authority.js'
import {byKey} from '../model/listing.js'
import {remember} from '../model/remember.js'

/** SHA-256, lower-case hex, of every owner with its certificate, in the order of the names. */
export const identitiesDigest: (identities: ReadonlyMap<string, CertifiedKey>) => string = remember(
  (identities: ReadonlyMap<string, CertifiedKey>) => {
    const entries = [...identities].sort(byKey).map(([owner, key]) => `${owner} ${digestOfOne(key)}`)
    return sha256(entries.join('\n'))
  },
)

/** Remembered: of a thousand identities one is replaced at a time. */
const digestOfOne = remember(({certificate}: CertifiedKey) => sha256(certificate))

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
