/** What people do whose root is kept offline: they have the issuers signed there, and bring them, with a command that may end half-way. */
import {type CertifiedKey, keptElsewhere, nextParts} from '../../src/lib/model/authority.js'
import {registeredNames} from '../../src/lib/model/fleet.js'
import type {Named} from '../../src/lib/model/request.js'
import {newRequest} from '../../src/lib/ops/ask-leader.js'
import {boundIssuers} from '../../src/lib/ops/rotation/brought-again.js'
import {credentialIssuerSpec, issuerSpec, rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue, reissue} from '../../src/lib/pki/issue.js'
import {readKey} from '../../src/lib/pki/read.js'
import {issuedAt} from '../../src/lib/pki/rotation.js'
import type {Network} from './network.js'
import type {Kind, Scene} from './scene.js'

type Part = keyof typeof nextParts

export const offlineEvents = {
  'bring an issuer': {
    weight: 2,
    act: scene => {
      const root = presentRoot(scene)
      if (root === undefined || isUnderWay(scene) || isAsked(scene)) return undefined
      return bring(scene, 'rotate-issuer', {
        issuer: issue(issuerSpec(scene.network.settings), root, scene.network.date, scene.network.signer),
      })
    },
  },
  'bring a root': {
    weight: 1,
    act: scene => {
      if (scene.offlineRoots.length === 0 || isUnderWay(scene) || isAsked(scene)) return undefined
      const {offline, ...others} = makeOffline(scene.network)
      // The leader may take it at any time from now on: people with both keys can sign for either.
      scene.offlineRoots.push(offline)
      return bring(scene, 'rotate-root', {root: {...offline, key: keptElsewhere}, ...others})
    },
  },
} as const satisfies Readonly<Record<string, Kind>>

/** A root whose key is never in the store, with both issuers below it. */
export function makeOffline({settings, signer, date}: Network): Record<'credentialIssuer' | 'issuer' | 'offline', CertifiedKey> {
  const offline = issue(rootSpec(settings), undefined, date, signer)
  return {
    offline,
    issuer: issue(issuerSpec(settings), offline, date, signer),
    credentialIssuer: issue(credentialIssuerSpec(settings), offline, date, signer),
  }
}

/** A person heeds the warning of /readyz: from two thirds of its life on the issuer is to be replaced. */
export function heedWarning(scene: Scene): void {
  const {network} = scene
  const {rotation, authority, requests} = network.store.fleet
  const root = presentRoot(scene)
  const issuer = authority.get('issuer')
  const isWaiting = [...requests.values()].some(({state, kind}) => state === 'waiting' && kind !== 'rotate')
  if (isWaiting) return
  reissueBound(scene)
  bringAgain(scene)
  if (root === undefined || rotation !== undefined || issuer === undefined) return
  const {notAfter, ...facts} = readKey(issuer)
  const from = issuedAt({notAfter, ...facts})
  if (network.now < from + ((notAfter.getTime() - from) * 2) / 3) return
  bring(scene, 'rotate-issuer', {issuer: issue(issuerSpec(network.settings), root, network.date, network.signer)}, {isKilled: false})
}

/** A rotation of the root waits: an issuer that is due by then is issued again for its own key, by the root that signed it. */
function reissueBound({network, offlineRoots}: Scene): void {
  const {store, settings, signer, date} = network
  const spec = issuerSpec(settings)
  for (const {part, present, root} of boundIssuers(store.fleet)) {
    const by = offlineRoots.find(({certificate}) => certificate === root.certificate)
    const {notAfter, ...facts} = readKey(present)
    const from = issuedAt({notAfter, ...facts})
    if (by === undefined || network.now < from + ((notAfter.getTime() - from) * 2) / 3) continue
    // What is to sign next may have ended: the stage says so.
    if ((part === 'issuer' && notAfter.getTime() <= network.now) || readKey(by).notAfter <= notAfter) continue
    store.put({kind: 'authority', part, value: reissue(present, spec, by, date, signer)})
  }
}

