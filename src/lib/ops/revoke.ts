/**
 * Plans that certificates are refused from now on: the removal of a cluster, its revocation and the end of that, and the revocation of one
 * credential. The new certificates of a cluster that is not cut off are issued by reconcile.ts.
 */
import {objectKeyOf} from '../manifest/kinds.js'
import type {Credential, CredentialRecord, DeniedName, OwnerRecord} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {acceptedPart} from '../model/cluster.js'
import {AtlasError, quote} from '../model/errors.js'
import {type Fleet, clusterOf, isBroken, isRegistered} from '../model/fleet.js'
import {type ClusterName, spiffe} from '../model/names.js'
import {longestOf} from '../model/setting-ranges.js'
import type {Settings} from '../model/settings.js'
import {readKey} from '../pki/read.js'
import {recordOrRecovered} from '../pki/recover.js'
import {endOfIssuers} from '../pki/signed.js'
import type {OpsDependencies} from './dependencies.js'

/**
 * The record comes first, so that the certificates are refused even if the rest of the plan fails: the generation goes up, every
 * credential is revoked, and the old names are denied until the last certificate with one of them has ended. Of a removal that ended
 * half-way, the rest.
 */
export function planRemoval(fleet: Fleet, name: ClusterName, dependencies: OpsDependencies): readonly Change[] {
  if (isHalfRemoved(fleet, name)) return planDeletion(fleet, name)
  const record = recordOrRecovered(fleet, name)
  const {
    registration: _r,
    suspendedSince: _s,
    revokedSince: _v,
    removing: _m,
    ...rest
  } = withNextGeneration(fleet, name, record, dependencies)
  const removing = isRegistered(fleet, name) ? fleet.revisions.get(objectKeyOf('registration', name)) : undefined
  const value: OwnerRecord = {...rest, ...(removing !== undefined && {removing})}
  return [{kind: 'record', owner: name, value}, ...planDeletion(fleet, name)]
}

/**
 * As a removal; the registration stays, and nothing is issued before `planRestore`. With `reissue` new certificates follow at once. Of a
 * revoked cluster all is refused already, so that doing it again, as after a crash, only deletes what is left.
 */
export function planRevocation(
  fleet: Fleet,
  name: ClusterName,
  {reissue}: {readonly reissue: boolean},
  dependencies: OpsDependencies,
): readonly Change[] {
  const record = recordOrRecovered(fleet, name)
  if (record.revokedSince !== undefined) return reissue ? planRestore(fleet, name) : planKeyDeletion(fleet, name)
  const accepted = clusterOf(fleet, name) ?? record.registration
  const value: OwnerRecord = {
    ...withNextGeneration(fleet, name, record, dependencies),
    ...(accepted !== undefined && {registration: acceptedPart(accepted)}),
    ...(!reissue && {revokedSince: dependencies.now().toISOString()}),
  }
  return [{kind: 'record', owner: name, value}, ...(reissue ? [] : planKeyDeletion(fleet, name))]
}

/** Certificates are issued for a revoked cluster again, of the generation that its revocation began. */
export function planRestore(fleet: Fleet, name: ClusterName): readonly Change[] {
  const record = fleet.records.get(name)
  if (record?.revokedSince === undefined) return []
  const {revokedSince: _, ...value} = record
  return [{kind: 'record', owner: name, value}]
}

/**
 * Revokes one credential. Where that is the newest one, nothing is left to open ADS with, and `reissue` must say that a new one follows.
 * @param text the beginning of its SHA-256, or all of it
 * @throws AtlasError `not-found`, `invalid` for a text that is none or is not unique, `conflict` without the `reissue` that is needed
 */
export function planCredentialRevocation(
  fleet: Fleet,
  name: ClusterName,
  {text, reissue}: {readonly text: string; readonly reissue: boolean},
): readonly Change[] {
  const record = recordOrRecovered(fleet, name)
  const {sha256, state} = requireCredential(fleet, name, text)
  if (state === 'revoked') return []
  if (!reissue && record.credentials.findLast(({state}) => state === 'valid')?.sha256 === sha256)
    throw new AtlasError('conflict', `credential ${sha256} is the newest of ${name}: its Envoys could not connect any more`, {
      hint: `add --reissue to have a new one issued at once; or cut the cluster off: "atlas cluster revoke ${name}"`,
    })
  const credentials = record.credentials.map(each => (each.sha256 === sha256 ? {...each, state: 'revoked' as const} : each))
  return [{kind: 'record', owner: name, value: {...record, credentials}}]
}

/** Whether a credential is on record as revoked. */
export function isRevokedIn({credentials}: OwnerRecord, credential: Credential): boolean {
  const {sha256} = readKey(credential)
  return credentials.some(each => each.sha256 === sha256 && each.state === 'revoked')
}

/** Whether a removal ended between the record and the registration, which is still as the removal found it. */
export function isHalfRemoved(fleet: Fleet, name: ClusterName): boolean {
  const removing = fleet.records.get(name)?.removing
  return removing !== undefined && isRegistered(fleet, name) && fleet.revisions.get(objectKeyOf('registration', name)) === removing
}

/** The objects of a cluster whose record is that of a removed one. */
export function planDeletion(fleet: Fleet, name: ClusterName): readonly Change[] {
  const changes: Change[] = []
  if (isRegistered(fleet, name)) changes.push({kind: 'registration', name, value: undefined})
  return [...changes, ...planKeyDeletion(fleet, name)]
}

