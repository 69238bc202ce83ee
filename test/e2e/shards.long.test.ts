/**
 * Two shards of a Prometheus object, as the real Prometheus operator configures them: the first is the sidecars of its cluster and the second a
 * named target, with the addresses of docs/how-to/thanos-targets.md. There is no kubelet: the test runs their programs, one replica each.
 */
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {gunzipSync} from 'node:zlib'
import {expect} from 'chai'
import {queryInstant} from '../../src/demo/lab/query-api.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {serveRecording} from '../helpers/http1.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {startOperator} from '../helpers/kubernetes/operator.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {programAt} from '../pages/support/programs.js'
import {until} from './look.js'
import {openWithEndpoints} from './monitored.js'
import {type Network, closeNetwork} from './network.js'
import {untilAnswers} from './scene.js'

/** Seconds. */
const LIMIT = 60
const TARGETS = 8
const SHARDS = [0, 1] as const

interface StatefulSets {
  readonly items: readonly {
    readonly metadata: {readonly name: string}
    readonly spec: {readonly serviceName: string; readonly replicas: number}
  }[]
}

describe('e2e: shards of the Prometheus operator', function () {
  inSteps()
  this.timeout(300_000)
  let kubernetes: Kubernetes
  let namespace: string
  let network: Network
  let endpoints: string
  let query: HostPort

  before(async () => {
    kubernetes = await sharedKubernetes()
    namespace = await kubernetes.newNamespace('monitoring')
    ;({network, endpoints} = await openWithEndpoints(['paris']))
    query = {host: at(201), port: 10_902}
    await startOperator(kubernetes, network, {namespace, listen: {host: at(202), port: 8080}})
    for (let number = 0; number < TARGETS; number += 1) {
      const server = await serveRecording(scraped(number), '')
      server.answer(200, {'content-type': 'text/plain; version=0.0.4'}, 'sample 1\n')
      network.onClose(server.close)
    }
  })
  after(() => closeNetwork(network))

  const at = (last: number): string => network.spareAddress(0).replace(/200$/, String(last))
  const scraped = (number: number): HostPort => ({host: at(203), port: 9100 + number})
  const custom = (version: string, kind: string): string => `/apis/monitoring.coreos.com/${version}/namespaces/${namespace}/${kind}`

  async function create(where: string, body: object): Promise<void> {
    const {status, body: answer} = await kubernetes.request('POST', where, body)
    expect(status, JSON.stringify(answer)).to.equal(201)
  }

  it('the operator makes a StatefulSet of each, and their pods have the addresses of the page', async () => {
    await create(custom('v1alpha1', 'scrapeconfigs'), {
      apiVersion: 'monitoring.coreos.com/v1alpha1',
      kind: 'ScrapeConfig',
      metadata: {name: 'some'},
      spec: {
        scrapeInterval: '1s',
        staticConfigs: [{targets: Array.from({length: TARGETS}, (_, number) => renderHostPort(scraped(number)))}],
      },
    })
    await create(custom('v1', 'prometheuses'), {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'Prometheus',
      metadata: {name: 'k8s'},
      spec: {version: 'v3.12.0', shards: 2, replicas: 2, externalLabels: {cluster: 'paris'}, scrapeConfigSelector: {}},
    })
    const sets = async () =>
      (await kubernetes.request<StatefulSets>('GET', `/apis/apps/v1/namespaces/${namespace}/statefulsets`)).body.items
    await until(network, 'both StatefulSets', async () => (await sets()).length === SHARDS.length, LIMIT)
    const page = await readFile(new URL('../../docs/how-to/thanos-targets.md', import.meta.url), 'utf8')
    const named = (await sets()).map(({metadata: {name}, spec: {serviceName}}) => `${name}-{replica}.${serviceName}.monitoring.svc:10901`)
    const [, first = '', second = ''] = /`--replicas 2 --thanos (\S+) --thanos "shard1\*2=(\S+)"`/.exec(page) ?? []
    expect(named.sort()).to.deep.equal([first, second].sort())
  })

  it('each scrapes its part, and Thanos Query finds every series once, under the replica that has it', async () => {
    const text = async (): Promise<string> => {
      const {body} = await kubernetes.request<{data?: Readonly<Record<string, string>>}>(
        'GET',
        `/api/v1/namespaces/${namespace}/secrets/prometheus-k8s`,
      )
      const packed = body.data?.['prometheus.yaml.gz']
      return packed === undefined ? '' : gunzipSync(Buffer.from(packed, 'base64')).toString()
    }
    await until(network, "the operator's configuration", async () => (await text()).includes('hashmod'), LIMIT)
    for (const shard of SHARDS) await startShard(shard, await text())
    const request = {
      services: {thanos: {host: at(30), port: 10_901}},
      targets: new Map([['shard1', {host: at(31), port: 10_901, replicas: 1, health: 'grpc' as const}]]),
    }
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    await network.startProcess({
      name: 'thanos-query',
      program: programAt('thanos'),
      args: [
        'query',
        `--http-address=${renderHostPort(query)}`,
        `--grpc-address=${query.host}:10901`,
        `--endpoint.sd-config-file=${endpoints}`,
        '--endpoint.sd-config-reload-interval=1s',
        '--query.replica-label=prometheus_replica',
      ],
    })
    await untilAnswers(query, '/-/ready', network.crashed, 60_000)
    await until(network, 'all series', async () => (await queryInstant(query, 'sample').catch(() => [])).length === TARGETS, LIMIT)

    const url = `http://${renderHostPort(query)}/api/v1/query?${String(new URLSearchParams({query: 'sample', dedup: 'false'}))}`
    const {data} = (await (await fetch(url)).json()) as {data: {result: readonly {metric: Readonly<Record<string, string>>}[]}}
    expect(new Set(data.result.map(({metric}) => metric['instance'])).size).to.equal(TARGETS)
    expect(data.result).to.have.length(TARGETS)
    const replicas = new Set(data.result.map(({metric}) => metric['prometheus_replica']))
    expect([...replicas].sort()).to.deep.equal(['prometheus-k8s-0', 'prometheus-k8s-shard-1-0'])
  })

  /** As a pod of its StatefulSet, with the sidecar. */
  async function startShard(shard: number, config: string): Promise<void> {
    const pod = shard === 0 ? 'prometheus-k8s-0' : `prometheus-k8s-shard-${shard}-0`
    const [folder, host] = [path.join(network.folder, 'data', pod), at(30 + shard)]
    await mkdir(folder, {recursive: true})
    const file = path.join(folder, 'prometheus.yaml')
    await writeFile(file, config.replaceAll('$(POD_NAME)', pod).replaceAll('$(SHARD)', String(shard)))
    const listen = {host, port: 9090}
    const blocks = ['--storage.tsdb.min-block-duration=2h', '--storage.tsdb.max-block-duration=2h']
    await network.startProcess({
      name: pod,
      program: programAt('prometheus-3'),
      args: [`--config.file=${file}`, `--storage.tsdb.path=${folder}/tsdb`, `--web.listen-address=${renderHostPort(listen)}`, ...blocks],
      cwd: folder,
    })
    await untilAnswers(listen, '/-/ready', network.crashed)
    await network.startProcess({
      name: `${pod}-sidecar`,
      program: programAt('thanos'),
      args: [
        'sidecar',
        `--grpc-address=${host}:10901`,
        `--http-address=${host}:10902`,
        `--prometheus.url=http://${renderHostPort(listen)}`,
        `--tsdb.path=${folder}/tsdb`,
      ],
    })
    await untilAnswers({host, port: 10_902}, '/-/ready', network.crashed, 60_000)
  }
})
