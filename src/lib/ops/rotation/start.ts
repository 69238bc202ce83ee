/**
 * Begins a rotation of the issuer or the root on a person's word. In Kubernetes the leader begins it; with a directory the command does.
 * Either way servers go on with it (plan.ts): a command that ends takes nothing with it. Waiting for its end: follow.ts.
 */
import {type Change, reduceAll} from '../../model/change.js'
import {AtlasError, quote} from '../../model/errors.js'
import {type Fleet, faultOf, registeredNames} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner, objectKey, objectNames} from '../../model/names.js'
import {type Rotation, type RotationPart, describeStage} from '../../model/rotation.js'
import {type AuthorityPart, type CertifiedKey, authorityParts, bundleFields, keptElsewhere, nextParts} from '../../model/authority.js'
import {type Settings, defaultSettings} from '../../model/settings.js'
import {type Authority, BRING_BOTH, type OutsideAuthority, fingerprintsOf, importAuthority} from '../../pki/import-issuer.js'
import {readKey} from '../../pki/read.js'
import type {StateStore} from '../../store/store.js'
import {type AskedOptions, type Patience, newRequest, waitForAnswer} from '../ask-leader.js'
import {judgedOnce, requireBelieved} from '../clock.js'
import type {CommitOptions, Committed} from '../commit.js'
import type {OpsDependencies} from '../dependencies.js'
import {changeInstallation, readableSettings} from '../installation.js'
import {whyNotAdopted} from '../goatlas/adopt.js'
import {ASK_FOR_ISSUER, isRootOffline, partNames, signerIn, whyUnsigned} from '../signing.js'
import {wantedTrust} from '../trust.js'
import {planBeginning} from './plan.js'
import {isLasting, partsOf} from './unready.js'

/** What a person may say about a rotation. */
export interface RotationChoices {
  /** Names of clusters that it leaves behind. */
  readonly skip?: readonly string[]
  /** The next certificates, from outside; what is absent is made. */
  readonly next?: OutsideAuthority | undefined
}

/**
 * Begins a rotation, or asks the leader to and waits for its answer. Where one of the same certificates is under way, it goes on, and only
 * the clusters that it skips may change. Next certificates from outside are written by the caller, and named to the leader by their
 * fingerprints.
 * @throws AtlasError `conflict` while other certificates are being rotated, or were brought by another command, `not-found` for a skipped name that is not registered, `failed`
 * where nothing can be signed, `invalid` for certificates from outside that cannot be used
 */
export async function startRotation(
  store: StateStore,
  part: RotationPart,
  {skip = [], next: given = {}}: RotationChoices,
  dependencies: OpsDependencies,
  {waitMs, ...options}: CommitOptions & Partial<Patience> = {},
): Promise<Committed> {
  if (store.signedBy === 'caller')
    return changeInstallation(
      store,
      fleet => {
        const next = imported(fleet, part, given, dependencies)
        return planStart(fleet, part, {...judgedOnce(dependencies, store, fleet), skip, next})
      },
      options,
    )
  const kind = `rotate-${part}` as const
  let details: AskedOptions = {}
  let request = newRequest(kind, dependencies)
  const committed = await changeInstallation(
    store,
    fleet => {
      requireNoOther(fleet, part)
      const next = imported(fleet, part, given, dependencies)
      // Before it is written: it would take the place of the one that a rotation under way goes to.
      requireNew(fleet, next, dependencies.now())
      requireNoneAsked(fleet, next)
      const laid = authorityParts.flatMap(each => {
        const value = next[each]
        return value === undefined ? [] : [{kind: 'authority', part: nextParts[each], value} as const]
      })
      const named = laid.map(({part: each, value}) => [each, readKey(value).sha256] as const)
      details = {...(skip.length > 0 && {skip: skippable(fleet, skip)}), ...Object.fromEntries(named)}
      request = newRequest(kind, dependencies, details)
      return [...laid, request.for([])]
    },
    options,
  )
  if (options.dryRun !== true && waitMs !== undefined)
    await waitForAnswer(store, {id: request.id, kind, owners: [], ...details}, `the rotation of the ${part} has not begun yet`, {
      waitMs,
      dependencies,
    })
  return committed
}

