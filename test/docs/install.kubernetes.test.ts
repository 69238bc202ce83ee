/**
 * docs/how-to/install.md, every command in its order, as it stands there, by the packages of a real release, on two real API servers.
 * There is no kubelet, registry or container engine here: test/helpers/stand-ins.ts says what each command becomes for want of them.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {writeFileSync} from 'node:fs'
import {cp} from 'node:fs/promises'
import {join} from 'node:path'
import {expect} from 'chai'
import {load} from 'js-yaml'
import type {Ran} from '../helpers/ran.js'
import {type Block, blocksOf, shell} from '../helpers/page.js'
import {releaseOnce, temporary, version} from '../helpers/release.js'
import {readiness, servingFlags} from '../helpers/serving.js'
import {environmentOf, placeStandIns} from '../helpers/stand-ins.js'
import {type TwoClusters, startTwoClusters} from '../helpers/two-clusters.js'
import {inSteps} from '../helpers/steps.js'

/** What is played elsewhere, or can't be here. */
const leftOut = [
  // release.kubernetes.test.ts
  'npm run release -- --dry-run',
  // a registry and an engine
  /^docker buildx build /,
  /^helm push /,
]

describe('docs/how-to/install.md', function () {
  this.timeout(480_000)
  inSteps()
  let clusters: TwoClusters
  let blocks: readonly Block[]
  let folder: string
  let server: ChildProcess | undefined

  before(async () => {
    folder = temporary('install')
    const [{made}, started] = await Promise.all([releaseOnce(), startTwoClusters(folder)])
    clusters = started
    blocks = await blocksOf('how-to/install.md')
    await cp(made, folder, {recursive: true})
    placeStandIns(folder)
    await clusters.observability.kubectl(['create', 'namespace', 'monitoring'])
  })
  after(async () => {
    server?.kill()
    await clusters.end()
  })

  const commandsBelow = (heading: string): readonly string[] =>
    blocks
      .filter(block => block.heading === heading && block.language === 'sh')
      .flatMap(({text}) => text.trim().split('\n'))
      .filter(command => !leftOut.some(one => (typeof one === 'string' ? command === one : one.test(command))))

  async function run(command: string): Promise<Ran> {
    const ran = await shell(command, {cwd: folder, env: environmentOf(folder, clusters.kubeconfig)})
    expect(ran.code, `${command}\n${ran.stdout}${ran.stderr}`).to.equal(0)
    return ran
  }

  async function play(heading: string): Promise<readonly Ran[]> {
    const done: Ran[] = []
    for (const command of commandsBelow(heading)) done.push(await run(command))
    expect(done, heading).not.to.have.length(0)
    return done
  }

  const objectOf = async (name: string): Promise<{metadata: {uid: string; resourceVersion: string}}> =>
    JSON.parse((await run(`kubectl --namespace atlas get ${name} --output json`)).stdout) as {
      metadata: {uid: string; resourceVersion: string}
    }

  it('names this version everywhere', async () => {
    const all = blocks.map(({text}) => text).join('')
    expect(all).to.include(`--version ${version}`)
    expect([...new Set(all.match(/(?<![\d.])\d+\.\d+\.\d+(?![.\d])/g))]).to.deep.equal([version])
  })

  it('installs the command line, and checks the files', async () => {
    const [, said] = await play('1. The command line')
    expect(said!.stdout).to.match(new RegExp(`^@goatlas/atlas/${version} `))
    expect((await play('2. Check the files'))[0]!.stdout).to.include(`atlas-${version}.tgz: OK`)
  })

  it('installs Atlas, whose settings come from the values', async () => {
    const values = blocks.find(({heading, language}) => heading.startsWith('3.') && language === 'yaml')!
    writeFileSync(join(folder, 'atlas-values.yaml'), values.text)
    await play('3. Atlas in the observability cluster')
    const given = load(values.text) as {addresses: string[]; thanosNamespace: string}
    const fleet = (await run('kubectl --namespace atlas get configmap atlas-fleet --output yaml')).stdout
    expect(fleet).to.include(given.addresses[0]).and.to.include(given.thanosNamespace)
    await objectOf('secret/atlas-ca')

    // the servers that a kubelet would run, in one process
    const {flags, admin} = await servingFlags()
    const args = ['serve', '--namespace', 'atlas', '--replica', 'atlas-ads-0', ...flags]
    const env = {...process.env, KUBECONFIG: clusters.kubeconfig, ATLAS_STORE: undefined}
    server = spawn(join(folder, 'npm/bin/atlas'), args, {env, stdio: 'ignore'})
    expect(await readiness(`${admin}/readyz`)).to.equal(200)
  })

  it('adds a downstream cluster, whose release names a Secret that is there', async () => {
    const done = await play('5. A downstream cluster')
    expect(done.at(-1)!.stdout).to.include('paris')
    const {stdout} = await run('helm --kube-context paris get values atlas-envoy --namespace atlas --output json')
    const {cluster, existingSecret} = JSON.parse(stdout) as {cluster: string; existingSecret: string}
    expect(cluster).to.equal('paris')
    await run(`kubectl --context paris --namespace atlas get secret ${existingSecret}`)
    await run('kubectl --namespace monitoring wait --for=create configmap/atlas-thanos-endpoints --timeout=180s')
  })

  it('upgrades and goes back, and the fleet is as it was', async () => {
    const before = [await objectOf('configmap/atlas-fleet'), await objectOf('secret/atlas-ca'), await objectOf('service/paris')]
    await play('From release files, or a registry of your own')
    const image = 'kubectl --namespace atlas get deployment atlas-controller --output jsonpath={.spec.template.spec.containers[0].image}'
    expect((await run(image)).stdout).to.equal(`registry.example.net/atlas:${version}`)
    await play('Upgrade')
    expect((await run(image)).stdout).to.equal(`ghcr.io/goatlas-io/atlas:${version}`)
    const [history] = await play('Roll back')
    expect(history!.stdout.trim().split('\n')).to.have.length(4)
    expect((await run(image)).stdout).to.equal(`registry.example.net/atlas:${version}`)
    const after = [await objectOf('configmap/atlas-fleet'), await objectOf('secret/atlas-ca'), await objectOf('service/paris')]
    expect(after).to.deep.equal(before)
  })

  it('takes a downstream cluster away, then Atlas, and leaves the authority until the namespace goes', async () => {
    const [removed, uninstalled, gone, atlasUninstalled, ...rest] = commandsBelow('Uninstall')
    await run(removed!)
    expect((await run('atlas cluster list --json')).stdout).not.to.include('"paris"')
    for (const command of [uninstalled, gone]) await run(command!)
    const {uid} = (await objectOf('secret/atlas-ca')).metadata
    await run(atlasUninstalled!)
    expect((await objectOf('secret/atlas-ca')).metadata.uid).to.equal(uid)
    const installation = commandsBelow('3. Atlas in the observability cluster').find(command =>
      command.startsWith('helm upgrade --install'),
    )
    await run(installation!)
    expect((await objectOf('secret/atlas-ca')).metadata.uid).to.equal(uid)
    await run(atlasUninstalled!)
    server?.kill()
    for (const command of rest) await run(command)
    expect((await run('kubectl get namespaces --output name')).stdout).not.to.include('namespace/atlas')
  })
})
