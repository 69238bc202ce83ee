/**
 * "Install it from a checkout" in README.md, every command in its order, by the packages of a real release, on two real API servers.
 * What a kubelet, a registry or a container engine would do is left out, or done by test/helpers/stand-ins.ts.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {cp, mkdir} from 'node:fs/promises'
import {join} from 'node:path'
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import type {Ran} from '../helpers/ran.js'
import {blocksOf, shell} from '../helpers/page.js'
import {releaseOnce, temporary, version} from '../helpers/release.js'
import {readiness, servingFlags} from '../helpers/serving.js'
import {environmentOf, placeStandIns} from '../helpers/stand-ins.js'
import {type TwoClusters, startTwoClusters} from '../helpers/two-clusters.js'
import {inSteps} from '../helpers/steps.js'

/** `releaseOnce` has run the first. The second takes a registry and a container engine: test/release reads what it would be given. */
const leftOut = [/^npm run release -- --dry-run$/, /^docker buildx build .* < dist\/release\/atlas-image-context-[\d.]+\.tar\.gz$/]

describe('README.md, "Install it from a checkout"', function () {
  this.timeout(480_000)
  inSteps()
  let clusters: TwoClusters
  let steps: readonly (readonly string[])[]
  let all: string
  let folder: string
  let server: ChildProcess | undefined

  before(async () => {
    folder = temporary('readme')
    const [{made}, started] = await Promise.all([releaseOnce(), startTwoClusters(folder)])
    clusters = started
    const blocks = (await blocksOf('../README.md')).filter(({heading}) => heading === 'Install it from a checkout')
    all = blocks.map(({text}) => text).join('')
    steps = blocks.map(({text}) => text.trim().split('\n'))
    await mkdir(join(folder, 'dist'))
    await cp(made, join(folder, 'dist/release'), {recursive: true})
    placeStandIns(folder)
    await clusters.observability.kubectl(['create', 'namespace', 'monitoring'])
  })
  after(async () => {
    server?.kill()
    await clusters.end()
  })

  async function run(command: string): Promise<Ran> {
    const ran = await shell(command, {cwd: folder, env: environmentOf(folder, clusters.kubeconfig)})
    expect(ran.code, `${command}\n${ran.stdout}${ran.stderr}`).to.equal(0)
    return ran
  }

  /** Runs all of it but what is left out. */
  async function play(commands: readonly string[] = []): Promise<readonly Ran[]> {
    const done: Ran[] = []
    for (const command of commands.filter(line => !leftOut.some(one => one.test(line)))) done.push(await run(command))
    expect(done).not.to.have.length(0)
    return done
  }

  async function untilAddressIsKnown(): Promise<void> {
    const env = environmentOf(folder, clusters.kubeconfig)
    const probe = async (): Promise<true | undefined> =>
      (await shell('atlas cluster values paris', {cwd: folder, env})).code === 0 ? true : undefined
    await waitFor('the address of the load balancer in the values', probe, {signal: new AbortController().signal, timeoutMs: 180_000})
  }

  it('has the three steps, and leaves out no other command than two of the first', () => {
    expect(steps).to.have.length(3)
    const out = steps.flat().filter(line => leftOut.some(one => one.test(line)))
    expect(out).to.have.length(2)
    expect(steps[0]).to.include.members(out)
  })

  it('names this version everywhere', () => {
    expect([...new Set(all.match(/(?<![\d.])\d+\.\d+\.\d+(?![.\d])/g))]).to.deep.equal([version])
  })

  it('makes a command line of this version', async () => {
    await play(steps[0])
    expect((await run('atlas --version')).stdout).to.match(new RegExp(`^@goatlas/atlas/${version} `))
  })

  it('installs Atlas with the image that was pushed, and registers a cluster', async () => {
    const [install, ...others] = steps[1] ?? []
    await play([install ?? ''])
    // the servers that a kubelet would run, in one process
    const {flags, admin} = await servingFlags()
    const args = ['serve', '--namespace', 'atlas', '--replica', 'atlas-ads-0', ...flags]
    server = spawn(join(folder, 'npm/bin/atlas'), args, {
      env: {...process.env, ...environmentOf(folder, clusters.kubeconfig)},
      stdio: 'ignore',
    })
    expect(await readiness(`${admin}/readyz`)).to.equal(200)
    // what a cloud does for a Service of type LoadBalancer
    const status = JSON.stringify({status: {loadBalancer: {ingress: [{ip: '203.0.113.7'}]}}})
    await run(`kubectl --namespace atlas patch service atlas-external --subresource=status --type merge --patch '${status}'`)
    await play(others)

    const [, image = ''] = /--tag (\S+)/.exec(all) ?? []
    const deployed = 'kubectl --namespace atlas get deployment atlas-controller --output jsonpath={.spec.template.spec.containers[0].image}'
    expect((await run(deployed)).stdout).to.equal(image)
    await run('kubectl --namespace monitoring wait --for=create configmap/atlas-thanos-endpoints --timeout=180s')
  })

  it('installs the Envoy of that cluster, with the Secret that it names, and makes its address known', async () => {
    await untilAddressIsKnown()
    const done = await play(steps[2])
    expect(done.at(-1)!.stdout).to.include('paris')
    const {stdout} = await run('helm --kube-context paris get values atlas-envoy --namespace atlas --output json')
    const {existingSecret} = JSON.parse(stdout) as {existingSecret: string}
    await run(`kubectl --context paris --namespace atlas get secret ${existingSecret}`)
    expect((await run('atlas cluster list')).stdout).to.match(/^paris +registered +\w+ +198\.51\.100\.4 /m)
  })
})
