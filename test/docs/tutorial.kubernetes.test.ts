/**
 * docs/tutorials/two-clusters.md, every block in its order, in a terminal: what is shown must be what the page says. Three real API
 * servers with their controllers, real kubectl and Helm, the built `atlas`; the Pods are processes, real Envoys among them. Stood in for
 * are only the registries of npm and of charts, and the sidecars.
 */
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {waitFor} from '../../src/demo/lab/wait.js'
import {chartFolder} from '../charts/support/rendered.js'
import {atlasBin} from '../helpers/atlas.js'
import {serveEcho, visit, thanosCall} from '../helpers/http2.js'
import {writeContexts} from '../helpers/kubernetes/contexts.js'
import {type Node, startNode} from '../helpers/kubernetes/node/node.js'
import {program} from '../helpers/kubernetes/programs.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {type Block, blocksOf} from '../helpers/page.js'
import {version} from '../helpers/release.js'
import {type Seen, onTerminal} from '../helpers/terminal.js'
import {missingFrom} from '../helpers/transcript.js'
import {inSteps} from '../helpers/steps.js'

const page = 'tutorials/two-clusters.md'
const names = ['observability', 'paris', 'lyon'] as const
type Name = (typeof names)[number]
const controllers = ['deployment-controller', 'replicaset-controller', 'statefulset-controller', 'job-controller']
/** Commands that change nothing. */
const LOOKS = /^(?:atlas (?:status|cluster list)|kubectl .*\b(?:get|describe)\b).*$/
/** The load balancers' addresses as the page has them. */
const addresses: Readonly<Record<Name, string>> = {observability: '203.0.113.7', paris: '198.51.100.4', lyon: '192.0.2.20'}

describe('docs/tutorials/two-clusters.md', function () {
  this.timeout(300_000)
  inSteps()
  let folder: string
  let nodes: Readonly<Record<Name, Node>>
  let env: NodeJS.ProcessEnv
  let blocks: readonly Block[]
  const undo: (() => Promise<void> | void)[] = []

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-tutorial-'))
    undo.push(async () => rm(folder, {recursive: true, force: true}))
    blocks = await blocksOf(page)
    const clusters = await eachOf(async () => ownKubernetes({controllers}))
    undo.push(async () => forEach(async name => clusters[name].cluster.end()))
    await forEach(async name => clusters[name].startControllers())
    nodes = await eachOf(async name => startNode(clusters[name], path.join(folder, name)))
    undo.push(async () => forEach(async name => nodes[name].end()))
    for (const name of ['paris', 'lyon'] as const) {
      const sidecar = await serveEcho({host: nodes[name].servicesAddress, port: 10_901}, name)
      undo.push(() => sidecar.close())
    }

    await clusters.observability.kubectl(['create', 'namespace', 'monitoring'])
    env = environment(folder, await writeContexts(folder, clusters))
  })
  after(async () => {
    for (const act of undo.reverse()) await act()
  })

  /** Runs every block below a heading, and compares what it shows with the block after it. */
  async function play(heading: string): Promise<void> {
    const mine = blocks.filter(block => block.heading === heading)
    expect(mine.map(({language}) => language)).to.include('sh')
    for (const [index, {language, text}] of mine.entries()) {
      const next = mine[index + 1]
      if (language === 'sh') await playBlock(text.trim(), next?.language === 'text' ? next.text : undefined)
    }
  }

  async function playBlock(commands: string, shown: string | undefined): Promise<void> {
    // What a server has just been told shows a little later: the commands at the end that only look are run again.
    const lines = commands.split('\n')
    const looks = lines.length - 1 - lines.findLastIndex(line => !LOOKS.test(line))
    const until = performance.now() + (looks > 0 ? 120_000 : 0)
    const acts = lines.slice(0, lines.length - looks).join('\n')
    const done = acts === '' ? {code: 0, text: ''} : await run(acts)
    for (;;) {
      const looked = looks === 0 || done.code !== 0 ? {code: done.code, text: ''} : await run(lines.slice(-looks).join('\n'))
      const [code, text] = [looked.code, [done.text.trimEnd(), looked.text].filter(part => part !== '').join('\n')]
      const missing = shown === undefined ? undefined : missingFrom(shown, text)
      const isRight = missing === undefined && (code === 0 || /^Error: /m.test(shown ?? ''))
      if (isRight) return
      if (performance.now() < until) continue
      const why = missing === undefined ? `exit code ${code}` : `not found: ${missing}`
      expect.fail(`${commands}\n${why}\n--- the page\n${shown ?? ''}--- the terminal\n${text}`)
    }
  }

  async function run(commands: string): Promise<Seen> {
    const [, removed] = /^atlas cluster remove ([a-z]+)$/m.exec(commands) ?? []
    const typed = removed === undefined ? {} : {typed: {prompt: /Type \w+ to continue/, answer: removed}}
    const {code, text} = await onTerminal(translated(commands, 'here'), {cwd: folder, env, ...typed})
    return {code, text: translated(text, 'page')}
  }

  function translated(text: string, to: 'here' | 'page'): string {
    let result = text
    for (const name of names) {
      const [here, there] = [nodes[name].balancerAddress, addresses[name]]
      result = to === 'here' ? result.replaceAll(there, here) : result.replaceAll(here, there)
    }

    return result
  }

  /** What Thanos Query gets of a cluster, by the name that it is told, through the Service of that name. */
  async function asked(name: Name): Promise<string> {
    const place = {host: nodes.observability.servicesAddress, port: 10_901}
    const {headers} = await visit(place, {authority: `${name}-thanos-sidecar0.atlas.svc.cluster.local:10901`, ...thanosCall})
    return String(headers['x-answered-by'] ?? 'nothing')
  }

  async function untilAnswered(name: Name, answer: string): Promise<void> {
    const probe = async (): Promise<true | undefined> => ((await asked(name)) === answer ? true : undefined)
    await waitFor(`${answer} from ${name}`, probe, {signal: new AbortController().signal, timeoutMs: 120_000})
  }

  /** Its Envoy is connected, by a server's report of the last seconds. */
  async function untilConnected(name: Name): Promise<void> {
    const row = new RegExp(`^${name} +registered +yes `, 'm')
    const probe = async (): Promise<true | undefined> => (row.test((await run('atlas cluster list')).text) ? true : undefined)
    await waitFor(`${name} to be connected`, probe, {signal: new AbortController().signal, timeoutMs: 120_000})
  }

  it('names this version everywhere', () => {
    const all = blocks.map(({text}) => text).join('')
    expect([...new Set(all.match(/(?<=(?:--version |atlas@|Atlas ))\d+\.\d+\.\d+/g))]).to.deep.equal([version])
  })

  it('1: says that there is nothing yet', async () => play('1. The command line'))
  it('2: installs Atlas by its chart, with its hook', async () => play('2. Atlas, in the observability cluster'))
  it('3: registers a cluster without an address', async () => play('3. Register paris'))
  it('4: brings its Envoy up and makes its address known', async () => {
    await play('4. The Envoy in paris')
    await untilAnswered('paris', 'paris')
  })
  it('5: adds another', async () => {
    await play('5. Add lyon in one go')
    await untilAnswered('lyon', 'lyon')
  })
  it('6: tells Thanos Query', async () => play('6. Thanos Query'))
  it('7: shows what kubectl shows, and a mistake that costs nothing', async () => {
    await play('7. What kubectl shows')
    await untilAnswered('paris', 'paris')
  })
  it('8: suspends and restores', async () => {
    const [deletion, ...rest] = blocks.filter(({heading, language}) => heading.startsWith('8.') && language === 'sh')
    expect([deletion?.text, rest.at(-1)?.text]).to.deep.equal([
      'kubectl --namespace atlas delete service paris\natlas cluster list\n',
      'atlas cluster add paris\n',
    ])
    await play('8. Cut a cluster off, and bring it back')
    await untilAnswered('paris', 'paris')
    await untilConnected('paris')
  })
  it('9: removes one for good, and the other answers', async () => {
    await play('9. Remove a cluster for good')
    await untilAnswered('lyon', 'nothing')
    expect(await asked('paris')).to.equal('paris')
  })
})