/**
 * The first changes of a rotation; nothing, or other clusters to skip, where it is under way.
 * @throws AtlasError as `startRotation`
 */
export function planStart(
  fleet: Fleet,
  part: RotationPart,
  {skip: names, next = {}, ...dependencies}: OpsDependencies & {readonly skip: readonly string[]; readonly next?: Authority},
): readonly Change[] {
  requireNoOther(fleet, part)
  // Here too: who may write requests need not have used this program.
  const skip = skippable(fleet, names)
  const {rotation} = fleet
  if (part === 'root' && rotation === undefined) requireNotOffered(fleet)
  requireNew(fleet, next, dependencies.now())
  if (rotation !== undefined) return withSkipped(fleet, rotation, skip, laidAgain(fleet, rotation, next, dependencies.now()))
  const settings = readableSettings(fleet)
  requireBelieved(dependencies)
  const unreadable = part === 'issuer' ? faultOf(fleet, 'authority', 'root') : undefined
  if (unreadable !== undefined)
    throw new AtlasError('failed', `the root (Secret ${objectNames.root}) cannot be read: ${unreadable.message}`, {
      hint: 'make it readable, or restore it from a backup',
    })
  const why = part === 'root' ? whyNotAdopted(fleet) : whyUnsigned(fleet)
  if (settings === undefined || why !== undefined)
    throw new AtlasError('failed', why ?? 'there are no settings', {
      hint: 'without the root a new one can be made ("atlas rotate --root"); anything else is restored from a backup',
    })
  if (part === 'issuer' && next.issuer === undefined) requireSigningRoot(fleet, settings, dependencies.now())
  const begun = planBeginning(fleet, settings, part, {...dependencies, skip, next})
  const after = reduceAll(fleet, begun)
  const trust = wantedTrust(after)
  return trust === undefined ? begun : [...begun, {kind: 'trust', value: trust}]
}

/** Where the caller may not read the root, the bundle has its certificates: those of its file, and those that came before. */
function imported(fleet: Fleet, part: RotationPart, given: OutsideAuthority, {now}: OpsDependencies): Authority {
  const {authority, trust} = fleet
  const settings = readableSettings(fleet) ?? defaultSettings
  return importAuthority(given, {part, settings, now: now(), root: authority.get('root') ?? rootOfBundle(trust), trust})
}

function rootOfBundle(trust: Fleet['trust']): CertifiedKey | undefined {
  const newest = trust?.roots.at(-1)
  return newest === undefined ? undefined : {certificate: newest, key: keptElsewhere}
}

/** The root makes the next issuer. @throws AtlasError `failed` */
function requireSigningRoot(fleet: Fleet, settings: Settings, now: Date): void {
  const root = fleet.authority.get('root')
  if (root !== undefined && readKey(root).pathLength === 0)
    throw new AtlasError('failed', `the issuer is the root itself (path length 0), so that Atlas cannot make the next one: ${BRING_BOTH}`)
  if (isRootOffline(fleet))
    throw new AtlasError('failed', `the key of the root is kept offline, so that Atlas cannot make the next issuer: ${ASK_FOR_ISSUER}`)
  if (signerIn(fleet, settings, 'root', now) !== undefined) return
  throw new AtlasError('failed', 'the root (Secret atlas-ca) cannot sign a new issuer', {hint: 'rotate the root: "atlas rotate --root"'})
}

/** Another root would be replaced by the one in the Secret at once. */
function requireNotOffered({offeredRoots}: Fleet): void {
  const [secret] = offeredRoots.keys()
  if (secret === undefined) return
  throw new AtlasError('conflict', `the root comes from Secret ${secret} (label goatlas.io/authority)`, {
    hint: `renew it there, and a rotation begins; to rotate to another root, take the label off Secret ${secret} first`,
  })
}

