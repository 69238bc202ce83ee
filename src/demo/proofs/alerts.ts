/** Proofs about alerts: those of every cluster reach the observability Alertmanager, with no login, and nothing else passes that way. */
import {alertsAt} from '../alertmanager.js'
import {listed, seconds} from '../format.js'
import {ask} from '../lab/http.js'
import {waitFor} from '../lab/wait.js'
import {type Member, type Network, alertmanagerAddress} from '../network.js'
import {prometheusOf, writeAlert} from '../prometheus.js'
import {insist} from '../proof.js'

const ALERT = 'DemoAlert'

/** Gives every Prometheus a rule that fires, and waits for its alert in the Alertmanager. */
export async function alertArrives(network: Network): Promise<string> {
  const {context, members, prometheuses} = network
  const wanted = members.map(({name}) => name).sort()
  for (const {name, site} of members) await writeAlert(context.folder, prometheusOf(name, site), ALERT)
  const begin = performance.now()
  for (const running of prometheuses.values()) process.kill(running.pid, 'SIGHUP')
  await waitFor(
    `the alerts of ${listed(wanted)} in the observability Alertmanager`,
    async () => {
      const alerts = (await alertsAt(alertmanagerAddress(context))).filter(({labels}) => labels['alertname'] === ALERT)
      const got = new Set(alerts.map(({labels}) => labels['cluster']))
      const missing = wanted.filter(name => !got.has(name))
      if (missing.length === 0) return true
      throw new Error(`none yet from ${listed(missing)}`)
    },
    {signal: context.signal, timeoutMs: 60_000},
  )
  const time = seconds(performance.now() - begin)
  const [first] = members
  insist(first !== undefined, 'there is no cluster')
  const silence = await postThrough(first, '/am/alertmanager0/api/v2/silences')
  insist(silence === 404, `a silence sent from ${first.name} was answered with ${silence}`)
  return `${time} after it began to fire, the alert ${ALERT} of ${listed(wanted)} was in the observability Alertmanager, sent by each Prometheus to port 10903 of its own Envoy; a silence sent the same way was refused with 404`
}

/** What a cluster's Envoy answers to an alert from its own network; 503 where no Alertmanager runs. */
export async function sendAlert(member: Member): Promise<number> {
  return postThrough(member, '/am/alertmanager0/api/v2/alerts')
}

async function postThrough({name, site}: Member, path: string): Promise<number> {
  const body = JSON.stringify([{labels: {alertname: 'DemoProbe', cluster: name}}])
  const headers = {'content-type': 'application/json', 'content-length': Buffer.byteLength(body)}
  return (await ask({host: site.address, port: site.ports.alerts}, path, {method: 'POST', headers, body})).status
}
