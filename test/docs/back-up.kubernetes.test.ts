/** The commands of docs/how-to/back-up-and-restore.md for Kubernetes, on a real API server with its garbage collection. */
import {readdir, stat, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {setTimeout} from 'node:timers/promises'
import {expect} from 'chai'
import {objectsOf as chartObjects} from '../charts/support/rendered.js'
import {inFolder} from '../helpers/atlas.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {program} from '../helpers/kubernetes/programs.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {type Block, blocksOf, shell} from '../helpers/page.js'
import {testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'
import {objectsOf} from '../manifest/objects.js'

interface Stored {
  readonly kind: string
  readonly metadata: {readonly name: string; readonly uid: string; readonly ownerReferences?: unknown; readonly [field: string]: unknown}
  readonly [field: string]: unknown
}

const managed = {'app.kubernetes.io/managed-by': 'atlas', 'goatlas.io/format': '1'}
const configMap = (name: string, labels: object = managed): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {name, labels},
  data: {text: name},
})
const service = (name: string, metadata: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {name, ...metadata},
  spec: {clusterIP: 'None', ports: [{name: 'thanos', port: 10_901}]},
})

describe('docs/how-to/back-up-and-restore.md, for Kubernetes', () => {
  let kubernetes: Kubernetes
  let namespace: string
  let blocks: readonly Block[]

  before(async () => {
    kubernetes = await sharedKubernetes()
    await kubernetes.startControllers()
    namespace = await kubernetes.newNamespace('back-up')
    blocks = await blocksOf('how-to/back-up-and-restore.md')
    const fleet = testFleet(testDependencies(), ['paris', 'lyon'], {...testSettings, namespace, thanosNamespace: namespace})
    await apply([...objectsOf(fleet).values()])
    const {uid} = (await allStored()).get('Service/paris')!.metadata
    const ownerReferences = [{apiVersion: 'v1', kind: 'Service', name: 'paris', uid, controller: true}]
    await apply([
      service('paris-thanos-sidecar0', {labels: {...managed, 'goatlas.io/thanos-sidecar': ''}, ownerReferences}),
      service('by-hand', {labels: {'goatlas.io/cluster': ''}}),
      service('foreign', {labels: {app: 'foreign'}}),
      ...['atlas-requests', 'atlas-replicas', 'atlas-proxies-atlas-ads-0', 'atlas-coredns'].map(name => configMap(name)),
      configMap('foreign', {}),
    ])
    const workloads = await chartObjects({chart: 'atlas', namespace})
    await apply(workloads.filter(({kind}) => kind === 'Deployment' || kind === 'StatefulSet'))
  })

  async function apply(objects: readonly object[]): Promise<void> {
    const input = JSON.stringify({apiVersion: 'v1', kind: 'List', items: objects})
    const {code, stderr} = await kubernetes.kubectl(['apply', '--server-side', '-n', namespace, '-f', '-'], {input})
    expect(code, stderr).to.equal(0)
  }

  async function allStored(): Promise<ReadonlyMap<string, Stored>> {
    const {stdout} = await kubernetes.kubectl(['get', 'configmaps,secrets,services', '-n', namespace, '-o', 'json'])
    const {items} = JSON.parse(stdout) as {items: readonly Stored[]}
    return new Map(items.map(item => [`${item.kind}/${item.metadata.name}`, item]))
  }

  const commandsOf = (heading: string): readonly string[] =>
    blocks
      .filter(block => block.heading === heading && block.language === 'sh' && !block.text.includes('age -r'))
      .map(({text}) => text.replaceAll(' -n atlas ', ` -n ${namespace} `))

  async function play(commands: string | undefined, folder: string): Promise<void> {
    expect(commands)
      .to.be.a('string')
      .and.to.match(/kubectl/)
    const env = {KUBECONFIG: kubernetes.kubeconfig, PATH: `${path.dirname(program('kubectl'))}:${process.env['PATH'] ?? ''}`}
    const {code, stderr} = await shell(commands ?? '', {cwd: folder, env})
    expect(code, `${commands ?? ''}\n${stderr}`).to.equal(0)
  }

  const replicas = async (): Promise<Record<string, number>> => {
    const {stdout} = await kubernetes.kubectl(['get', 'deployments,statefulsets', '-n', namespace, '-o', 'json'])
    const {items} = JSON.parse(stdout) as {items: {metadata: {name: string}; spec: {replicas: number}}[]}
    return Object.fromEntries(items.map(({metadata, spec}) => [metadata.name, spec.replicas]))
  }

  it('brings everything back but what was asked for and who was connected, and nothing of it is collected as garbage', () =>
    inFolder(async folder => {
      const before = await allStored()
      const [backUp, ...others] = commandsOf('Kubernetes: back up')
      expect(others).to.deep.equal([])
      await play(backUp, folder)
      const backup = path.join(folder, 'atlas-backup')
      expect((await readdir(backup)).sort()).to.deep.equal(['atlas.yaml', 'registrations.yaml'])
      expect((await stat(path.join(backup, 'atlas.yaml'))).mode & 0o077).to.equal(0)
      const kustomization = blocks.filter(({heading, language}) => heading === 'Kubernetes: back up' && language === 'yaml')
      expect(kustomization).to.have.length(1)
      await writeFile(path.join(backup, 'kustomization.yaml'), kustomization[0]!.text)

      const [stop, takeAway, putBack, start] = commandsOf('Kubernetes: restore')
      await play(stop, folder)
      expect(await replicas()).to.deep.equal({'atlas-ads': 0, 'atlas-controller': 0, 'atlas-envoy': 2})
      const takenAway = takeAway?.split('\n').filter(line => line !== '') ?? []
      for (const line of takenAway) await play(line, folder)
      expect([...(await allStored()).keys()].filter(key => !key.includes('foreign') && !key.includes('kube-root-ca'))).to.deep.equal([])
      await play(putBack, folder)
      await play(start, folder)
      expect(await replicas()).to.deep.equal({'atlas-ads': 2, 'atlas-controller': 2, 'atlas-envoy': 2})

      await collectorHasPassed()
      const after = await allStored()
      const wanted = [...before.keys()].filter(key => !/atlas-(requests|replicas|proxies)/.test(key))
      expect(wanted).to.include.members(['Service/paris-thanos-sidecar0', 'Service/by-hand', 'Secret/atlas-ca', 'ConfigMap/atlas-coredns'])
      expect([...after.keys()].sort()).to.deep.equal(wanted.sort())
      for (const key of wanted) expect(said(after.get(key)!), key).to.deep.equal(said(before.get(key)!))
      expect(after.get('Service/paris')!.metadata.uid).not.to.equal(before.get('Service/paris')!.metadata.uid)
    }))

  it('a restore over what is there repairs what was changed, and keeps what came later', () =>
    inFolder(async folder => {
      const [backUp] = commandsOf('Kubernetes: back up')
      await play(backUp, folder)
      const kustomization = blocks.find(({heading, language}) => heading === 'Kubernetes: back up' && language === 'yaml')!
      await writeFile(path.join(folder, 'atlas-backup', 'kustomization.yaml'), kustomization.text)
      const before = await allStored()
      await kubernetes.kubectl(['patch', 'configmap', 'atlas-fleet', '-n', namespace, '--type=merge', '-p', '{"data":{"ads-port":"1"}}'])
      await kubernetes.kubectl(['delete', 'secret', 'atlas-ca', '-n', namespace])
      await apply([service('later', {labels: {'goatlas.io/cluster': ''}})])
      await play(commandsOf('Kubernetes: restore')[2], folder)
      const after = await allStored()
      for (const key of ['ConfigMap/atlas-fleet', 'Secret/atlas-ca'])
        expect(said(after.get(key)!), key).to.deep.equal(said(before.get(key)!))
      expect(after.has('Service/later')).to.equal(true)
    }))

  /** An object whose owner is gone goes: then all that would go has gone. */
  async function collectorHasPassed(): Promise<void> {
    const ownerReferences = [{apiVersion: 'v1', kind: 'Service', name: 'nobody', uid: '00000000-0000-4000-8000-000000000000'}]
    await apply([{...configMap('orphan', {}), metadata: {name: 'orphan', ownerReferences}}])
    const end = Date.now() + 150_000
    while ((await allStored()).has('ConfigMap/orphan')) {
      if (Date.now() > end) throw new Error('the garbage collector does not run')
      await setTimeout(50)
    }
  }
})

/** What an object says, without what an API server adds. */
function said({metadata, ...rest}: Stored): object {
  const {name, labels, annotations} = metadata
  return {...rest, metadata: {name, labels, annotations}}
}
