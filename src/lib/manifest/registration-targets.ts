/** The named targets of a registration's annotations, the groups of its labels, and what in its labels and annotations has no effect. */
import type {Cluster, NamedTarget} from '../model/cluster.js'
import {renderEndpointTls} from '../model/endpoint-tls.js'
import {messageOf, quote} from '../model/errors.js'
import {type ClusterName, annotations, labels, parseGroupName} from '../model/names.js'
import {nearest} from '../model/nearest.js'
import {ENDPOINTS_MAX, TARGETS_MAX, parseNamedTarget, parseTargetName} from '../model/thanos-target.js'
import {ENVOY_SELECTORS} from './goatlas.js'

const REPLICAS = '.replicas'
const HEALTH = '.health'
const TLS = '.tls'

/** Targets that are read, and unknown keys that are named. A registration may hold 14,000, which would take seconds of every other's time. */
const READ_MAX = 64

type Noted = Readonly<Record<string, string>>

/**
 * The targets that can be read, in order of name, and a remark for each other: a target that breaks a rule costs the others nothing.
 * @param sidecars their replicas, which are endpoints too
 */
export function decodeTargets(noted: Noted, cluster: ClusterName, sidecars: number): Required<Pick<Cluster, 'remarks' | 'targets'>> {
  const targets = new Map<string, NamedTarget>()
  const remarks: string[] = []
  const named = Object.keys(noted).filter(
    key => key.startsWith(annotations.target) && ![REPLICAS, HEALTH, TLS].some(end => key.endsWith(end)),
  )
  let endpoints = sidecars
  for (const key of named.sort().slice(0, READ_MAX)) {
    try {
      const name = parseTargetName(key.slice(annotations.target.length), cluster)
      if (targets.size === TARGETS_MAX) throw new Error(`a cluster may have at most ${TARGETS_MAX} targets`)
      const more = {replicas: noted[key + REPLICAS], health: noted[key + HEALTH], tls: noted[key + TLS]}
      const target = parseNamedTarget(noted[key] ?? '', more, `target ${name}`)
      if (endpoints + target.replicas > ENDPOINTS_MAX) throw new Error(`a cluster may have at most ${ENDPOINTS_MAX} endpoints`)
      endpoints += target.replicas
      targets.set(name, target)
    } catch (error) {
      remarks.push(`annotation ${quote(key)} has no effect: ${messageOf(error)}`)
    }
  }

  return {targets, remarks: [...remarks, ...unread('annotation of a target', named), ...withoutTarget(noted, named)]}
}

/** A remark for each number of replicas and each way to check the health of a target that is not there. */
function withoutTarget(noted: Noted, named: readonly string[]): readonly string[] {
  const orphans = Object.keys(noted).flatMap(key => {
    const ending = key.startsWith(annotations.target) ? [REPLICAS, HEALTH].find(end => key.endsWith(end)) : undefined
    const target = ending === undefined ? '' : key.slice(0, -ending.length)
    return ending === undefined || noted[target] !== undefined ? [] : [{key, target, ending}]
  })
  const remarks = orphans.slice(0, READ_MAX).map(({key, target, ending}) => {
    const near = nearest(target, named.slice(0, READ_MAX), TYPOS)
    const meant = near === undefined ? '' : `; did you mean ${quote(near + ending)}?`
    return `annotation ${quote(key)} has no effect: there is no annotation ${quote(target)}${meant}`
  })
  return [...remarks, ...unread('annotation without a target', orphans)]
}

/** The annotations of the targets; undefined for those of a target that is gone. */
export function encodeTargets(present: Noted, targets: Cluster['targets']): Readonly<Record<string, string | undefined>> {
  const gone = Object.keys(present).filter(key => key.startsWith(annotations.target))
  const kept: readonly (readonly [string, string])[] = [...targets].flatMap(([name, {host, port, replicas, health, tls}]) => [
    [annotations.target + name, `${host}:${port}`] as const,
    ...(replicas === 1 ? [] : [[annotations.target + name + REPLICAS, String(replicas)] as const]),
    ...(health === 'grpc' ? [] : [[annotations.target + name + HEALTH, health] as const]),
    ...(tls === undefined ? [] : [[annotations.target + name + TLS, renderEndpointTls(tls)] as const]),
  ])
  return {...Object.fromEntries(gone.map(key => [key, undefined])), ...Object.fromEntries(kept)}
}

/** The groups with a name that can be one, in order, and a remark for each other label of a group. */
export function decodeGroups(own: Noted): Required<Pick<Cluster, 'groups' | 'remarks'>> {
  const groups: string[] = []
  const remarks: string[] = []
  for (const key of Object.keys(own).filter(label => label.startsWith(labels.group))) {
    try {
      groups.push(parseGroupName(key.slice(labels.group.length)))
    } catch (error) {
      remarks.push(`label ${quote(key)} has no effect: ${messageOf(error)}`)
    }
  }

  return {groups: groups.sort(), remarks}
}

/** A remark for each label and annotation of Atlas's that it does not know, with the nearest that it knows. */
export function unknownKeys(own: Noted, noted: Noted): readonly string[] {
  return [...unknownAmong('label', Object.keys(own), knownLabels), ...unknownAmong('annotation', Object.keys(noted), knownAnnotations)]
}

function unknownAmong(what: string, keys: readonly string[], known: readonly string[]): readonly string[] {
  const unknown = keys
    .filter(key => /^([a-z]+\.)?goatlas\.io\//.test(key) && !key.startsWith(labels.group) && !key.startsWith(annotations.target))
    .filter(key => !known.includes(key))
    .sort()
  const named = unknown.slice(0, READ_MAX).map(key => {
    const near = nearest(key, known, TYPOS)
    return `${what} ${quote(key)} has no effect: Atlas does not know it${near === undefined ? '' : `; did you mean ${quote(near)}?`}`
  })
  return [...named, ...unread(`unknown ${what}`, unknown)]
}

function unread(what: string, keys: readonly unknown[]): readonly string[] {
  return keys.length > READ_MAX ? [`after the ${READ_MAX}th ${what}, ${keys.length - READ_MAX} more have no effect`] : []
}

const services = ['thanos', 'prometheus', 'alertmanager']

const knownLabels: readonly string[] = [labels.cluster, labels.replicas, labels.format, labels.sidecar, labels.envoy, labels.service]

const knownAnnotations: readonly string[] = [
  ...[
    annotations.installation,
    annotations.addresses,
    annotations.ports,
    annotations.thanosHttpPort,
    annotations.thanosHealth,
    annotations.thanosTls,
    ENVOY_SELECTORS, // goatlas.ts has its remark
  ],
  ...[annotations.allowAdmin, annotations.allowSilences, annotations.allowLocalTargets],
  ...services.flatMap(service => [annotations.service(service), annotations.servicePort(service), annotations.path(service)]),
]

/** Letters that may differ between a key and the one that was meant. */
const TYPOS = 4
