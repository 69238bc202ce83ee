/**
 * docs/how-to/install.md, every command in its order, as it stands there, by the packages of a real release, on two real API servers.
 * There is no kubelet, registry or container engine here: `stand-ins` below says what each command becomes for want of them.
 */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process'
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {cp} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {npmCommand} from '../../scripts/setup/npm.mjs'
import type {Ran} from '../helpers/atlas.js'
import {program} from '../helpers/kubernetes/programs.js'
import {type Block, blocksOf, shell} from '../helpers/page.js'
import {releaseOnce, temporary, version} from '../helpers/release.js'
import {freePort, readiness} from '../helpers/serving.js'
import {type TwoClusters, startTwoClusters} from '../helpers/two-clusters.js'

/** What is played elsewhere, or can't be here. */
const leftOut = [
  // release.kubernetes.test.ts
  'npm run release -- --dry-run',
  // a registry and an engine
  /^docker buildx build /,
  /^helm push /,
]

describe('docs/how-to/install.md', function () {
  this.timeout(180_000)
  // each step stands on the one before
  this.bail(true)
  let clusters: TwoClusters
  let blocks: readonly Block[]
  let folder: string
  let server: ChildProcess | undefined

  before(async () => {
    folder = temporary('install')
    const [{made}, started] = [await releaseOnce(), await startTwoClusters(folder)]
    clusters = started
    blocks = await blocksOf('how-to/install.md')
    await cp(made, folder, {recursive: true})
    for (const [name, text] of Object.entries(standIns())) {
      mkdirSync(join(folder, 'bin'), {recursive: true})
      writeFileSync(join(folder, 'bin', name), `#!/bin/bash\n${text}`)
      chmodSync(join(folder, 'bin', name), 0o755)
    }
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
    const env = {
      KUBECONFIG: clusters.kubeconfig,
      HOME: folder,
      PATH: [join(folder, 'bin'), join(folder, 'npm/bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(':'),
      npm_config_prefix: join(folder, 'npm'),
      npm_config_cache: process.env['npm_config_cache'] ?? join(process.env['HOME'] ?? '', '.npm'),
      ATLAS_STORE: undefined,
    }
    const ran = await shell(command, {cwd: folder, env})
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
    expect((await play('2. Check what you have got'))[0]!.stdout).to.include(`atlas-${version}.tgz: OK`)
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
    const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    const args = ['serve', '--namespace', 'atlas', '--replica', 'atlas-ads-0', '--listen', listen, '--admin', admin]
    const env = {...process.env, KUBECONFIG: clusters.kubeconfig, ATLAS_STORE: undefined}
    server = spawn(join(folder, 'npm/bin/atlas'), args, {env, stdio: 'ignore'})
    expect(await readiness(`http://${admin}/readyz`)).to.equal(200)
  })

  it('adds a downstream cluster, whose release names a Secret that is there', async () => {
    const done = await play('5. A downstream cluster')
    expect(done.at(-1)!.stdout).to.include('paris')
    const {stdout} = await run('helm --kube-context paris get values atlas-envoy --namespace atlas --output json')
    const {cluster, existingSecret} = JSON.parse(stdout) as {cluster: string; existingSecret: string}
    expect(cluster).to.equal('paris')
    await run(`kubectl --context paris --namespace atlas get secret ${existingSecret}`)
    await run('kubectl --namespace monitoring get configmap atlas-thanos-endpoints')
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

  /**
   * `helm`: charts come from the release's files instead of a registry, hooks are run by hand (below), tests are left out.
   * `kubectl rollout status`: what would be waited for must be there. `npm install` of the registry's copy: of the release's.
   */
  function standIns(): Record<string, string> {
    const [helm, kubectl] = [program('helm'), program('kubectl')]
    return {
      helm: `set -eu
args=()
while [ $# -gt 0 ]; do
  case "$1" in
    oci://ghcr.io/goatlas-io/charts/*) args+=("./\${1##*/}-${version}.tgz");;
    --version) shift;;
    *) args+=("$1");;
  esac
  shift
done
case " \${args[*]} " in
  ' test '*) exec ${helm} status "\${args[@]:1}";;
  *' --install atlas '*)
    # its hook is what a kubelet would run: the arguments of the Job, by the installed program
    ${helm} "\${args[@]}" --no-hooks
    exec ${process.execPath} --input-type=module --eval ${quoted(runHook)} <(${helm} get hooks atlas --namespace atlas);;
  *' get '*|*' history '*) exec ${helm} "\${args[@]}";;
  *) exec ${helm} "\${args[@]}" --no-hooks;;
esac
`,
      kubectl: `set -eu
args=()
for word in "$@"; do case "$word" in rollout) args+=(get);; status|--timeout|5m) ;; *) args+=("$word");; esac; done
exec ${kubectl} "\${args[@]}"
`,
      npm: `exec ${npm()} "\${@/@goatlas\\/atlas@${version}/./goatlas-atlas-${version}.tgz}"\n`,
    }
  }
})

/** Finds the Job `atlas-init` among the hooks in the file that it is given, and runs its arguments. */
const runHook = `
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {createRequire} from 'node:module'
const {loadAll} = createRequire(${JSON.stringify(import.meta.url)})('js-yaml')
const job = loadAll(readFileSync(process.argv[1], 'utf8')).find(object => object?.kind === 'Job')
execFileSync('atlas', job.spec.template.spec.containers[0].args, {stdio: 'inherit'})
`

/** The npm that runs this, in full: by its name alone the stand-in would find itself. */
function npm(): string {
  const [command, ...first] = npmCommand()
  return [command === 'npm' ? execFileSync('/bin/sh', ['-c', 'command -v npm'], {encoding: 'utf8'}).trim() : command, ...first].join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
