/** The mutual-TLS ports that other clusters connect to: which certificate each admits, and the log with the reason why it refused a client. */
import type {CertifiedKey} from '../lib/model/authority.js'
import type {Fleet} from '../lib/model/fleet.js'
import {OBSERVABILITY, sni} from '../lib/model/names.js'
import {type TlsTarget, type TlsClient, probeTls, probeUntilAlert} from './lab/tls-probe.js'
import {linesSince, logLength} from './lab/log-file.js'
import type {Member, Network} from './network.js'
import {insist} from './proof.js'
import {credentialIn, identityIn, issuersIn, settingsIn} from './lab/certificates.js'
import {waitFor} from './lab/wait.js'

export interface MtlsPort extends TlsTarget {
  /** For people: `11901 of paris`. */
  readonly title: string
  /** A client certificate that it admits. */
  readonly admitted: CertifiedKey
  /** The Envoy's log; undefined for the port of `atlas serve`. */
  readonly log: string | undefined
}

/** 10900 of the observability Envoy, where downstream Envoys open ADS. */
export function adsPort({context, observability, members}: Network, fleet: Fleet): MtlsPort {
  const {address, ports} = context.sites.observability
  const client = members[0]?.name ?? OBSERVABILITY
  return {
    title: `10900`,
    host: address,
    port: ports.ads,
    servername: sni.observability(settingsIn(fleet).trustDomain),
    ca: issuersIn(fleet),
    admitted: credentialIn(fleet, client),
    log: observability.running.log,
  }
}

/** 11901 of a downstream Envoy, where the observability Envoy reaches its sidecar. */
export function sidecarPort({name, site, envoy}: Member, fleet: Fleet): MtlsPort {
  return {
    title: `11901 of ${name}`,
    host: site.address,
    port: site.ports.thanos,
    servername: sni.downstream(settingsIn(fleet).trustDomain, name),
    ca: issuersIn(fleet),
    admitted: identityIn(fleet, OBSERVABILITY),
    log: envoy.running.log,
  }
}

/** 6305, `atlas serve` itself. */
export function serverPort({context}: Network, fleet: Fleet): MtlsPort {
  const {address, ports} = context.sites.observability
  return {
    title: '6305',
    host: address,
    port: ports.server,
    servername: sni.ads(settingsIn(fleet).trustDomain),
    ca: issuersIn(fleet),
    admitted: credentialIn(fleet, OBSERVABILITY),
    log: undefined,
  }
}

/** 6306, the pages of `atlas serve`, for the observability Envoy alone. */
export function serverPagesPort(network: Network, fleet: Fleet): MtlsPort {
  const port = network.context.sites.observability.ports.serverPages
  return {...serverPort(network, fleet), title: '6306', port, admitted: identityIn(fleet, OBSERVABILITY)}
}

/** All of them. */
export function allMtlsPorts(network: Network, fleet: Fleet): readonly MtlsPort[] {
  const servers = [serverPort(network, fleet), serverPagesPort(network, fleet)]
  return [adsPort(network, fleet), ...servers, ...network.members.map(member => sidecarPort(member, fleet))]
}

/** A client that must be refused, and how the refusal must look, so that it is for the claimed reason. */
export interface ExpectedRefusal {
  /** Describes the client in messages. */
  readonly name: string
  readonly client: TlsClient
  /** The TLS alert that an Envoy answers with. */
  readonly alert: RegExp
  /** What the Envoy writes into its connection log. */
  readonly reason: RegExp
}

/**
 * Connects with the wrong certificate, then with the right one.
 * @returns how many bytes the admitted client got
 * @throws Disproof when the wrong client got a byte or was refused for another reason, or the admitted one got nothing
 */
export async function mustRefuse(port: MtlsPort, {name, client, alert, reason}: ExpectedRefusal, signal: AbortSignal): Promise<number> {
  const from = port.log === undefined ? 0 : logLength(port.log)
  // The port of `atlas serve` closes without an alert.
  const refused = port.log === undefined ? await probeTls(port, client) : await probeUntilAlert(port, client)
  insist(refused.bytes === 0, `${port.title} sent ${refused.bytes} bytes to ${name}`)
  if (port.log !== undefined) {
    insist(alert.test(refused.alert ?? ''), `${port.title} closed on ${name} with the TLS alert "${refused.alert ?? 'none'}", not ${alert}`)
    await findReason(port.log, from, {reason, what: `${port.title} to log ${reason} for ${name}`, signal})
  }

  const welcome = await probeTls(port, {certificate: port.admitted})
  insist(welcome.bytes > 0, `${port.title} sent nothing to the client that it should admit (alert: ${welcome.alert ?? 'none'})`)
  return welcome.bytes
}

interface Sought {
  readonly reason: RegExp
  readonly what: string
  readonly signal: AbortSignal
}

/**
 * The listener's access log is the only place where Envoy records why it refused a client certificate
 * (docs/explanation/envoy.md#refused-certificates).
 */
async function findReason(log: string, from: number, {reason, what, signal}: Sought): Promise<void> {
  const probe = async (): Promise<true | undefined> => {
    const failures = linesSince(log, from).map(line => failureIn(line))
    return failures.some(failure => reason.test(failure)) ? true : undefined
  }
  await waitFor(what, probe, {signal, timeoutMs: 30_000})
}

function failureIn(line: string): string {
  try {
    const entry = JSON.parse(line) as {log?: string; failure?: string}
    return entry.log === 'connection' ? (entry.failure ?? '') : ''
  } catch {
    return ''
  }
}
