/** The ports that face another cluster: what each is called, who may pass, and where it writes why it refused somebody. */
import type {CertifiedKey} from '../lib/model/authority.js'
import type {Fleet} from '../lib/model/fleet.js'
import {OBSERVABILITY, sni} from '../lib/model/names.js'
import {type TlsTarget, type TlsProbe, type Visitor, probeTls} from './lab/tls-probe.js'
import {linesSince, logLength} from './lab/log-file.js'
import type {Member, Network} from './network.js'
import {insist} from './proof.js'
import {credentialIn, identityIn, issuersIn, settingsIn} from './lab/certificates.js'
import {waitFor} from './lab/wait.js'

export interface GuardedDoor extends TlsTarget {
  /** For people: `11901 of paris`. */
  readonly title: string
  /** Whom it is meant for. */
  readonly rightful: CertifiedKey
  /** The Envoy's log; undefined for a door that is not an Envoy's. */
  readonly log: string | undefined
}

/** 10900 of the observability Envoy, where downstream Envoys open ADS. */
export function adsDoor({stage, observability, members}: Network, fleet: Fleet): GuardedDoor {
  const {address, ports} = stage.sites.observability
  const visitor = members[0]?.name ?? OBSERVABILITY
  return {
    title: `10900`,
    host: address,
    port: ports.ads,
    servername: sni.observability(settingsIn(fleet).trustDomain),
    ca: issuersIn(fleet),
    rightful: credentialIn(fleet, visitor),
    log: observability.running.log,
  }
}

/** 11901 of a downstream Envoy, where the observability Envoy reaches its sidecar. */
export function sidecarDoor({name, site, envoy}: Member, fleet: Fleet): GuardedDoor {
  return {
    title: `11901 of ${name}`,
    host: site.address,
    port: site.ports.thanos,
    servername: sni.downstream(settingsIn(fleet).trustDomain, name),
    ca: issuersIn(fleet),
    rightful: identityIn(fleet, OBSERVABILITY),
    log: envoy.running.log,
  }
}

/** 6305, `atlas serve` itself. */
export function serverDoor({stage}: Network, fleet: Fleet): GuardedDoor {
  const {address, ports} = stage.sites.observability
  return {
    title: '6305',
    host: address,
    port: ports.server,
    servername: sni.ads(settingsIn(fleet).trustDomain),
    ca: issuersIn(fleet),
    rightful: credentialIn(fleet, OBSERVABILITY),
    log: undefined,
  }
}

/** Every door that faces another cluster. */
export function allDoors(network: Network, fleet: Fleet): readonly GuardedDoor[] {
  return [adsDoor(network, fleet), serverDoor(network, fleet), ...network.members.map(member => sidecarDoor(member, fleet))]
}

/** What a refusal must look like, so that it counts as one for the reason that is claimed. */
export interface DoorRefusal {
  /** Who knocked, for people. */
  readonly who: string
  readonly visitor: Visitor
  /** The TLS alert, where the door is an Envoy's. */
  readonly alert: RegExp
  /** What the Envoy writes into its connection log. */
  readonly reason: RegExp
}

/**
 * Knocks with the wrong certificate, then with the right one.
 * @returns the bytes that the rightful visitor got
 * @throws Disproof when the wrong visitor got a byte, was refused for another reason, or the right one got nothing
 */
export async function mustRefuse(door: GuardedDoor, {who, visitor, alert, reason}: DoorRefusal, signal: AbortSignal): Promise<number> {
  const from = door.log === undefined ? 0 : logLength(door.log)
  const refused = await knockUntilAlert(door, visitor)
  insist(refused.bytes === 0, `${door.title} gave ${refused.bytes} bytes to ${who}`)
  if (door.log !== undefined) {
    insist(alert.test(refused.alert ?? ''), `${door.title} closed on ${who} with the TLS alert "${refused.alert ?? 'none'}", not ${alert}`)
    await findReason(door.log, from, {reason, what: `${door.title} to log ${reason} for ${who}`, signal})
  }

  const welcome = await probeTls(door, {certificate: door.rightful})
  insist(welcome.bytes > 0, `${door.title} gave nothing to its rightful visitor either (alert: ${welcome.alert ?? 'none'})`)
  return welcome.bytes
}

/** On a busy machine a greeting may overtake the alert and turn it into a reset: then the visitor knocks again. */
async function knockUntilAlert(door: GuardedDoor, visitor: Visitor): Promise<TlsProbe> {
  const attempts = door.log === undefined ? 1 : 3
  let last = await probeTls(door, visitor)
  for (let attempt = 1; attempt < attempts && last.alert === undefined && last.bytes === 0; attempt += 1)
    last = await probeTls(door, visitor)
  return last
}

interface Sought {
  readonly reason: RegExp
  readonly what: string
  readonly signal: AbortSignal
}

/**
 * The listener's access log is the only place where Envoy says why it refused a client certificate
 * (docs/explanation/envoy.md#refused-certificates).
 */
async function findReason(log: string, from: number, {reason, what, signal}: Sought): Promise<void> {
  const probe = async (): Promise<true | undefined> => {
    const failures = linesSince(log, from).map(line => failureIn(line))
    return failures.some(failure => reason.test(failure)) ? true : undefined
  }
  await waitFor(what, probe, {signal, timeoutMs: 5000})
}

function failureIn(line: string): string {
  try {
    const entry = JSON.parse(line) as {log?: string; failure?: string}
    return entry.log === 'connection' ? (entry.failure ?? '') : ''
  } catch {
    return ''
  }
}
