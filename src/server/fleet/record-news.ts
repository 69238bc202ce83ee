/** What a new record means for its cluster, in words: removed, suspended, revoked, restored. For the log, and for Kubernetes Events. */
import type {OwnerRecord} from '../../lib/model/authority.js'

export interface RecordNews {
  readonly type: 'Normal' | 'Warning'
  /** One word, such as `Revoked`. */
  readonly reason: string
  readonly message: string
}

/** A record follows the registration: it shows when the registration was deleted, and when it was restored. Undefined: nothing that concerns a person. */
export function newsOfRecord(before: OwnerRecord | undefined, after: OwnerRecord | undefined): RecordNews | undefined {
  if (before?.registration === undefined || after === undefined) return undefined
  if (after.registration === undefined)
    return {type: 'Normal', reason: 'Removed', message: 'removed for good: its certificates are no longer accepted'}
  const revocation = newsOfRevocation(before, after)
  if (revocation !== undefined) return revocation
  if (before.suspendedSince === after.suspendedSince || after.revokedSince !== undefined) return undefined
  if (after.suspendedSince === undefined)
    return {type: 'Normal', reason: 'Restored', message: 'registered again, with the certificates that it had'}
  const message = `its registration was deleted at ${after.suspendedSince}, and its connections are refused; register it again to restore it`
  return {type: 'Warning', reason: 'Suspended', message}
}

function newsOfRevocation(before: OwnerRecord, after: OwnerRecord): RecordNews | undefined {
  const {owner} = after
  if (before.revokedSince !== undefined && after.revokedSince === undefined)
    return {
      type: 'Normal',
      reason: 'Restored',
      message: `no longer revoked: certificates of generation ${after.generation} are issued for it`,
    }
  if (after.generation > before.generation) {
    const next = after.revokedSince === undefined ? 'new ones are issued' : `nothing is issued before "atlas cluster restore ${owner}"`
    return {type: 'Warning', reason: 'Revoked', message: `its certificates of generation ${before.generation} are refused; ${next}`}
  }

  const valid = new Set(before.credentials.filter(({state}) => state === 'valid').map(({sha256}) => sha256))
  const revoked = after.credentials.filter(({sha256, state}) => state === 'revoked' && valid.has(sha256)).map(({sha256}) => sha256)
  if (revoked.length === 0) return undefined
  return {type: 'Warning', reason: 'CredentialRevoked', message: `refused from now on: its ADS credential ${revoked.join(', ')}`}
}
