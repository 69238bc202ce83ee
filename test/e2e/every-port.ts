/** Every port in mutual TLS of a running network, which client each admits, and what says why another one is refused. */
import {credentialIn, identityIn, issuersIn, settingsIn} from '../../src/demo/lab/certificates.js'
import {callOnce, grpcCodes, openTls} from '../../src/demo/lab/grpc.js'
import {type TlsTarget, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Fleet, generationOf} from '../../src/lib/model/fleet.js'
import {internalPorts} from '../../src/lib/model/internal-ports.js'
import {type ClientName, type ClusterName, OBSERVABILITY, sni} from '../../src/lib/model/names.js'
import {ADS_PORT, ALERTS_PORT, PAGES_PORT} from '../../src/lib/model/settings.js'
import {type CertificateSpec, clientSpec, credentialSpec, identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {visit} from '../helpers/http2.js'
import type {TestEnvoy} from './envoy.js'
import {until} from './look.js'
import type {Network} from './network.js'

export interface MtlsPort extends TlsTarget {
  /** Absent: `atlas serve` listens. */
  readonly envoy?: TestEnvoy
  /** What it admits: the certificate itself, what that certificate says, and who signs it. */
  readonly admits: CertifiedKey
  readonly spec: CertificateSpec
  readonly signer: 'credentialIssuer' | 'issuer'
}

export interface Clients {
  /** The cluster whose Envoy has 11901 to 11904, and whose certificates are those of a downstream cluster. */
  readonly cluster: ClusterName
  /** The client of 10901, 10902 and 10904, which speak mutual TLS; absent: they do not. */
  readonly internal?: ClientName
}

/** @returns all eleven, and eight where the internal ports speak plaintext */
export function everyPort(network: Network, fleet: Fleet, {cluster, internal}: Clients): readonly MtlsPort[] {
  const settings = settingsIn(fleet)
  const {address, observability: envoy} = network
  const member = network.member(cluster)
  const ca = issuersIn(fleet)
  const central = {host: address, servername: sni.observability(settings.trustDomain), ca, envoy} as const
  const server = {host: address, servername: sni.ads(settings.trustDomain), ca} as const
  const generation = generationOf(fleet, cluster)
  const credential = {
    ...{admits: credentialIn(fleet, cluster), spec: credentialSpec(settings, cluster, generation)},
    signer: 'credentialIssuer',
  } as const
  const own = {admits: identityIn(fleet, cluster), spec: identitySpec(settings, cluster, generation), signer: 'issuer'} as const
  const observability = {
    admits: identityIn(fleet, OBSERVABILITY),
    spec: identitySpec(settings, OBSERVABILITY, 1),
    signer: 'issuer',
  } as const
  const downstream = {...{host: member.address, servername: sni.downstream(settings.trustDomain, cluster), ca, envoy: member.envoy}}
  return [
    {port: 10_900, ...central, ...credential},
    ...(internal === undefined ? [] : internalPorts.map(port => ({port, ...central, ...clientNamed(fleet, internal)}))),
    {port: ALERTS_PORT, ...central, ...own},
    ...[11_901, 11_902, 11_903, 11_904].map(port => ({port, ...downstream, ...observability})),
    {port: ADS_PORT, ...server, ...credential},
    {port: PAGES_PORT, ...server, ...observability},
  ]
}

function clientNamed(fleet: Fleet, name: ClientName): Pick<MtlsPort, 'admits' | 'signer' | 'spec'> {
  const admits = fleet.clients.get(name)
  if (admits === undefined) throw new Error(`there is no certificate of client ${name}`)
  return {admits, spec: clientSpec(settingsIn(fleet), name), signer: 'issuer'}
}

const ADS_METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** Whether a client with that certificate is answered: its connection and its request are admitted. */
export async function isAdmitted(at: MtlsPort, certificate: CertifiedKey): Promise<boolean> {
  try {
    if (at.port === 10_900 || at.port === ADS_PORT) {
      // Without a node, which a rotation would wait for: the server says that it is missing to clients that are admitted.
      const call = {authority: at.servername, path: ADS_METHOD, message: new Uint8Array(), timeoutMs: 5000, until: 'message'} as const
      const {grpcStatus} = await callOnce(openTls(at, tlsOptions(at, {certificate})), call)
      return grpcStatus !== grpcCodes.permissionDenied
    }

    const path = at.port === ALERTS_PORT ? '/am/alertmanager0/api/v2/alerts' : '/'
    const {status} = await visit(at, {authority: at.servername, path, tls: {...at, shows: certificate}})
    // Other ports refuse a certificate in the handshake; Envoy answers 403 where there is no page.
    return at.port !== ALERTS_PORT || status !== 403
  } catch {
    return false
  }
}

/** @returns what the Envoy's log and the server report of a client that is refused; undefined: it is admitted */
export async function refusalOf(network: Network, at: MtlsPort, certificate: CertifiedKey): Promise<readonly string[] | undefined> {
  const [mark, since] = [at.envoy?.mark(), new Date().toISOString()]
  if (await isAdmitted(at, certificate)) return undefined
  const reasons = async (): Promise<readonly string[]> => {
    const connections = (at.envoy?.logged('connection', mark) ?? []).map(({failure}) => failure)
    const requests = (at.envoy?.logged('request', mark) ?? []).map(({details}) => details).filter(details => details?.startsWith('rbac_'))
    const {refusals} = await network.report()
    // The port before may have admitted a client in the same millisecond, who has no node (`isAdmitted`).
    const denials = refusals.filter(({at: time, reason}) => time >= since && reason !== 'node-missing').map(({reason}) => reason)
    return [...connections, ...requests, ...denials].filter(reason => typeof reason === 'string')
  }
  let found: readonly string[] = []
  await until(network, `what says why ${at.port} refuses a client`, async () => {
    found = await reasons()
    return found.length > 0
  })
  return found
}
