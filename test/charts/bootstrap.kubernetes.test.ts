/** The files with which the charts start an Envoy: equal to those that Atlas writes, and accepted by a real Envoy. */
import {expect} from 'chai'
import {load} from 'js-yaml'
import {buildBootstrap} from '../../src/lib/envoy/bootstrap.js'
import {sdsFiles} from '../../src/lib/envoy/credential-files.js'
import {renderValues} from '../../src/lib/manifest/values.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {UpstreamTls} from '../../src/lib/model/endpoint-tls.js'
import {objectNames, type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings, type Settings} from '../../src/lib/model/settings.js'
import {inFolder} from '../helpers/atlas.js'
import {envoyProgram, validateArgs} from '../helpers/envoy-program.js'
import {credentialData} from './support/credential.js'
import {openPod, ownAddress} from './support/pod-process.js'
import {type Chart, findObject, type KubernetesObject, type Major, majors, objectsOf} from './support/rendered.js'

/** The container's directory for its files. */
const directory = '/etc/atlas/envoy'
const paris = parseClusterName('paris')

/** Values of a chart, and the settings and options that give the same bootstrap. */
interface Case {
  readonly what: string
  readonly chart: Chart
  readonly owner: Owner
  readonly settings: Partial<Settings>
  readonly set?: readonly string[]
  readonly options?: {
    readonly bindAddress?: string
    readonly maxHeapBytes?: number
    readonly openFiles?: number
    readonly workers?: number
    readonly upstreamTls?: UpstreamTls
  }
}

const much = 8_589_934_592
const cases: readonly Case[] = [
  {what: 'IP addresses', chart: 'envoy', owner: paris, settings: {addresses: parseAddresses('192.0.2.1,2001:db8::7'), adsPort: 443}},
  {what: 'a name among them', chart: 'envoy', owner: paris, settings: {addresses: parseAddresses('192.0.2.1,Atlas.example.com.')}},
  {
    what: 'another trust domain',
    chart: 'envoy',
    owner: paris,
    settings: {addresses: parseAddresses('192.0.2.1'), trustDomain: 'a.example'},
  },
  {
    what: 'dual stack, and much memory',
    chart: 'envoy',
    owner: paris,
    settings: {addresses: parseAddresses('192.0.2.1')},
    set: ['bindAddress=::', `maxHeapBytes=${much}`, 'openFiles=1048576', 'concurrency=4'],
    options: {bindAddress: '::', maxHeapBytes: much, openFiles: 1_048_576, workers: 4},
  },
  {
    what: 'certificates for Thanos endpoints',
    chart: 'envoy',
    owner: paris,
    settings: {addresses: parseAddresses('192.0.2.1')},
    set: [
      'upstreamTls[0].name=a',
      'upstreamTls[0].ca.secret=x',
      'upstreamTls[0].client.secret=x',
      'upstreamTls[1].name=b',
      'upstreamTls[1].ca.configMap=y',
    ],
    options: {
      upstreamTls: {
        directory: `${directory}/upstream`,
        certificates: new Map([
          ['a', {isClient: true}],
          ['b', {isClient: false}],
        ]),
      },
    },
  },
  {what: 'the observability cluster', chart: 'envoy', owner: 'atlas', settings: {}},
  {what: 'the observability cluster', chart: 'atlas', owner: 'atlas', settings: {}},
  {
    what: 'other domains, another namespace, dual stack',
    chart: 'atlas',
    owner: 'atlas',
    settings: {trustDomain: 'a.example', clusterDomain: 'k8s.example', namespace: 'elsewhere'},
    set: [
      'trustDomain=a.example',
      'clusterDomain=k8s.example',
      `envoy.maxHeapBytes=${much}`,
      'envoy.bindAddress=::',
      'envoy.openFiles=4096',
    ],
    options: {bindAddress: '::', maxHeapBytes: much, openFiles: 4096},
  },
]

for (const major of majors)
  describe(`the bootstrap that helm ${major} renders`, () => {
    for (const it_ of cases)
      it(`is the bootstrap that Atlas builds: chart ${it_.chart}, ${it_.what}`, async () => {
        const {owner, options} = it_
        const files = findObject(await rendered(it_, major), 'ConfigMap', 'atlas-envoy').data!
        const settings = {...defaultSettings, ...it_.settings}
        const stats = {host: options?.bindAddress ?? '0.0.0.0', port: 9902}
        const place = {nodeId: 'pod-0', directory, adminSocket: '/run/atlas/admin.sock', stats, localAddress: '10.0.0.7'}
        const built = buildBootstrap(settings, {owner, workers: 2, ...place, ...options})
        expect(asPodStartsIt(files['envoy.yaml']!)).to.deep.equal(JSON.parse(built))
        const sds = sdsFiles(directory)
        expect(JSON.parse(files['ads-credential.json']!)).to.deep.equal(JSON.parse(sds['sds/ads-credential.json']!))
        expect(JSON.parse(files['ads-roots.json']!)).to.deep.equal(JSON.parse(sds['sds/ads-roots.json']!))
      })
  })

describe('the rendered files of an Envoy', () => {
  for (const it_ of cases)
    it(`are accepted by a real Envoy: chart ${it_.chart}, ${it_.what}`, async () => {
      const objects = await rendered(it_)
      await inFolder(async folder => {
        const credential = credentialData(it_.owner)
        const data = {[objectNames.credential(it_.owner)]: credential, x: credential, y: credential}
        const pod = await openPod(objects, 'Deployment/atlas-envoy', {folder, address: ownAddress(), podName: 'pod-0', data})
        for (const {args} of [pod.command('envoy', 'envoy'), pod.preStop('envoy', 'pre-stop')]) {
          const {accepted, said} = await validateArgs(await envoyProgram(), args)
          expect(accepted, said).to.equal(true)
          expect(said).to.not.match(/deprecated/i)
        }
      })
    })
})

async function rendered({chart, owner, settings: chosen, set = []}: Case, major: Major = 4): Promise<readonly KubernetesObject[]> {
  const settings = {...defaultSettings, ...chosen}
  const values = chart === 'envoy' ? {values: renderValues(settings, owner)} : {}
  return objectsOf({chart, set, ...values, major, release: 'atlas', namespace: settings.namespace})
}

interface Bootstrap {
  readonly node: {readonly metadata: object}
}

/** Adds the fields of `--service-node` and `--config-yaml`. */
function asPodStartsIt(text: string): Bootstrap {
  const bootstrap = load(text) as Bootstrap
  const metadata = {...bootstrap.node.metadata, 'atlas.local_address': '10.0.0.7'}
  return {...bootstrap, node: {...bootstrap.node, id: 'pod-0', metadata} as Bootstrap['node']}
}
