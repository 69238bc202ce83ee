/**
 * What ADS credentials say of a running network: clusters of which no Envoy is connected though one could be, Envoys that still use an old
 * credential, and those whose credential ends soon.
 */
import type {CredentialRecord, OwnerRecord} from '../model/authority.js'
import {type Fleet, clustersOf} from '../model/fleet.js'
import {indexBy} from '../model/index-by.js'
import {someOf} from '../model/listing.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import type {ProxyReport} from '../model/report.js'
import {type Settings, defaultSettings} from '../model/settings.js'
import {BACKDATED} from '../pki/rotation.js'
import type {Finding} from './finding.js'

/** A cluster whose first credential is younger than this, milliseconds, may still be without a proxy: an operator is setting it up. */
const SETTING_UP = 3_600_000

/**
 * From this age of its first credential on, milliseconds, a cluster whose earlier ones were revoked counts as one that has applied it: that it
 * is not connected has another cause then, which the log of its Envoy has.
 */
const NEW_CREDENTIAL = 7 * 86_400_000

/** Registered clusters with an address, and the observability cluster, that have no proxy though they could have had one for an hour. */
export function notConnected(fleet: Fleet, connected: ReadonlySet<Owner>, now: Date): readonly Finding[] {
  const owners: readonly Owner[] = [OBSERVABILITY, ...withAddress(fleet)]
  return owners
    .filter(owner => !connected.has(owner) && isSetUp(fleet, owner, now) && !isReissued(fleet, owner, now))
    .map(owner => ({kind: 'not connected', cluster: owner, message: `no Envoy of ${owner} is connected`}))
}

/**
 * Clusters whose earlier credentials are revoked, and no Envoy of which is connected with a later one for an hour: it was not applied, or the
 * Envoy has ended since. A record does not tell a cluster that was revoked from one that was removed and is registered again, as a new one.
 */
export function notReplaced(fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Finding[] {
  const refused = (owner: Owner, sha256: string): boolean => revokedOf(fleet, owner).some(each => each.sha256 === sha256)
  // The stream of a revoked credential ends some seconds later.
  const connected = new Set(proxies.filter(({cluster, credential}) => !refused(cluster, credential.sha256)).map(({cluster}) => cluster))
  return withAddress(fleet)
    .filter(owner => !connected.has(owner) && isSetUp(fleet, owner, now) && isReissued(fleet, owner, now))
    .map(owner => ({
      kind: 'credential',
      cluster: owner,
      message: `no Envoy of ${owner} is connected with its present credential, and its earlier one is revoked`,
    }))
}

function withAddress(fleet: Fleet): readonly Owner[] {
  return clustersOf(fleet)
    .filter(({addresses}) => addresses.length > 0)
    .map(({name}) => name)
}

/** Whether the first of its present credentials is an hour old. */
function isSetUp(fleet: Fleet, owner: Owner, now: Date): boolean {
  return couldConnectSince(fleet, owner) + SETTING_UP <= now.getTime()
}

/** Whether the owner's earlier credentials were revoked, and the first of its present ones was issued this week. */
function isReissued(fleet: Fleet, owner: Owner, now: Date): boolean {
  return revokedOf(fleet, owner).length > 0 && couldConnectSince(fleet, owner) + NEW_CREDENTIAL > now.getTime()
}

/** Those that a person has revoked. */
function revokedOf({records}: Fleet, owner: Owner): readonly CredentialRecord[] {
  return (records.get(owner)?.credentials ?? []).filter(({state, retiredAt}) => state === 'revoked' && retiredAt === undefined)
}

function validOf({records}: Fleet, owner: Owner): readonly CredentialRecord[] {
  return (records.get(owner)?.credentials ?? []).filter(({state}) => state === 'valid')
}

/** When the first of the owner's valid credentials was issued, milliseconds since 1970; Infinity without one. */
function couldConnectSince(fleet: Fleet, owner: Owner): number {
  return Math.min(Infinity, ...validOf(fleet, owner).map(credential => lifeOf(credential, fleet.settings).begin))
}

/** At its end a credential is refused, and an Envoy that still uses it gets no more updates. */
export function agingCredentials(fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Finding[] {
  return proxies.flatMap(({cluster, id, credential}) => {
    const valid = validOf(fleet, cluster)
    const used = valid.find(({sha256}) => sha256 === credential.sha256)
    if (used === undefined || !valid.some(({notAfter}) => notAfter > used.notAfter)) return []
    const {begin, end} = lifeOf(used, fleet.settings)
    if (now.getTime() < begin + (end - begin) / 2) return []
    const message = `${cluster} ${id} still uses a credential that ends on ${used.notAfter}; a newer one is issued and not applied`
    return [{kind: 'credential', cluster, proxy: id, message}]
  })
}

/** What to do about an Envoy that comes with an old credential, without the caller's flags. */
export function applyCredential(cluster: Owner): string {
  return cluster === OBSERVABILITY
    ? 'restart the observability Envoy'
    : `apply the newest one there, of "atlas cluster values ${cluster} --format secret"`
}

/**
 * For `/readyz`: clusters whose Envoys come with a credential that has less than a sixth of its life left, though there is a newer one.
 * @param connected asked for only where an owner has a newer one: the server looks every few seconds, and connects thousands
 */
export function endingCredentials(
  fleet: Fleet,
  connected: () => readonly {readonly cluster: Owner; readonly credential: CredentialRecord | undefined}[],
  now: Date,
): string | undefined {
  const renewed = byCount(fleet.records).get('several')
  if (renewed === undefined) return undefined
  const ending = connected().flatMap(({cluster, credential}) => {
    if (credential === undefined || !renewed.has(cluster)) return []
    const {begin, end} = lifeOf(credential, fleet.settings)
    const isReplaced = fleet.records.get(cluster)?.credentials.some(({notAfter}) => notAfter > credential.notAfter) === true
    return isReplaced && now.getTime() >= begin + (end - begin) * (5 / 6) ? [`${cluster} (until ${credential.notAfter})`] : []
  })
  const [...clusters] = new Set(ending)
  if (clusters.length === 0) return undefined
  return `Envoys come with an ADS credential that ends soon and was replaced: ${someOf(clusters.sort(), ENDING_NAMED)}; "atlas status" has the command for each`
}

/** Clusters that are named in one warning. */
const ENDING_NAMED = 5

const byCount = indexBy((_: Owner, {credentials}: OwnerRecord) => (credentials.length > 1 ? 'several' : 'one'))

/** Milliseconds since 1970. A record of an earlier version of Atlas has no begin; the credential then lived as long as the settings say. */
export function lifeOf(
  {notBefore, notAfter}: CredentialRecord,
  settings: Settings | undefined,
): {readonly begin: number; readonly end: number} {
  const end = Date.parse(notAfter)
  const {lifetimes} = settings ?? defaultSettings
  return {begin: notBefore === undefined ? end - lifetimes.credential * 1000 : Date.parse(notBefore) + BACKDATED * 1000, end}
}
