/**
 * Alerts in Kubernetes: the real endpointslice controller says where the Alertmanagers are, a real CoreDNS has their names, and the real
 * Prometheus operator makes the configuration of a real Prometheus out of the Secret of chart `envoy`. There is no kubelet: the test
 * writes the status of Pods, runs their programs, and replaces the name of a Service by the address behind it.
 */
import {expect} from 'chai'
import {load} from 'js-yaml'
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {gunzipSync} from 'node:zlib'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, parseAddresses, renderHostPort} from '../../src/lib/model/address.js'
import {objectNames} from '../../src/lib/model/names.js'
import {init} from '../../src/lib/ops/init.js'
import {applyAll} from '../charts/support/apply.js'
import {objectsOf} from '../charts/support/rendered.js'
import {ask} from '../helpers/http1.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {startOperator} from '../helpers/kubernetes/operator.js'
import {program} from '../helpers/kubernetes/programs.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {startAlertmanager} from '../pages/support/programs.js'
import {type Installation, openInstallation} from './installation.js'
import {until} from './look.js'
import {untilAnswers} from './scene.js'

/** Seconds. */
const LIMIT = 90
const SERVICE = 'alertmanager-operated'
const ALERT = 'FromTheOperator'

describe('e2e: alerts in Kubernetes, by the Prometheus operator', function () {
  inSteps()
  this.timeout(240_000)
  let kubernetes: Kubernetes
  let installation: Installation
  let [monitoring, edge] = ['', '']
  let door: HostPort
  let zone = ''
  const alertmanagers: HostPort[] = []
  /** Seconds from when the pod of the fourth was added until that had an alert. */
  let reachedAfter: Promise<number>
  /** Seconds: how often Prometheus asks for the list by the default of chart `envoy`. */
  let shipped = NaN
  /** What is to be closed, also where `before` has failed half-way. */
  const undo: (() => Promise<void>)[] = []

  before(async () => {
    kubernetes = await ownKubernetes({controllers: ['endpointslice-controller']})
    undo.push(kubernetes.cluster.end)
    await kubernetes.startControllers()
    ;[monitoring, edge] = [await kubernetes.newNamespace('monitoring'), await kubernetes.newNamespace('edge')]
    const selector = `kubernetes.io/service-name=${SERVICE}`
    const settings = {alertmanagerSelector: {namespace: monitoring, selector}}
    installation = await openInstallation({kubernetes, clusters: ['paris'], spare: 2, ads: 1, controllers: 1, settings})
    undo.push(installation.close)
    door = {host: installation.member('paris').address, port: 10_903}
    const set = [`alertmanagerSelector=${monitoring}/${selector}`]
    const rendered = await objectsOf({chart: 'atlas', ci: 'default', namespace: installation.namespace, set})
    await applyAll(
      kubernetes,
      rendered.filter(({metadata}) => metadata.namespace === monitoring),
    )
    await startNames()
    await create('/api/v1/nodes', {metadata: {name: 'node-0'}})
    await create(`/api/v1/namespaces/${monitoring}/services`, {
      metadata: {name: SERVICE},
      spec: {clusterIP: 'None', selector: {app: 'alertmanager'}, ports: [named('web', 9093), named('tcp-mesh', 9094)]},
    })
    for (const number of [0, 1, 2]) await addAlertmanager(number)
  })
  after(async () => {
    for (const act of undo.reverse()) await act()
  })

  const named = (name: string, port: number): object => ({name, port, targetPort: port})

  async function create(at: string, body: object): Promise<void> {
    const answer = await kubernetes.request('POST', at, body)
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201)
  }

  /** A real CoreDNS for the names of pods, and an observability Envoy that asks it. */
  async function startNames(): Promise<void> {
    const at = {host: installation.spareAddress(1), port: 1053}
    zone = path.join(installation.folder, 'pods.zone')
    await writeZone()
    const corefile = path.join(installation.folder, 'Corefile')
    await writeFile(corefile, `svc.cluster.local:${at.port} {\n  bind ${at.host}\n  file ${zone} {\n    reload 1s\n  }\n}\n`)
    await installation.startProcess({name: 'coredns', program: program('coredns'), args: ['-conf', corefile]})
    const address = installation.spareAddress(2)
    const envoy = await installation.makeEnvoy('atlas', {address, nodeId: 'atlas-1', nameServer: at})
    await envoy.start()
    await envoy.untilReady()
    await init(installation.store, {addresses: parseAddresses(address)}, dependencies)
  }

  async function writeZone(): Promise<void> {
    const records = alertmanagers.map(({host}, number) => `${podName(number)}.${SERVICE}.${monitoring} IN A ${host}`)
    const serial = alertmanagers.length + 1
    await writeFile(zone, ['$TTL 1', `@ IN SOA ns hostmaster ${serial} 60 60 60 1`, '@ IN NS ns', ...records, ''].join('\n'))
  }

  const podName = (number: number): string => `alertmanager-main-${number}`

  /** @returns when its process ran and its pod was added, by `Date.now()` */
  async function addAlertmanager(number: number): Promise<number> {
    const listen = {host: installation.spareAddress(0).replace(/200$/, `15${number}`), port: 9093}
    alertmanagers[number] = listen
    await writeZone()
    await startAlertmanager(installation, {name: podName(number), listen})
    const addedAt = Date.now()
    await create(`/api/v1/namespaces/${monitoring}/pods`, {
      metadata: {name: podName(number), labels: {app: 'alertmanager'}},
      spec: {
        nodeName: 'node-0',
        hostname: podName(number),
        subdomain: SERVICE,
        containers: [{name: 'alertmanager', image: 'quay.io/prometheus/alertmanager'}],
      },
    })
    await setReady(number, {isReady: true})
    return addedAt
  }

  /** The address of a pod must be one that Kubernetes accepts; CoreDNS has that of its process. */
  async function setReady(number: number, {isReady}: {readonly isReady: boolean}): Promise<void> {
    const podIP = `10.0.0.${number + 1}`
    const conditions = [{type: 'Ready', status: isReady ? 'True' : 'False'}]
    const body = {status: {phase: 'Running', podIP, podIPs: [{ip: podIP}], conditions}}
    const at = `/api/v1/namespaces/${monitoring}/pods/${podName(number)}/status`
    const {status} = await kubernetes.request('PATCH', at, body, {contentType: 'application/strategic-merge-patch+json'})
    expect(status).to.equal(200)
  }

  async function announced(): Promise<readonly string[]> {
    const {body, status} = await ask(door, '/sd/alertmanagers')
    if (status !== 200) return []
    return (JSON.parse(body) as readonly {labels: Readonly<Record<string, string>>}[]).map(({labels}) => labels['alertmanager'] ?? '')
  }

  async function updatedAt(number: number): Promise<string> {
    const at = alertmanagers[number] ?? expect.fail('there is no such Alertmanager')
    const alerts = JSON.parse((await ask(at, '/api/v2/alerts')).body) as readonly {labels: {alertname: string}; updatedAt: string}[]
    return alerts.find(({labels}) => labels.alertname === ALERT)?.updatedAt ?? ''
  }

  async function untilDelivered(numbers: readonly number[], since = ''): Promise<void> {
    for (const number of numbers)
      await until(installation, `the alert at ${podName(number)}`, async () => (await updatedAt(number)) > since, LIMIT)
  }

  it('D15: the Envoy of a downstream cluster announces the pods that the endpointslice controller has found', async () => {
    const all = [0, 1, 2].map(number => podName(number))
    await until(installation, 'the announcement', async () => JSON.stringify(await announced()) === JSON.stringify(all), LIMIT)
    const map = await installation.get(`configmaps/${objectNames.alertmanagers}`)
    expect(map?.data?.[podName(0)]).to.equal(`${podName(0)}.${SERVICE}.${monitoring}.svc.cluster.local:9093`)
  })

  it('D16: a Prometheus object with the Secret of the chart becomes a configuration that delivers to each, in any namespace', async () => {
    await startOperator(kubernetes, installation, {namespace: edge, listen: {host: installation.spareAddress(0), port: 8080}})
    const release = {chart: 'envoy', ci: 'default', release: 'atlas', namespace: edge} as const
    const chart = await objectsOf({...release, set: ['alerts.refreshInterval=1s']})
    shipped = Number(/refresh_interval: (\d+)s/.exec(JSON.stringify(await objectsOf(release)))?.[1])
    await applyAll(
      kubernetes,
      chart.filter(({kind}) => kind === 'Secret'),
    )
    const custom = `/apis/monitoring.coreos.com/v1/namespaces/${edge}`
    await create(`${custom}/prometheusrules`, {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: {name: 'always'},
      spec: {groups: [{name: 'always', rules: [{alert: ALERT, expr: 'vector(1)'}]}]},
    })
    await create(`${custom}/prometheuses`, {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'Prometheus',
      metadata: {name: 'k8s'},
      spec: {
        version: 'v3.12.0',
        evaluationInterval: '1s',
        externalLabels: {cluster: 'paris'},
        ruleSelector: {},
        // Without any selector of monitors the operator would make no configuration.
        serviceMonitorSelector: {},
        additionalAlertManagerConfigs: {name: 'atlas-alertmanager-configs', key: 'config.yaml'},
      },
    })
    await startPrometheus()
    await untilDelivered([0, 1, 2])
  })

  it('a fourth Alertmanager is announced once the endpointslice controller has found its pod', async () => {
    const addedAt = await addAlertmanager(3)
    reachedAfter = untilDelivered([3]).then(() => (Date.now() - addedAt) / 1000)
    reachedAfter.catch(() => undefined)
    await until(installation, 'the announcement', async () => (await announced()).includes(podName(3)), LIMIT)
  })

  it('the host names of 2021 configurations, alertmanager<N>, lead to the pods that were found, in their order', async () => {
    for (const number of [0, 3]) {
      const alertname = `Of2021To${number}`
      const headers = {'content-type': 'application/json', host: `alertmanager${number}.monitoring.svc:9093`}
      const body = JSON.stringify([{labels: {alertname}}])
      const posted = async (): Promise<number> => (await ask(door, '/api/v2/alerts', {method: 'POST', headers, body})).status
      // CoreDNS has the name of the fourth pod a moment after its file.
      await until(installation, alertname, async () => (await posted()) === 200, LIMIT)
      const having = await Promise.all(
        alertmanagers.map(async (at, index) => ((await ask(at, '/api/v2/alerts')).body.includes(alertname) ? [index] : [])),
      )
      expect(having.flat(), alertname).to.deep.equal([number])
    }
  })

  it('one that is not ready stays on the list', async () => {
    await setReady(1, {isReady: false})
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${monitoring}/endpointslices`
    const isSeen = async (): Promise<boolean> => JSON.stringify((await kubernetes.request('GET', slices)).body).includes('"ready":false')
    await until(installation, 'the endpointslice controller', isSeen, LIMIT)
    await untilDelivered([0, 1, 2], new Date().toISOString())
    expect(await announced()).to.deep.equal([0, 1, 2, 3].map(number => podName(number)))
  })

  it('the fourth gets the alert without any new value or configuration downstream: within a minute at the refresh interval of the chart', async () => {
    // Here Prometheus asks every second; as the chart has it, it asks for the first time up to `shipped` seconds later.
    expect((await reachedAfter) + shipped, 'seconds').to.be.below(60)
    await untilDelivered([0, 1, 2, 3], new Date().toISOString())
  })

  /** As the StatefulSet that the operator has made: with its configuration and rules. */
  async function startPrometheus(): Promise<void> {
    interface Stored {
      readonly data?: Readonly<Record<string, string>>
    }
    const get = async (at: string): Promise<Readonly<Record<string, string>>> =>
      (await kubernetes.request<Stored>('GET', `/api/v1/namespaces/${edge}/${at}`)).body.data ?? {}
    const generated = async (): Promise<string> => {
      const packed = (await get('secrets/prometheus-k8s'))['prometheus.yaml.gz']
      return packed === undefined ? '' : gunzipSync(Buffer.from(packed, 'base64')).toString()
    }
    const isComplete = async (): Promise<boolean> =>
      (await generated()).includes('/sd/alertmanagers') && Object.keys(await get('configmaps/prometheus-k8s-rulefiles-0')).length > 0
    await until(installation, "the operator's configuration", isComplete, LIMIT)

    const folder = path.join(installation.folder, 'data', 'prometheus-k8s')
    const rules = path.join(folder, 'rules')
    await mkdir(rules, {recursive: true})
    for (const [name, text] of Object.entries(await get('configmaps/prometheus-k8s-rulefiles-0')))
      await writeFile(path.join(rules, name), text)
    const text = (await generated())
      .replaceAll('/etc/prometheus/rules/prometheus-k8s-rulefiles-0', rules)
      .replaceAll('$(POD_NAME)', 'prometheus-k8s-0')
      .replaceAll(`atlas-envoy-alerts.${edge}.svc:10903`, renderHostPort(door))
    expect(load(text)).to.have.nested.property('alerting.alertmanagers').that.has.length(1)
    expect(text).to.include('refresh_interval: 1s')
    await writeFile(path.join(folder, 'prometheus.yaml'), text)
    const listen = {host: installation.spareAddress(0).replace(/200$/, '190'), port: 9090}
    await installation.startProcess({
      name: 'prometheus-k8s',
      program: program('prometheus-3'),
      args: [
        `--config.file=${path.join(folder, 'prometheus.yaml')}`,
        `--storage.tsdb.path=${path.join(folder, 'tsdb')}`,
        `--web.listen-address=${renderHostPort(listen)}`,
        '--rules.alert.resend-delay=1s',
      ],
      cwd: folder,
    })
    await untilAnswers(listen, '/-/ready', installation.crashed)
  }
})