/** Certificates from outside are not those in force, and do not replace the aim of a rotation that is under way. */
function requireNew({authority, rotation, trust}: Fleet, next: Authority, now: Date): void {
  for (const part of authorityParts) {
    const {certificate} = next[part] ?? {}
    if (certificate === undefined) continue
    const isPresent = trust?.[bundleFields[part]].includes(certificate) === true
    const [name, present] = [partNames[part], authority.get(nextParts[part])]
    if (rotation === undefined && isPresent)
      throw new AtlasError('conflict', `this certificate is trusted as the ${name} already; nothing is rotated`)
    // One that was lost in the first stage, or has ended there, has a successor.
    const isAim = isInPlace(rotation, part, present, now) ? present?.certificate === certificate : rotation?.stage === 'announce'
    if (rotation === undefined || isAim || isPresent) continue
    throw new AtlasError('conflict', `the ${name} is being replaced by another one, ${describeStage(rotation)}`, {
      hint: 'wait for its end: "atlas rotate --status"',
    })
  }
}

/** Those that another command has brought, and that the leader has not taken yet, are not overwritten: it would then refuse both. */
function requireNoneAsked({requests, answers}: Fleet, next: Authority): void {
  for (const [id, request] of requests) {
    if (request.state !== 'waiting' || answers.has(id)) continue
    for (const part of authorityParts) {
      const [named, value] = [request[nextParts[part]], next[part]]
      if (named === undefined || value === undefined || named === readKey(value).sha256) continue
      throw new AtlasError('conflict', `another command has brought the next ${partNames[part]}, and the leader has not answered it yet`, {
        hint: 'see what becomes of it ("atlas rotate --status"), and run the command again then',
      })
    }
  }
}

/** What came from outside and was lost in the first stage, or has ended there, cannot be made again. */
function laidAgain({authority}: Fleet, rotation: Rotation, next: Authority, now: Date): readonly Change[] {
  if (rotation.stage !== 'announce') return []
  const laid = partsOf(rotation.part).flatMap(part => {
    const [value, present] = [next[part], authority.get(nextParts[part])]
    return value === undefined || isInPlace(rotation, part, present, now) ? [] : [{part, value, present}]
  })
  if (laid.length === 0) return []
  const named = fingerprintsOf(
    next,
    laid.map(({part}) => part),
  )
  return [
    {kind: 'rotation', value: {...rotation, given: {...rotation.given, ...named}}},
    ...laid
      .filter(({value, present}) => present?.certificate !== value.certificate)
      .map(({part, value}) => ({kind: 'authority', part: nextParts[part], value}) as const),
  ]
}

/** Whether what is to sign next is there, can sign, and is the one that the rotation began with. */
function isInPlace(rotation: Rotation | undefined, part: AuthorityPart, present: CertifiedKey | undefined, now: Date): boolean {
  const given = rotation?.given?.[part]
  return isLasting(present, now) && (given === undefined || (present !== undefined && readKey(present).sha256 === given))
}

function requireNoOther(fleet: Fleet, part: RotationPart): void {
  const {rotation} = fleet
  const fault = faultOf(fleet, 'rotation')
  if (fault !== undefined)
    throw new AtlasError('failed', `the rotation on record cannot be read, ${fault.key}: ${fault.message}`, {
      hint: `repair ${fault.source ?? objectKey('ConfigMap', objectNames.rotation)}`,
    })
  if (rotation === undefined || rotation.part === part) return
  throw new AtlasError(
    'conflict',
    `the ${rotation.part} is being rotated, ${describeStage(rotation)}; the ${part} has to wait for its end`,
    {hint: 'see what it waits for: "atlas rotate --status"'},
  )
}

/** @param before changes, perhaps to the rotation itself */
function withSkipped(fleet: Fleet, rotation: Rotation, skip: readonly Owner[], before: readonly Change[]): readonly Change[] {
  const skipped = [...new Set([...rotation.skipped, ...skip])].sort()
  if (skipped.length === rotation.skipped.length) return before
  const changed = reduceAll(fleet, before).rotation ?? rotation
  return [...before, {kind: 'rotation', value: {...changed, skipped}}]
}

/** @throws AtlasError `not-found`, or `invalid` for the observability cluster, which no cluster can do without */
function skippable(fleet: Fleet, names: readonly string[]): readonly Owner[] {
  const registered = new Set<string>(registeredNames(fleet))
  return names.map(name => {
    if (name === OBSERVABILITY)
      throw new AtlasError('invalid', 'the observability cluster cannot be skipped: every connection leads through its Envoy')
    if (!registered.has(name))
      throw new AtlasError('not-found', `there is no cluster ${quote(name)}`, {hint: '"atlas cluster list" shows those that there are'})
    return name as Owner
  })
}
