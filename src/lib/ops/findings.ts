/**
 * What in a running network needs a person: with a finding, `atlas status` exits with code 6. Which command comes next is said in
 * cli/text/findings.ts.
 */
import type {CredentialRecord, OwnerRecord} from '../model/authority.js'
import type {Fault, Fleet} from '../model/fleet.js'
import {clusterOf, clustersOf} from '../model/fleet.js'
import {neededInsteadOf} from '../model/envoy-version.js'
import {heapNeeded, isHeapEnough} from '../model/heap.js'
import {indexBy} from '../model/index-by.js'
import {OBSERVABILITY, type Owner, objectKey} from '../model/names.js'
import {renderHostPort} from '../model/address.js'
import {pageTarget, refusalOf} from '../model/page.js'
import {DEFAULT_WORKERS, USUAL_OPEN_FILES, addressesOf, openFilesNeeded} from '../model/open-files.js'
import type {ProxyReport} from '../model/report.js'
import {type Settings, defaultSettings, showsPages} from '../model/settings.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import {BACKDATED} from '../pki/rotation.js'
import {remarksOn} from './goatlas/remarks.js'
import {lateRotation} from './rotation/late.js'

/**
 * `credential`: a proxy still uses a credential past half of its life, though there is a newer one, or for an hour no proxy has had
 * the one that was issued after a revocation or a removal; `envoy`: proxies run an Envoy with known security faults; `fault`: a stored object cannot be read; `no leader`: no server signs and writes; `not connected`: a registered
 * cluster without a proxy; `group`: clusters are in a group that the settings do not list; `registration`: something in a registration has
 * no effect, or a page of it is refused; `not updated`, `rejected`: as the state of a proxy; `revoked`: a cluster waits for a
 * person to restore or remove it; `open files`: an Envoy connects to more than
 * its limit of open files allows; `memory`: the fleet needs more heap than an observability Envoy's limit; `rotation`: a rotation has waited
 * for 15 minutes; `upstream tls`: an Envoy lacks the certificates for a Thanos endpoint with TLS; `warning`: what a server, or the leader,
 * warns of.
 */
export type FindingKind =
  | 'credential'
  | 'envoy'
  | 'fault'
  | 'group'
  | 'no leader'
  | 'not connected'
  | 'not updated'
  | 'memory'
  | 'open files'
  | 'registration'
  | 'rejected'
  | 'revoked'
  | 'rotation'
  | 'upstream tls'
  | 'warning'

export interface Finding {
  readonly kind: FindingKind
  readonly cluster?: Owner
  /** Of a proxy: its id. */
  readonly proxy?: string
  /** Of a fault: kind and name of the object, such as `Service/paris`. */
  readonly object?: string
  /** Of a fault: the file, where the store has files. */
  readonly source?: string
  /** Of a group: every group that the settings should list. */
  readonly groups?: readonly string[]
  /** Of a warning: the server that warns. */
  readonly server?: string
  /** A sentence without its full stop. */
  readonly message: string
}

/** As `status --json` has it: documented in docs/reference/json.md; fields are only ever added. */
export interface FindingJson extends Finding {
  /** The command to run next. */
  readonly next: string
}

/** A cluster whose first credential is younger than this, milliseconds, may still be without a proxy: an operator is setting it up. */
const SETTING_UP = 3_600_000

/**
 * From this age of its first credential on, milliseconds, a cluster whose earlier ones were revoked counts as one that has applied it: that it
 * is not connected has another cause then, which the log of its Envoy has.
 */
const NEW_CREDENTIAL = 7 * 86_400_000