/** The identity and the credential of a cluster whose record has revoked them. */
export function planKeyDeletion(fleet: Fleet, name: ClusterName): readonly Change[] {
  const changes: Change[] = []
  if (fleet.identities.has(name) || isBroken(fleet, 'identity', name)) changes.push({kind: 'identity', owner: name, value: undefined})
  if (fleet.credentials.has(name) || isBroken(fleet, 'credential', name)) changes.push({kind: 'credential', owner: name, value: undefined})
  return changes
}

/**
 * The record without credentials and denials that ended more than 30 days ago. A clock that runs ahead by less than that drops nothing
 * that still protects, nor a credential that an Envoy still uses.
 */
export function withoutEnded(record: OwnerRecord, now: Date): OwnerRecord {
  const isKept = (end: string): boolean => dropAt(end) > now.getTime()
  const credentials = record.credentials.filter(credential => isKept(credential.notAfter))
  const denied = record.denied.filter(name => isKept(name.until))
  const isSame = credentials.length === record.credentials.length && denied.length === record.denied.length
  return isSame ? record : {...record, credentials, denied}
}

/** When a credential or a denial that ends at this time is dropped from its record; milliseconds since 1970. */
export function dropAt(end: string): number {
  return Date.parse(end) + KEPT_AFTER_END
}

/** 30 days, in milliseconds. */
const KEPT_AFTER_END = 30 * 86_400_000

/** The record of a cluster whose certificates so far are all refused: those of the next generation are not. */
function withNextGeneration(fleet: Fleet, name: ClusterName, record: OwnerRecord, dependencies: OpsDependencies): OwnerRecord {
  return {
    ...record,
    generation: record.generation + 1,
    credentials: record.credentials.map(credential => ({...credential, state: 'revoked' as const})),
    denied: [...record.denied, ...deniedNames(fleet, name, record, dependencies)],
  }
}

/** The credential on record whose SHA-256 begins so. @throws AtlasError `not-found`, `invalid` */
export function requireCredential(fleet: Fleet, owner: ClusterName, text: string): CredentialRecord {
  const {credentials} = recordOrRecovered(fleet, owner)
  const prefix = text.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{16,64}$/.test(prefix))
    throw new AtlasError('invalid', `${quote(text)} is no SHA-256 of a certificate: at least its first 16 hex digits are needed`, {
      hint: WHERE_SHA256,
    })
  const found = credentials.filter(({sha256}) => sha256.startsWith(prefix))
  const [first, ...others] = found
  if (first === undefined)
    throw new AtlasError('not-found', `no credential ${prefix} of ${owner} is on record; on record: ${listOf(credentials)}`, {
      hint: WHERE_SHA256,
    })
  if (others.length > 0) throw new AtlasError('invalid', `${prefix} begins several credentials of ${owner}: ${listOf(found)}`)
  return first
}

const WHERE_SHA256 =
  'openssl x509 -in tls.crt -noout -fingerprint -sha256 shows that of a certificate, "atlas cluster show NAME" that of the newest credential, and "atlas status" those of clients that were refused'

/** The newest first, at most ten. */
function listOf(credentials: readonly CredentialRecord[]): string {
  const shown = [...credentials].reverse().slice(0, 10)
  const more = credentials.length - shown.length
  const texts = shown.map(({sha256, state, notAfter}) => `${sha256} (${state}, until ${notAfter})`)
  return texts.length === 0 ? 'none' : `${texts.join(', ')}${more > 0 ? ` and ${more} older ones` : ''}`
}

function deniedNames(fleet: Fleet, name: ClusterName, record: OwnerRecord, dependencies: OpsDependencies): readonly DeniedName[] {
  const {settings} = fleet
  if (settings === undefined) return []
  const now = dependencies.now()
  const credentialEnd =
    record.credentials
      .map(credential => credential.notAfter)
      .sort()
      .at(-1) ?? after(now, settings.lifetimes.credential).toISOString()
  return [
    {
      name: spiffe.downstream(settings.trustDomain, name, record.generation),
      until: identitiesEnd(fleet, name, settings, now).toISOString(),
    },
    {name: spiffe.adsClient(settings.trustDomain, name, record.generation), until: credentialEnd},
  ]
}

/**
 * When the last identity of this generation ends that a thief may hold. Earlier ones are not on record, and may end later than the present one
 * or one that is made now, where their life was longer: `init --set identity=` may have shortened it. None is longer than what `init` accepts, and
 * none ends later than the issuers. By a clock that is far ahead these have ended already, and the denial would be dropped at once: it lasts
 * for the life of one that is made now at least.
 */
function identitiesEnd(fleet: Fleet, name: ClusterName, {lifetimes}: Settings, now: Date): Date {
  const present = fleet.identities.get(name)
  const longest = after(now, Math.max(lifetimes.identity, longestOf('identity'))).getTime()
  const earlier = fleet.trust === undefined ? longest : Math.min(longest, endOfIssuers(fleet.trust.issuers))
  const next = after(now, lifetimes.identity).getTime()
  return new Date(Math.max(next, earlier, present === undefined ? 0 : readKey(present).notAfter.getTime()))
}

function after(time: Date, seconds: number): Date {
  return new Date(time.getTime() + seconds * 1000)
}
