/**
 * An issuer that comes to be due by its age while a rotation waits, for hands in some cluster: no other rotation can begin then, so that it
 * is issued again for the same key. Where one of the two certificates is trusted, a leaf with either is accepted (test/envoy/reissued.envoy.test.ts):
 * nothing has to be announced, and before the stages in which leaves are replaced none is.
 */
import {type AuthorityPart, type CertifiedKey, type NextPart, hasKey, nextParts} from '../../model/authority.js'
import type {Change} from '../../model/change.js'
import type {Fleet} from '../../model/fleet.js'
import type {Rotation} from '../../model/rotation.js'
import type {Settings} from '../../model/settings.js'
import {issuerSpec} from '../../pki/certificate-specs.js'
import {issue, reissue} from '../../pki/issue.js'
import {renewAt} from '../../pki/rotation.js'
import {readCertifiedKey} from '../../pki/signed.js'
import type {OpsDependencies} from '../dependencies.js'
import {signerIn} from '../signing.js'
import {rootsOf} from '../trust.js'

/** Empty for the present issuer before one that a rotation of the issuer replaces: there its age is the very reason. */
export function planIssuedAgain(
  fleet: Fleet,
  settings: Settings,
  {part, stage, given}: Rotation,
  {isAgeAReason, now: clock, signer}: OpsDependencies & {readonly isAgeAReason: boolean},
): readonly Change[] {
  const [now, spec] = [clock(), issuerSpec(settings)]
  const hasFollowed = stage === 'leaves' || stage === 'retire'
  const root = signerIn(fleet, settings, 'root', now)
  const following = fleet.authority.get(nextParts.root)
  const nextRoot = following !== undefined && hasKey(following) ? following : undefined
  const again = (which: AuthorityPart | NextPart, by: CertifiedKey | undefined): readonly Change[] => {
    const present = fleet.authority.get(which)
    if (present === undefined || by === undefined) return []
    // One from outside is named by its certificate, which would be another one.
    if (which === nextParts.issuer && given?.issuer !== undefined) return []
    const facts = readCertifiedKey(present, rootsOf(by), spec.name)
    const hasEnded = facts.notAfter <= now
    if (!hasEnded && (!isAgeAReason || renewAt(facts, spec) > now)) return []
    // The key of one that another root has signed retires with that root.
    const isOwn = facts.signedBy !== undefined && facts.keyMatches
    if (!isOwn && !(hasEnded && hasFollowed)) return []
    return [{kind: 'authority', part: which, value: isOwn ? reissue(present, spec, by, now, signer) : issue(spec, by, now, signer)}]
  }

  return [
    ...(part === 'root' || hasFollowed ? again('issuer', root) : []),
    ...(hasFollowed ? [] : again(nextParts.issuer, part === 'root' ? nextRoot : root)),
  ]
}
