/**
 * What in a running network needs a person: with a finding, `atlas status` exits with code 6. Which command comes next is said in
 * cli/text/findings.ts.
 */
import type {Fault, Fleet} from '../model/fleet.js'
import {clusterOf, clustersOf} from '../model/fleet.js'
import {rightToGroups} from '../model/endpoints.js'
import {neededInsteadOf} from '../model/envoy-version.js'
import {heapNeeded, isHeapEnough} from '../model/heap.js'
import {OBSERVABILITY, type Owner, objectKey} from '../model/names.js'
import {renderHostPort} from '../model/address.js'
import {someOf} from '../model/listing.js'
import {pageTarget, refusalOf} from '../model/page.js'
import {DEFAULT_WORKERS, USUAL_OPEN_FILES, addressesOf, openFilesNeeded} from '../model/open-files.js'
import type {ProxyReport} from '../model/report.js'
import {defaultSettings, showsPages} from '../model/settings.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import {agingCredentials, notConnected, notReplaced} from './credential-findings.js'
import type {Finding} from './finding.js'
import {remarksOn} from './goatlas/remarks.js'
import {lateRotation} from './rotation/late.js'

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

/** Forgotten, a revoked cluster would stay without monitoring, or its records would stay for good. */
function revoked(fleet: Fleet): readonly Finding[] {
  return [...fleet.records.values()].flatMap(({owner, revokedSince}) =>
    revokedSince === undefined
      ? []
      : [{kind: 'revoked', cluster: owner, message: `${owner} is revoked since ${revokedSince}, and nothing is issued for it`} as const],
  )
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
    return [...needed].map(([certificates, names]) => ({
      kind: 'upstream tls' as const,
      cluster: owner,
      proxy: id,
      message: `${owner} ${id} has no certificates "${certificates}", so it does not connect to ${someOf(names, 1)}, which the registration reaches with TLS`,
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
    .map(([group, names]) => ({
      kind: 'group' as const,
      ...(names[0] !== undefined && {cluster: names[0]}),
      groups,
      right: rightToGroups(settings, groups),
      message: `group ${group} (${someOf(names, 1)}) is not listed in the settings, so it has neither an endpoints file nor a DNS name`,
    }))
}
