/**
 * docs/how-to/thanos-query.md: a real Thanos Query takes the flags of each chart and reads Atlas's file where the chart's values mount it; the
 * real Prometheus operator makes the flags of the ThanosRuler, and a real Ruler takes them.
 */
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {linesSince} from '../../src/demo/lab/log-file.js'
import {type Supervisor, openSupervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {renderEndpoints} from '../../src/lib/manifest/endpoints.js'
import {applyAll} from '../charts/support/apply.js'
import {ownAddress} from '../charts/support/pod-process.js'
import type {KubernetesObject} from '../charts/support/rendered.js'
import {untilAnswers} from '../e2e/scene.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {startOperator} from '../helpers/kubernetes/operator.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {type Block, blocksOf} from '../helpers/page.js'
import {programAt} from '../pages/support/programs.js'

const charts = ['thanos-community', 'bitnami/thanos', 'kube-thanos']

describe('docs/how-to/thanos-query.md', function () {
  this.timeout(300_000)
  let blocks: readonly Block[]
  let folder: string
  let supervisor: Supervisor

  before(async () => {
    blocks = await blocksOf('how-to/thanos-query.md')
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-thanos-query-'))
    supervisor = await openSupervisor(folder, {removeFolder: true})
  })
  after(async () => {
    await supervisor.stopAll(0)
    await rm(folder, {recursive: true, force: true})
  })

  const block = (heading: string, language: RegExp): string =>
    blocks.find(each => each.heading === heading && language.test(each.language))?.text ?? expect.fail(`${heading} has no such block`)
  const flagsOf = (heading: string): readonly string[] =>
    block(heading, /^text$/)
      .trim()
      .split('\n')

  /** Starts Thanos with these flags, on an address of its own. @returns what it has written so far */
  async function start(name: string, args: readonly string[]): Promise<() => Promise<string>> {
    const address = ownAddress()
    const [, port = '10902'] = /--http-address=0\.0\.0\.0:(\d+)/.exec(args.join('\n')) ?? []
    const here = args.map(arg => arg.replace('0.0.0.0', address))
    const {log} = await supervisor.start({name, program: programAt('thanos'), args: here, cwd: folder})
    await untilAnswers({host: address, port: Number(port)}, '/-/ready', supervisor.crashed, 60_000)
    return async () => linesSince(log, 0).join('\n')
  }

  for (const chart of charts)
    it(`${chart}: a real Thanos Query takes its flags, and reads Atlas's file where its values mount it`, async () => {
      const flags = flagsOf(chart)
      const values = block(chart, /^(yaml|jsonnet)$/)
      const file = flags.map(flag => /^--endpoint\.sd-config-file=(.*)$/.exec(flag)?.[1]).find(Boolean) ?? expect.fail('no file')
      expect(values).to.include('atlas-thanos-endpoints')
      // The key of Atlas's ConfigMap, in the folder that the values or the chart's template name.
      expect(path.basename(file)).to.equal('endpoints.yaml')
      if (chart === 'thanos-community') expect(values).to.include(`key: ${path.basename(file)}`)
      else expect(values).to.match(new RegExp(`mountPath: '?${path.dirname(file)}['}]`))
      for (const flag of values.match(/--[-.a-z]+=[^'\]\s]+/g) ?? []) expect(flags).to.include(flag)

      const own = path.join(folder, `${path.basename(chart)}.yaml`)
      await writeFile(own, renderEndpoints(testFleet(testDependencies(), ['paris'])))
      const said = await start(
        `query-${path.basename(chart)}`,
        flags.map(flag => flag.replace(file, own)),
      )
      const probe = async (): Promise<true | undefined> => ((await said()).includes('paris-thanos-sidecar0.atlas.svc') ? true : undefined)
      await waitFor('Thanos Query to ask the endpoint of paris', probe, {signal: supervisor.crashed, timeoutMs: 90_000})
    })

  it('the Prometheus operator starts the ThanosRuler with the flags of the page, and a real Ruler takes them', async () => {
    const heading = 'A Ruler in the observability cluster'
    const kubernetes = await ownKubernetes()
    try {
      const namespace = await kubernetes.newNamespace('monitoring')
      const ground = {folder, startProcess: supervisor.start}
      await startOperator(kubernetes, ground, {namespace, listen: {host: ownAddress(), port: 8080}})
      const objects = (loadAll(block(heading, /^yaml$/)) as KubernetesObject[]).map(object => ({
        ...object,
        metadata: {...object.metadata, namespace},
      }))
      await applyAll(kubernetes, objects)
      const flags = await waitFor(
        'the StatefulSet of the Ruler',
        async () => {
          const at = `/apis/apps/v1/namespaces/${namespace}/statefulsets/thanos-ruler-global`
          return (await kubernetes.request<StatefulSet>('GET', at)).body.spec?.template.spec.containers.find(
            ({args}) => args?.[0] === 'rule',
          )?.args
        },
        {signal: supervisor.crashed, timeoutMs: 120_000},
      )
      expect(flags).to.deep.equal(flagsOf(heading))

      const [secret] = objects as unknown as [{stringData: Record<string, string>}]
      await mkdir(path.join(folder, 'alertmanager-config'), {recursive: true})
      for (const [key, text] of Object.entries(secret.stringData)) await writeFile(path.join(folder, 'alertmanager-config', key), text)
      // The operator's own, for a ThanosRuler without settings of its web pages.
      await writeFile(path.join(folder, 'web-config.yaml'), '')
      const placed = flags.map(flag =>
        flag.replace('$(POD_NAME)', 'ruler-0').replaceAll(/=\/(thanos\/data|etc\/thanos\/(config|rules|web_config))/g, `=${folder}`),
      )
      await start('ruler', [...placed, '--http-address=0.0.0.0:10902', '--grpc-address=0.0.0.0:10901'])
    } finally {
      await kubernetes.cluster.end()
    }
  })
})

interface StatefulSet {
  readonly spec?: {readonly template: {readonly spec: {readonly containers: readonly {readonly args?: readonly string[]}[]}}}
}
