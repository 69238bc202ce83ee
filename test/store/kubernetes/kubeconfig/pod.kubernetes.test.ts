/** Where a pod's service account counts, and whose namespace it is: asked with kubectl and with Atlas, both with a pod's files in /var/run/secrets. */
import {expect} from 'chai'
import {spawn} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {dump} from 'js-yaml'
import {atlasBin} from '../../../helpers/atlas.js'
import {program} from '../../../helpers/kubernetes/programs.js'
import {SECRET, config, main} from './rows/row.js'
import {type Sent, type Servers, startServers} from './servers.js'

interface Row {
  readonly files?: Readonly<Record<'ca.crt' | 'token', string>>
  /** Undefined: none is there. */
  readonly kubeconfig?: (servers: Servers) => object | string
  readonly environment?: NodeJS.ProcessEnv
  readonly args?: readonly string[]
  readonly outcome: 'fails' | 'the kubeconfig' | 'the pod'
}

const rows: Readonly<Record<string, Row>> = {
  'no kubeconfig': {outcome: 'the pod'},
  POD_NAMESPACE: {environment: {POD_NAMESPACE: 'named'}, outcome: 'the pod'},
  '--namespace': {args: ['--namespace', 'given'], environment: {POD_NAMESPACE: 'named'}, outcome: 'the pod'},
  'KUBECONFIG of a missing file': {environment: {KUBECONFIG: '/missing'}, outcome: 'the pod'},
  'an empty kubeconfig': {kubeconfig: () => '', outcome: 'the pod'},
  'a kubeconfig without a current context': {
    kubeconfig: servers => ({...config(main(servers)), 'current-context': ''}),
    outcome: 'the pod',
  },
  'a kubeconfig': {kubeconfig: servers => config(main(servers)), outcome: 'the kubeconfig'},
  'a kubeconfig whose current context is missing': {kubeconfig: servers => ({...config(main(servers)), contexts: []}), outcome: 'fails'},
  'a broken kubeconfig': {kubeconfig: () => '{[', outcome: 'fails'},
  '--context': {args: ['--context', 'x'], outcome: 'fails'},
  '--kubeconfig of a missing file': {args: ['--kubeconfig', '/missing'], outcome: 'fails'},
  'no address of the API server': {environment: {KUBERNETES_SERVICE_PORT: ''}, outcome: 'fails'},
  'an authority that is none': {files: {'ca.crt': 'nothing', token: SECRET}, outcome: 'fails'},
  'an empty token': {files: {'ca.crt': '', token: ''}, outcome: 'fails'},
}

describe('In a pod, Atlas finds its cluster as kubectl does', () => {
  let servers: Servers
  let folder: string
  before(async () => {
    servers = await startServers()
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-pod-'))
  })
  after(async () => {
    await servers.close()
    await rm(folder, {recursive: true})
  })

  for (const [title, row] of Object.entries(rows))
    it(`with ${title}: ${row.outcome}`, async () => {
      const kubectl = await ask(row, [program('kubectl'), 'create', 'token', 'account'])
      const atlas = await ask(row, [process.execPath, atlasBin, 'cluster', 'list'])
      const authorization = {fails: undefined, 'the kubeconfig': `Bearer ${SECRET}`, 'the pod': `Bearer ${SECRET}-of-the-pod`}[row.outcome]
      expect(kubectl.sent?.authorization, kubectl.output).to.equal(authorization)
      expect(shown(atlas.sent), atlas.output).to.deep.equal(shown(kubectl.sent))
      // With a kubeconfig, kubectl takes the context's namespace, or the pod's; Atlas's own is atlas.
      if (row.outcome === 'the pod') expect(namespaceOf(atlas.sent)).to.equal(namespaceOf(kubectl.sent))
      expect(atlas.output).not.to.include(SECRET)
    })

  /** Runs it where /var/run/secrets is a pod's: in a namespace of mounts of its own. */
  async function ask(
    {files, kubeconfig, environment = {}, args = []}: Row,
    command: readonly string[],
  ): Promise<{sent: Sent | undefined; output: string}> {
    const held = {'ca.crt': servers.ca.certificate, token: `${SECRET}-of-the-pod`, namespace: 'of-the-pod', ...files}
    for (const [name, content] of Object.entries(held)) await writeFile(path.join(folder, name), content)
    const content = kubeconfig?.(servers)
    await rm(path.join(folder, 'config'), {force: true})
    if (content !== undefined)
      await writeFile(path.join(folder, 'config'), typeof content === 'string' ? content : dump(JSON.parse(JSON.stringify(content))))
    const pod =
      'mount -t tmpfs none "$(readlink -f /var/run)"; d=/var/run/secrets/kubernetes.io/serviceaccount; mkdir -p $d; cp ca.crt token namespace $d; exec "$@"'
    const unshare = [...(process.getuid?.() === 0 ? [] : ['--map-root-user']), '--mount', 'sh', '-euc', pod, 'sh']
    const child = spawn('unshare', [...unshare, ...command, ...args], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        KUBECONFIG: 'config',
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(servers.ports.main),
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', piece => (output += String(piece)))
    child.stderr.on('data', piece => (output += String(piece)))
    await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    return {sent: servers.take('/')[0], output}
  }
})

function shown(sent: Sent | undefined): unknown {
  return sent === undefined ? undefined : {...sent, path: ''}
}

function namespaceOf(sent: Sent | undefined): string | undefined {
  return /\/namespaces\/([^/]+)\//.exec(sent?.path ?? '')?.[1]
}
