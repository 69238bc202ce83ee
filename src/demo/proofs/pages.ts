/** Proofs: the web pages of downstream clusters, through the observability Envoy's 10904 and each cluster's own Envoy. */
import {type HostPort, renderHostPort} from '../../lib/model/address.js'
import {type ClusterName, type PageKind, pageHostName} from '../../lib/model/names.js'
import {listed} from '../format.js'
import {type HttpReply, ask} from '../lab/http.js'
import {waitFor} from '../lab/wait.js'
import {type Member, type Network, WEB_DOMAIN, pagesAddress} from '../network.js'
import {insist} from '../proof.js'

/**
 * Every cluster's Prometheus by path and by host name; what would stop one is refused.
 * @param what the pages in the sentence: `the Prometheus pages`
 */
export async function prometheusPage(network: Network, what: string): Promise<string> {
  const {members, context} = network
  const pages = pagesAddress(context)
  const times: number[] = []
  for (const {name} of members) {
    await untilShown(network, `/prom/${name}/-/ready`)
    const begin = performance.now()
    const byPath = await follow(pages, pathOf('prom', name))
    times.push(performance.now() - begin)
    insistOnPage(byPath, /<title>Prometheus/, `the page of ${name} by path`)
    const byHost = await follow(pages, '/', pageHostName('prom', name, WEB_DOMAIN))
    insistOnPage(byHost, /<title>Prometheus/, `the page of ${name} by host name`)
    const {body} = await ask(pages, `${pathOf('prom', name)}api/v1/status/config`)
    insist(new RegExp(`cluster: ${name}\\b`).test(body), `${pathOf('prom', name)} is not the page of ${name}`)
  }

  const [first] = members
  insist(first !== undefined, 'there is no cluster')
  const {status} = await ask(pages, `${pathOf('prom', first.name)}-/quit`, {method: 'POST'})
  insist(status === 403, `POST /-/quit was answered with ${status}, not refused`)
  return `${what} of ${listed(members.map(({name}) => name))} came by path (${pathOf('prom', first.name)}) and by host name (${pageHostName('prom', first.name, WEB_DOMAIN)}), each of its own cluster, within ${Math.ceil(Math.max(...times))} ms; POST /-/quit was refused with 403`
}

/** The page of a downstream Alertmanager: a silence made on the page is in that Alertmanager; an alert can't be made there. */
export async function alertmanagerPage(network: Network, {name, site}: Member): Promise<string> {
  const pages = pagesAddress(network.context)
  const path = pathOf('alertmanager', name)
  await untilShown(network, `${path}-/ready`)
  insistOnPage(await follow(pages, path), /<title>Alertmanager/, `the page of the Alertmanager of ${name}`)
  const json = {'content-type': 'application/json'}
  const made = await ask(pages, `${path}api/v2/silences`, {method: 'POST', headers: json, body: JSON.stringify(silence(new Date()))})
  insist(made.status === 200, `a silence was answered with ${made.status}: ${made.body}`)
  const {silenceID} = JSON.parse(made.body) as {silenceID: string}
  const own = await ask({host: site.address, port: site.ports.alertmanager}, `/api/v2/silence/${silenceID}`)
  insist(own.status === 200, `the Alertmanager of ${name} does not know the silence`)
  const forged = await ask(pages, `${path}api/v2/alerts`, {method: 'POST', headers: json, body: '[{"labels":{"alertname":"forged"}}]'})
  insist(forged.status === 403, `an alert made on the page was answered with ${forged.status}`)
  return `the page of the Alertmanager of ${name} came by path (${path}); a silence made on it is in the Alertmanager of ${name}; an alert made on it was refused with 403`
}

/** Waits until a Prometheus is ready. @returns whether it has pages: a distribution's may have left them out */
export async function hasPages({context}: Network, {name, site}: Member): Promise<boolean> {
  const at = {host: site.address, port: site.ports.prometheus}
  await waitFor(`the Prometheus of ${name} to be ready`, async () => ((await ask(at, '/-/ready')).status === 200 ? true : undefined), {
    signal: context.signal,
    timeoutMs: 60_000,
  })
  const {status, body} = await follow(at, '/')
  return status === 200 && body.includes('<title>Prometheus')
}

/** `/prom/paris/`. */
export function pathOf(kind: PageKind, cluster: ClusterName): string {
  return `/${kind}/${cluster}/`
}

/** Waits until a path of 10904 answers 200. */
async function untilShown({context}: Network, path: string): Promise<void> {
  const probe = async (): Promise<true | undefined> => {
    const {status} = await ask(pagesAddress(context), path)
    if (status === 200) return true
    throw new Error(`it answers ${status}`)
  }
  await waitFor(`${path} to be shown`, probe, {signal: context.signal, timeoutMs: 60_000})
}

/** Follows at most two redirects, all of which must stay at this address. */
async function follow(at: HostPort, path: string, host = renderHostPort(at), rest = 2): Promise<HttpReply> {
  const reply = await ask(at, path, {headers: {host}})
  const {location} = reply.headers
  if (location === undefined || rest === 0) return reply
  const url = new URL(location, `http://${host}${path}`)
  insist(url.host === host, `${path} leads to ${location}, elsewhere`)
  return follow(at, `${url.pathname}${url.search}`, host, rest - 1)
}

function insistOnPage({status, body}: HttpReply, title: RegExp, what: string): void {
  insist(status === 200 && title.test(body), `${what} was answered with ${status} and no ${title}`)
}

function silence(now: Date): object {
  const matchers = [{name: 'alertname', value: 'DemoSilence', isRegex: false, isEqual: true}]
  const endsAt = new Date(now.getTime() + 60_000).toISOString()
  return {matchers, startsAt: now.toISOString(), endsAt, createdBy: 'atlas demo', comment: 'made through both Envoys'}
}
