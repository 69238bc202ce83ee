/** What signs in a new installation: a root that is made, that a Secret offers, or that the caller brings. `init.ts` writes it. */
import {authorityParts} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {AtlasError, quote} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import {RELEASED} from '../model/release-date.js'
import type {Settings} from '../model/settings.js'
import {rootSpec} from '../pki/certificate-specs.js'
import {type Authority, type Outside, type OutsideAuthority, importAuthority} from '../pki/import-issuer.js'
import {importRoot} from '../pki/import-root.js'
import {issue} from '../pki/issue.js'
import {parseLeaf} from '../pki/pem.js'
import {readKey} from '../pki/read.js'
import type {OpsDependencies} from './dependencies.js'

/** Where the root of a new installation comes from; by default it is made. */
export interface RootChoice {
  /** What signs, from outside; what is absent is made. */
  readonly outside?: OutsideAuthority | undefined
  /** The Secret that offers the root; absent: that of any Secret that the caller can read. */
  readonly rootSecret?: string | undefined
}

/**
 * The changes that write the root of a new installation, or what signs in its place. The root last: where there is one, `init` makes nothing
 * any more, and a leader makes what is missing.
 * @throws AtlasError `conflict` where certificates were issued here under a root that is gone, `failed` where the clock is wrong or doubted, and
 * for a root from outside that cannot be used
 */
export function planNewAuthority(fleet: Fleet, settings: Settings, options: RootChoice, dependencies: OpsDependencies): readonly Change[] {
  const made = newAuthority(fleet, settings, options, dependencies)
  return [...authorityParts].reverse().flatMap((part): readonly Change[] => {
    const value = made[part]
    return value === undefined || fleet.authority.get(part)?.certificate === value.certificate ? [] : [{kind: 'authority', part, value}]
  })
}

/** A root that signs is never replaced here: every Envoy would refuse what the other one signed. @throws AtlasError `conflict` */
export function refuseOtherRoot({authority}: Fleet, {outside = {}}: RootChoice): void {
  // Without a root the issuer is the root.
  const given = outside.root ?? outside.issuer
  const root = authority.get('root')
  if (root === undefined || given === undefined) return
  const {leaf} = parseLeaf(given.certificate, given.name)
  if (readKey(root, 'the root').sha256 === leaf.fingerprint256.replaceAll(':', '').toLowerCase()) return
  throw new AtlasError('conflict', 'there is a root here already (Secret atlas-ca), and it is another one; init does not replace it', {
    hint: 'replace it in stages: "atlas rotate --root --ca-cert FILE --ca-key FILE"',
  })
}

/** Nothing that lasts for years is made by a clock that may be wrong. @throws AtlasError `failed` while the clock is doubted */
export function refuseDoubt({clockDoubt}: OpsDependencies): void {
  const doubt = clockDoubt?.()
  if (doubt !== undefined)
    throw new AtlasError('failed', `the root cannot be made: ${doubt}`, {
      hint: 'set the clock of this machine, then run "atlas init" again',
    })
}

function newAuthority(fleet: Fleet, settings: Settings, options: RootChoice, dependencies: OpsDependencies): Authority {
  const wasSigned = fleet.trust !== undefined || fleet.credentials.size > 0 || fleet.identities.size > 0
  if (wasSigned)
    throw new AtlasError(
      'conflict',
      'certificates were issued here, but their root (Secret atlas-ca) is gone; a new root would lock every proxy out',
      {hint: 'restore Secret atlas-ca from a backup'},
    )
  const now = dependencies.now()
  if (now.getTime() < Date.parse(RELEASED))
    throw new AtlasError('failed', `the root cannot be made: the clock of this machine shows ${now.toISOString()}, and Atlas is newer`, {
      hint: 'set the clock, then run "atlas init" again; a root with a wrong date would end too early, and with it every certificate',
    })
  refuseDoubt(dependencies)
  if (options.outside !== undefined)
    return importAuthority(options.outside, {part: 'root', settings, now, root: undefined, trust: undefined})
  const offered = offeredIn(fleet, options)
  if (offered !== undefined) return {root: importRoot(offered, settings, {now, anyAge: offered.anyAge})}
  return {root: issue(rootSpec(settings), undefined, now, dependencies.signer)}
}

function offeredIn({offeredRoots}: Fleet, {rootSecret}: RootChoice): Outside | undefined {
  const [secret = rootSecret, ...others] = [...offeredRoots.keys()]
  const offered = secret === undefined ? undefined : offeredRoots.get(rootSecret ?? secret)
  if (rootSecret !== undefined && offered === undefined)
    throw new AtlasError(
      'not-found',
      `there is no Secret ${quote(rootSecret)} with label goatlas.io/authority: root that holds a certificate and its key`,
    )
  if (others.length > 0)
    throw new AtlasError('conflict', `${others.length + 1} Secrets offer a root (label goatlas.io/authority)`, {
      hint: 'leave the label on one',
    })
  return offered === undefined ? undefined : {...offered, name: `the certificate in Secret ${rootSecret ?? secret ?? ''}`, from: 'secret'}
}