/** Findings about proxies and clusters, as of `now`; the observability cluster first, then by name. */
export function findingsOf(fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Finding[] {
  const connected = new Set(proxies.map(({cluster}) => cluster))
  return [
    ...notConnected(fleet, connected, now),
    ...notReplaced(fleet, proxies, now),
    ...revoked(fleet),
    ...proxies.flatMap(proxy => findingsOfProxy(proxy)),
    ...agingCredentials(fleet, proxies, now),
    ...oldEnvoys(proxies),
    ...openFiles(fleet, proxies),
    ...smallHeaps(fleet, proxies),
    ...missingCertificates(fleet, proxies),
    ...withoutEffect(fleet),
    ...unlistedGroups(fleet),
    ...refusedPages(fleet),
    ...late(fleet, now),
  ]
}

function late(fleet: Fleet, now: Date): readonly Finding[] {
  const message = lateRotation(fleet, now)
  return message === undefined ? [] : [{kind: 'rotation', message}]
}

export function findingOfFault({object, source, key, message}: Fault): Finding {
  return {kind: 'fault', object, ...(source !== undefined && {source}), message: `${source ?? object} cannot be read, ${key}: ${message}`}
}

/** Registered clusters with an address, and the observability cluster, that have no proxy though they could have had one for an hour. */
function notConnected(fleet: Fleet, connected: ReadonlySet<Owner>, now: Date): readonly Finding[] {
  const owners: readonly Owner[] = [OBSERVABILITY, ...withAddress(fleet)]
  return owners
    .filter(owner => !connected.has(owner) && isSetUp(fleet, owner, now) && !isReissued(fleet, owner, now))
    .map(owner => ({kind: 'not connected', cluster: owner, message: `no Envoy of ${owner} is connected`}))
}

/**
 * Clusters whose earlier credentials are revoked, and no Envoy of which is connected with a later one for an hour: it was not applied, or the
 * Envoy has ended since. A record does not tell a cluster that was revoked from one that was removed and is registered again, as a new one.
 */
function notReplaced(fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Finding[] {
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

/** Forgotten, a revoked cluster would stay without monitoring, or its records would stay for good. */
function revoked(fleet: Fleet): readonly Finding[] {
  return [...fleet.records.values()].flatMap(({owner, revokedSince}) =>
    revokedSince === undefined
      ? []
      : [{kind: 'revoked', cluster: owner, message: `${owner} is revoked since ${revokedSince}, and nothing is issued for it`} as const],
  )
}

/** When the first of the owner's valid credentials was issued, milliseconds since 1970; Infinity without one. */
function couldConnectSince(fleet: Fleet, owner: Owner): number {
  const valid = (fleet.records.get(owner)?.credentials ?? []).filter(({state}) => state === 'valid')
  return Math.min(Infinity, ...valid.map(credential => lifeOf(credential, fleet.settings).begin))
}

function findingsOfProxy({cluster, id, frozen, types}: ProxyReport): readonly Finding[] {
  const rejected = types.flatMap(({type, nack}) => (nack === undefined ? [] : [`${type}: ${nack}`]))
  return [
    ...(frozen === undefined
      ? []
      : [{kind: 'not updated', cluster, proxy: id, message: `${cluster} ${id} is not updated: ${frozen}`} as const]),
    ...(rejected.length === 0
      ? []
      : [{kind: 'rejected', cluster, proxy: id, message: `${cluster} ${id} rejected ${rejected.join('; ')}`} as const]),
  ]
}

/** Envoy crashes when it meets its limit, and again after each restart. */
function openFiles(fleet: Fleet, proxies: readonly ProxyReport[]): readonly Finding[] {
  const relayed = proxies.filter(({path}) => path === 'relay').length
  return proxies.flatMap(({cluster, id, openFiles: limit, workers = DEFAULT_WORKERS}) => {
    const addresses = addressesOf(fleet, cluster)
    const connections = cluster === OBSERVABILITY ? relayed : 0
    const needed = openFilesNeeded({addresses, workers, connections})
    if (needed <= (limit ?? USUAL_OPEN_FILES)) return []
    const has = limit === undefined ? `its bootstrap names no limit, and the usual one is ${USUAL_OPEN_FILES}` : `its limit is ${limit}`
    const message = `${cluster} ${id} needs about ${needed} open files (${addresses} addresses, ${workers} workers, ${connections} connections in), and ${has}`
    return [{kind: 'open files', cluster, proxy: id, message}]
  })
}

/** One for each Envoy and certificates' name: the endpoints that need them answer UNAVAILABLE there, and all others are as before. */
function missingCertificates(fleet: Fleet, proxies: readonly ProxyReport[]): readonly Finding[] {
  return proxies.flatMap(({cluster: owner, id, upstreamTls = []}) => {
    const cluster = owner === OBSERVABILITY ? undefined : clusterOf(fleet, owner)
    if (cluster === undefined) return []
    const needed = new Map<string, string[]>()
    for (const {name, tls} of thanosEndpointsOf(cluster))
      if (tls !== undefined && !upstreamTls.includes(tls.certificates))
        needed.set(tls.certificates, [...(needed.get(tls.certificates) ?? []), name])
    return [...needed].map(([certificates, [first = '', ...others]]) => ({
      kind: 'upstream tls' as const,
      cluster: owner,
      proxy: id,
      message: `${owner} ${id} has no certificates "${certificates}", so it does not connect to ${first}${others.length === 0 ? '' : ` and ${others.length} more`}, which the registration reaches with TLS`,
    }))
  })
}

/** Only an Envoy whose bootstrap names its limit: one that was written by hand may have none. */
function smallHeaps(fleet: Fleet, proxies: readonly ProxyReport[]): readonly Finding[] {
  const needed = heapNeeded(fleet)
  return proxies.flatMap(({cluster, id, maxHeapBytes}) => {
    if (cluster !== OBSERVABILITY || maxHeapBytes === undefined || isHeapEnough(needed, maxHeapBytes)) return []
    const [has, needs] = [maxHeapBytes, needed].map(bytes => Math.round(bytes / 1024 ** 2))
    const message = `${cluster} ${id} needs about ${needs} MiB of heap for ${clustersOf(fleet).length} clusters, and refuses requests near its limit of ${has} MiB`
    return [{kind: 'memory', cluster, proxy: id, message}]
  })
}

/** Unknown keys, and targets that break a rule: the rest of the registration is in effect. */
function withoutEffect(fleet: Fleet): readonly Finding[] {
  return clustersOf(fleet).flatMap(cluster =>
    remarksOn(fleet, cluster).map(remark => ({
      kind: 'registration' as const,
      cluster: cluster.name,
      object: objectKey('Service', cluster.name),
      message: `${cluster.name}: ${remark}`,
    })),
  )
}

/**
 * Pages of Prometheus and Alertmanager that the downstream Envoy refuses to show. Not of Thanos: its address follows from that of the
 * sidecar, which may be local.
 */
function refusedPages(fleet: Fleet): readonly Finding[] {
  if (!showsPages(fleet.settings ?? defaultSettings)) return []
  return clustersOf(fleet).flatMap(cluster =>
    (['prom', 'alertmanager'] as const).flatMap(kind => {
      const refused = refusalOf(cluster, kind)
      if (refused === undefined) return []
      const at = renderHostPort(pageTarget(cluster, kind))
      const message = `${cluster.name}: the ${kind} page is refused, because "${at}" is ${refused}; name another address, or allow it (--allow-local-targets, or goatlas.io/allow-local-targets: "true")`
      return [{kind: 'registration' as const, cluster: cluster.name, object: objectKey('Service', cluster.name), message}]
    }),
  )
}

/** At its end a credential is refused, and an Envoy that still uses it gets no more updates. */
export function agingCredentials(fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Finding[] {
  return proxies.flatMap(({cluster, id, credential}) => {
    const valid = (fleet.records.get(cluster)?.credentials ?? []).filter(({state}) => state === 'valid')
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
  const more = clusters.length > ENDING_NAMED ? ` and ${clusters.length - ENDING_NAMED} more` : ''
  return `Envoys come with an ADS credential that ends soon and was replaced: ${clusters.sort().slice(0, ENDING_NAMED).join(', ')}${more}; "atlas status" has the command for each`
}

/** Clusters that are named in one warning. */
const ENDING_NAMED = 5

const byCount = indexBy((_: Owner, {credentials}: OwnerRecord) => (credentials.length > 1 ? 'several' : 'one'))

/** One for each cluster and version. */
function oldEnvoys(proxies: readonly ProxyReport[]): readonly Finding[] {
  const found = new Map<string, Finding>()
  for (const {cluster, envoyVersion = ''} of proxies) {
    const needed = neededInsteadOf(envoyVersion)
    if (needed === undefined) continue
    const message = `${cluster} runs Envoy ${envoyVersion}, which has known security faults; ${needed} or later is needed`
    found.set(message, {kind: 'envoy', cluster, message})
  }

  return [...found.values()]
}

/** Milliseconds since 1970. A record of an earlier version of Atlas has no begin; the credential then lived as long as the settings say. */
export function lifeOf(
  {notBefore, notAfter}: CredentialRecord,
  settings: Settings | undefined,
): {readonly begin: number; readonly end: number} {
  const end = Date.parse(notAfter)
  const {lifetimes} = settings ?? defaultSettings
  return {begin: notBefore === undefined ? end - lifetimes.credential * 1000 : Date.parse(notBefore) + BACKDATED * 1000, end}
}

/** A finding for each group: Atlas may have no right to write the endpoints of a group that is not listed. */
function unlistedGroups(fleet: Fleet): readonly Finding[] {
  const {settings} = fleet
  if (settings === undefined) return []
  const members = new Map<string, Owner[]>()
  for (const {name, groups} of clustersOf(fleet))
    for (const group of groups) if (!settings.groups.includes(group)) members.set(group, [...(members.get(group) ?? []), name])
  const groups = [...settings.groups, ...members.keys()].sort()
  return [...members]
    .sort()
    .map(([group, [first, ...others]]) => ({
      kind: 'group' as const,
      ...(first !== undefined && {cluster: first}),
      groups,
      message: `group ${group} (${[first, ...(others.length === 0 ? [] : [`${others.length} more`])].join(' and ')}) is not listed in the settings, so it has neither an endpoints file nor a DNS name`,
    }))
}