/** A rotation has waited until what is to sign next has ended, and says so. */
function bringAgain(scene: Scene): void {
  const {network, offlineRoots} = scene
  const {rotation, authority} = network.store.fleet
  const issuer = authority.get('issuer')
  if (rotation?.stage === 'leaves' || rotation?.stage === 'retire') {
    const by = presentRoot(scene)
    if (by === undefined || issuer === undefined || readKey(issuer).notAfter.getTime() > network.now) return
    network.store.put({kind: 'authority', part: 'issuer', value: issue(issuerSpec(network.settings), by, network.date, network.signer)})
  }

  if (rotation?.stage !== 'announce') return
  const next = authority.get('nextRoot')
  const root = rotation.part === 'root' ? offlineRoots.find(each => each.certificate === next?.certificate) : presentRoot(scene)
  if (root === undefined) return
  const hasEnded = (part: Part): boolean => {
    const key = authority.get(nextParts[part])
    return key === undefined || readKey(key).notAfter.getTime() <= network.now
  }
  const {settings, date, signer} = network
  const parts = (rotation.part === 'root' ? (['issuer', 'credentialIssuer'] as const) : (['issuer'] as const)).filter(part =>
    hasEnded(part),
  )
  if (parts.length === 0) return
  for (const part of parts) network.store.put({kind: 'authority', part: nextParts[part], value: undefined})
  const issued = parts.map(
    part => [part, issue((part === 'issuer' ? issuerSpec : credentialIssuerSpec)(settings), root, date, signer)] as const,
  )
  const present = rotation.part === 'root' ? {root: {...root, key: keptElsewhere}} : {}
  const others =
    rotation.part === 'root' ? {issuer: authority.get('nextIssuer'), credentialIssuer: authority.get('nextCredentialIssuer')} : {}
  bring(scene, `rotate-${rotation.part}`, {...others, ...Object.fromEntries(issued), ...present} as Record<Part, CertifiedKey>, {
    isKilled: false,
  })
}

/** The command lays nothing then: it would take the place of what is to sign next. */
function isUnderWay({network}: Scene): boolean {
  return network.store.fleet.rotation !== undefined
}

/** Nor then, by another person: it would take the place of what the leader was asked to take. */
function isAsked({network}: Scene): boolean {
  const {requests, answers} = network.store.fleet
  return [...requests].some(
    ([id, request]) =>
      request.state === 'waiting' && !answers.has(id) && Object.values(nextParts).some(next => request[next] !== undefined),
  )
}

/** That of the store, with its key; undefined where people do not keep it. */
function presentRoot({network, offlineRoots}: Scene): CertifiedKey | undefined {
  const root = network.store.fleet.authority.get('root')
  return root && offlineRoots.find(({certificate}) => certificate === root.certificate)
}

/** Lays the certificates, and names them to the leader. */
function bring(
  {network}: Scene,
  kind: 'rotate-issuer' | 'rotate-root',
  given: Partial<Record<Part, CertifiedKey>>,
  {isKilled = network.random.chance(0.1)} = {},
): string {
  const {random, store, signer} = network
  const laid = Object.entries(given).map(([part, value]) => ({kind: 'authority', part: nextParts[part as Part], value}) as const)
  for (const change of laid) store.put(change)
  if (isKilled) return 'the command ends before it has asked'
  const away = registeredNames(store.fleet).filter(name => network.envoysOf(name).every(({stream}) => stream === undefined))
  const skip = random.chance(0.3) && away.length > 0 ? {skip: away} : {}
  const named: Named = Object.fromEntries(laid.map(({part, value}) => [part, readKey(value).sha256]))
  store.put(newRequest(kind, {now: () => network.date, signer}, {...skip, ...named}).for([]))
  return laid.map(({part}) => part).join(', ')
}
