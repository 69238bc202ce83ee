/** Proofs: a removed cluster is cut off within seconds, although it keeps its keys; its alerts and its pages are, too. */
import type {HostPort} from '../../lib/model/address.js'
import {askAds} from '../lab/ads-client.js'
import {adsPort, serverPort} from '../mtls-ports.js'
import {callOnce, grpcCodes, openPlain} from '../lab/grpc.js'
import {healthCall} from '../lab/health.js'
import {ask} from '../lab/http.js'
import {type Member, type Network, pagesAddress, thanosAddress} from '../network.js'
import {insist} from '../proof.js'
import {credentialIn} from '../lab/certificates.js'
import {waitFor} from '../lab/wait.js'
import {listed, seconds} from '../format.js'
import {sendAlert} from './alerts.js'
import {pathOf} from './pages.js'
import {untilAnswered} from './paths.js'
import {askStatus} from './status.js'

/** A removed cluster is cut off within this time (promise 2). */
const LIMIT_MS = 10_000

/** Removes `member`, whose Envoy keeps running and connecting with its credential. */
export async function removeCutsOff(network: Network, member: Member, query: HostPort | undefined): Promise<string> {
  const {context} = network
  const {name} = member
  const fleet = await context.store.load()
  const credential = credentialIn(fleet, name)
  const ports = [adsPort(network, fleet), serverPort(network, fleet)]
  await context.atlas.run('cluster', 'remove', name, '--yes')
  const begin = performance.now()
  const options = {signal: context.signal, timeoutMs: LIMIT_MS}
  await waitFor(`calls to ${name} to be refused`, async () => isUnknown(context, member), options)
  for (const port of ports) {
    const refusedAt = async (): Promise<true | undefined> => {
      const {grpcStatus} = await askAds(port, credential, {cluster: name, id: 'proof'})
      return grpcStatus === grpcCodes.permissionDenied ? true : undefined
    }
    await waitFor(`${port.title} to refuse the credential of ${name}`, refusedAt, options)
  }

  const streamsEnded = async (): Promise<true | undefined> => {
    const {proxies} = await askStatus(network)
    return proxies.some(({cluster}) => cluster === name) ? undefined : true
  }
  await waitFor(`the ADS stream of ${name} to end`, streamsEnded, options)
  const time = seconds(performance.now() - begin)
  const rest = network.members.filter(other => other !== member).map(other => other.name)
  if (query !== undefined) await untilAnswered(network, query, rest)
  insist(rest.length > 0, 'no other cluster is left')
  return `${time} after "cluster remove": calls to ${name} are refused, its ADS stream has ended, and its credential, still valid by date, gets PERMISSION_DENIED through 10900 and at 6305 while its Envoy keeps connecting; ${listed(rest)} as before`
}

/** How the ways of alerts and pages answer for a cluster. */
export interface Ways {
  /** HTTP status of an alert that it sends. */
  readonly alert: number
  /** HTTP status of its Prometheus page. */
  readonly page: number
}

/** Tries both ways. */
export async function waysOf({context}: Network, member: Member): Promise<Ways> {
  const {status} = await ask(pagesAddress(context), `${pathOf('prom', member.name)}-/ready`)
  return {alert: await sendAlert(member), page: status}
}

/**
 * After the removal, while its Envoy still runs with its certificate: its alerts are refused, and its page is gone.
 * @param before how both ways answered when it was registered
 */
export async function clusterRevoked(network: Network, member: Member, before: Ways): Promise<string> {
  const {name} = member
  insist(before.alert !== DENIED && before.alert !== GONE, `the alerts of ${name} were answered with ${before.alert} before it was removed`)
  insist(before.page !== GONE, `the page of ${name} was not there before it was removed`)
  await waitFor(
    `the alerts and the page of ${name} to be cut off`,
    async () => {
      const {alert, page} = await waysOf(network, member)
      if (alert === DENIED && page === GONE) return true
      throw new Error(`its alert is answered with ${alert}, its page with ${page}`)
    },
    {signal: network.context.signal, timeoutMs: LIMIT_MS},
  )
  const [other] = network.members.filter(each => each !== member)
  insist(other !== undefined, 'no other cluster is left')
  const {alert} = await waysOf(network, other)
  insist(alert !== DENIED, `the alerts of ${other.name} are refused, too`)
  return `the Envoy of ${name} still runs with a certificate that is valid by date: an alert that it passes on gets ${DENIED} (before: ${passed(before.alert)}; that of ${other.name}: ${passed(alert)}), and its page at 10904 is ${GONE} (before: ${before.page})`
}

/** The status of an alert that was not refused. */
function passed(status: number): string {
  return status === NO_ALERTMANAGER ? `${status}, since no Alertmanager runs yet` : String(status)
}

const DENIED = 403
const NO_ALERTMANAGER = 503
const GONE = 404

async function isUnknown(context: Network['context'], {authority}: Member): Promise<true | undefined> {
  const {grpcStatus} = await callOnce(openPlain(thanosAddress(context)), healthCall(authority))
  return grpcStatus === grpcCodes.unimplemented ? true : undefined
}
