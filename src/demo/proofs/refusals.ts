/** Proofs of refusal, which need only Envoy: a mutual-TLS port sends no byte to a client whose certificate it does not admit. */
import {OBSERVABILITY} from '../../lib/model/names.js'
import {askAds, resourcesInAnswer} from '../lab/ads-client.js'
import {
  type MtlsPort,
  type ExpectedRefusal,
  adsPort,
  allMtlsPorts,
  mustRefuse,
  serverPagesPort,
  serverPort,
  sidecarPort,
} from '../mtls-ports.js'
import {grpcCodes} from '../lab/grpc.js'
import type {Network} from '../network.js'
import {Disproof, insist} from '../proof.js'
import {credentialIn, forge, identityIn} from '../lab/certificates.js'
import {counted, listed, range} from '../format.js'

/** Without a certificate the handshake fails and no byte is sent. */
export async function noCertificateRefused(network: Network): Promise<string> {
  const {store, signal} = network.context
  const ports = allMtlsPorts(network, await store.load())
  const refusal: ExpectedRefusal = {
    name: 'a client without a certificate',
    client: {},
    alert: /certificate required/,
    reason: /PEER_DID_NOT_RETURN_A_CERTIFICATE/,
  }
  const bytes = await inTurn(ports, async port => mustRefuse(port, refusal, signal))
  return `${titles(ports)}: 0 bytes, TLS alert "certificate required"; each sent its admitted client ${range(bytes)} bytes of HTTP/2 at once`
}

/** Certificates of another authority are refused, even with the right names. */
export async function foreignCertificateRefused(network: Network): Promise<string> {
  const {store, signal} = network.context
  const fleet = await store.load()
  const forged = forge(fleet)
  const visit = async (port: MtlsPort, certificate: ExpectedRefusal['client']['certificate']): Promise<number> => {
    const name = 'a client with a certificate of another authority'
    const client = certificate === undefined ? {} : {certificate}
    return mustRefuse(port, {name, client, alert: /unknown ca/, reason: /unable_to_get_local_issuer_certificate/}, signal)
  }
  const owner = network.members[0]?.name ?? OBSERVABILITY
  const ads = adsPort(network, fleet)
  const server = serverPort(network, fleet)
  const pages = serverPagesPort(network, fleet)
  const sidecars = network.members.map(member => sidecarPort(member, fleet))
  const bytes = [
    await visit(ads, forged.credential(owner)),
    await visit(server, forged.credential(OBSERVABILITY)),
    await visit(pages, forged.observability),
    ...(await inTurn(sidecars, async port => visit(port, forged.observability))),
  ]
  return `${titles([ads, server, pages, ...sidecars])}: 0 bytes and TLS alert "unknown ca" for certificates with the right names and another root's signature; admitted clients got ${range(bytes)} bytes`
}

/**
 * A cluster's real certificates are refused by the ports of other clusters.
 * @param thief a registered cluster whose keys count as stolen
 */
export async function otherClusterRefused(network: Network, thief: string): Promise<string> {
  const {store, signal} = network.context
  const fleet = await store.load()
  const owner = [...fleet.identities.keys()].find(name => name === thief)
  insist(owner !== undefined, `there is no cluster ${thief} to steal from`)
  const identity = identityIn(fleet, owner)
  const credential = credentialIn(fleet, owner)
  const sidecars = network.members.filter(({name}) => name !== owner).map(member => sidecarPort(member, fleet))
  for (const port of sidecars) {
    await mustRefuse(
      port,
      {name: `${thief}'s identity`, client: {certificate: identity}, alert: /certificate unknown/, reason: /SAN_matcher/},
      signal,
    )
    await mustRefuse(port, {name: `${thief}'s ADS credential`, client: {certificate: credential}, ...notTrusted}, signal)
  }

  const ads = adsPort(network, fleet)
  for (const port of [ads, serverPagesPort(network, fleet)])
    await mustRefuse(port, {name: `${thief}'s identity`, client: {certificate: identity}, ...notTrusted}, signal)
  return `with ${thief}'s own keys: ${titles(sidecars)} refused its identity (valid certificate, wrong name) and its ADS credential (another issuer), 10900 and 6306 refused its identity; admitted clients passed the same ${sidecars.length * 2 + 2} probes`
}

/** A credential opens ADS for its own cluster's nodes only, both through 10900 and at 6305. */
export async function adsWrongNodeRefused(network: Network, thief: string, victim: string): Promise<string> {
  const fleet = await network.context.store.load()
  const owner = [...fleet.credentials.keys()].find(name => name === thief)
  insist(owner !== undefined, `there is no cluster ${thief} to steal from`)
  const credential = credentialIn(fleet, owner)
  const id = 'proof'
  const messages: string[] = []
  for (const port of [adsPort(network, fleet), serverPort(network, fleet)]) {
    for (const cluster of [victim, OBSERVABILITY]) {
      const {grpcStatus, grpcMessage, messages: got} = await askAds(port, credential, {cluster, id})
      insist(got.length === 0, `${port.title} sent configuration of ${cluster} to ${thief}`)
      insist(
        grpcStatus === grpcCodes.permissionDenied,
        `${port.title} answered gRPC status ${grpcStatus ?? 'none'} (${grpcMessage}) to ${thief} as ${cluster}`,
      )
      messages.push(grpcMessage)
    }
  }

  const own = await askAds(adsPort(network, fleet), credential, {cluster: thief, id})
  const resources = resourcesInAnswer(own)
  if (resources === undefined)
    throw new Disproof(`${thief} was also refused as its own node: gRPC status ${own.grpcStatus ?? 'none'} (${own.grpcMessage})`)
  return `${thief}'s credential as node of ${victim} and of ${OBSERVABILITY}, through 10900 and at 6305: PERMISSION_DENIED (7) ${messages.length} times of ${messages.length} ("${messages[0] ?? ''}"); as ${thief} it got ${counted(resources, 'cluster')}`
}

const notTrusted = {alert: /unknown ca/, reason: /unable_to_get_local_issuer_certificate/}

async function inTurn<T, R>(values: readonly T[], use: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const value of values) results.push(await use(value))
  return results
}

/** `10900, 6305, 11901 of paris, lyon and oslo`. */
function titles(ports: readonly MtlsPort[]): string {
  const clusters = ports.flatMap(({title}) => (title.startsWith('11901 of ') ? [title.slice('11901 of '.length)] : []))
  const others = ports.map(({title}) => title).filter(title => !title.startsWith('11901 of '))
  return [...others, ...(clusters.length > 0 ? [`11901 of ${listed(clusters)}`] : [])].join(', ')
}
