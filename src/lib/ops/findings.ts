/**
 * What in a running network needs a person: with a finding, `atlas status` exits with code 6. Which command comes next is said in
 * cli/text/findings.ts.
 */
import type {CredentialRecord} from '../model/authority.js'
import type {Fault, Fleet} from '../model/fleet.js'
import {clustersOf} from '../model/fleet.js'
import {neededInsteadOf} from '../model/envoy-version.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import {DEFAULT_WORKERS, USUAL_OPEN_FILES, addressesOf, openFilesNeeded} from '../model/open-files.js'
import type {ProxyReport} from '../model/report.js'
import {type Settings, defaultSettings} from '../model/settings.js'
import {BACKDATED} from '../pki/rotation.js'

/**
 * `credential`: a proxy still uses a credential past half of its life, though there is a newer one; `envoy`: proxies run an Envoy with
 * known security faults; `fault`: a stored object cannot be read; `no leader`: no server signs and writes; `not connected`: a registered
 * cluster without a proxy; `not updated`, `rejected`: as the state of a proxy; `open files`: an Envoy connects to more than its limit of
 * open files allows; `warning`: what a server, or the leader, warns of.
 */
export type FindingKind =
  'credential' | 'envoy' | 'fault' | 'no leader' | 'not connected' | 'not updated' | 'open files' | 'rejected' | 'warning'

export interface Finding {
  readonly kind: FindingKind
  readonly cluster?: Owner
  /** Of a proxy: its id. */
  readonly proxy?: string
  /** Of a fault: kind and name of the object, such as `Service/paris`. */
  readonly object?: string
  /** Of a fault: the file, where the store has files. */
  readonly source?: string
  /** Of a warning: the server that warns. */
  readonly server?: string
  /** A sentence without its full stop. */
  readonly message: string
}

/** A cluster whose first credential is younger than this, milliseconds, may still be without a proxy: an operator is setting it up. */
const SETTING_UP = 3_600_000

/** Findings about proxies and clusters, as of `now`; the observability cluster first, then by name. */
export function findingsOf(fleet: Fleet, proxies: readonly ProxyReport[], now: Date): readonly Finding[] {
  const connected = new Set(proxies.map(({cluster}) => cluster))
  return [
    ...notConnected(fleet, connected, now),
    ...proxies.flatMap(proxy => findingsOfProxy(proxy)),
    ...agingCredentials(fleet, proxies, now),
    ...oldEnvoys(proxies),
    ...openFiles(fleet, proxies),
  ]
}

export function findingOfFault({object, source, key, message}: Fault): Finding {
  return {kind: 'fault', object, ...(source !== undefined && {source}), message: `${source ?? object} cannot be read, ${key}: ${message}`}
}

/** Registered clusters with an address, and the observability cluster, that have no proxy though they could have had one for an hour. */
function notConnected(fleet: Fleet, connected: ReadonlySet<Owner>, now: Date): readonly Finding[] {
  const owners: readonly Owner[] = [
    OBSERVABILITY,
    ...clustersOf(fleet)
      .filter(({addresses}) => addresses.length > 0)
      .map(({name}) => name),
  ]
  return owners
    .filter(owner => !connected.has(owner) && couldConnectSince(fleet, owner) + SETTING_UP <= now.getTime())
    .map(owner => ({kind: 'not connected', cluster: owner, message: `no Envoy of ${owner} is connected`}))
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