async function eachOf<T>(make: (name: Name) => Promise<T>): Promise<Readonly<Record<Name, T>>> {
  return Object.fromEntries(await Promise.all(names.map(async name => [name, await make(name)]))) as Record<Name, T>
}

async function forEach(act: (name: Name) => Promise<void>): Promise<void> {
  await Promise.all(names.map(async name => act(name)))
}

/** The programs as a reader has them: charts come from the checkout instead of a registry, and so does `atlas`, once it is installed. */
function environment(folder: string, kubeconfig: string): NodeJS.ProcessEnv {
  const bin = path.join(folder, 'bin')
  mkdirSync(bin)
  const place = (name: string, script: string): void => {
    writeFileSync(path.join(bin, name), `#!/bin/bash\n${script}`)
    chmodSync(path.join(bin, name), 0o755)
  }
  place('kubectl', `exec ${program('kubectl')} "$@"\n`)
  place(
    'helm',
    `args=()
while [ $# -gt 0 ]; do
  case "$1" in
    oci://ghcr.io/goatlas-io/charts/*) args+=("${path.dirname(chartFolder('atlas'))}/\${1##*/}");;
    --version) shift;;
    *) args+=("$1");;
  esac
  shift
done
exec ${program('helm')} "\${args[@]}"
`,
  )
  place(
    'npm',
    `[ "$*" = 'install --global @goatlas/atlas@${version}' ] || exit 1
printf '#!/bin/bash\\nexec ${process.execPath} ${atlasBin} "$@"\\n' > ${bin}/atlas
chmod +x ${bin}/atlas
`,
  )
  return {KUBECONFIG: kubeconfig, HOME: folder, PATH: `${bin}:/usr/bin:/bin`}
}
