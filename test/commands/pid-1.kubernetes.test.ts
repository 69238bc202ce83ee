/** Commands as PID 1 of a PID namespace, as in a container, where the kernel gives signals no default action. */
import {type ChildProcess, spawn} from 'node:child_process'
import {readFile, writeFile} from 'node:fs/promises'
import {type AddressInfo, type Server, type Socket, createServer} from 'node:net'
import path from 'node:path'
import {dump} from 'js-yaml'
import {expect} from 'chai'
import {atlas, atlasBin, inFolder} from '../helpers/atlas.js'

const signals = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const

/** Each waits for the API server. */
const waiting = [
  ['init', '--if-missing'],
  ['cluster', 'add', 'paris', '--address', '198.51.100.4'],
  ['cluster', 'list'],
  ['cluster', 'show', 'paris'],
  ['cluster', 'values', 'paris'],
  ['cluster', 'remove', 'paris', '--yes'],
  ['rotate'],
  ['status'],
]

describe('commands: as PID 1', function () {
  this.timeout(240_000)
  for (const [signal, code] of signals) {
    it(`every command that waits for the API server ends at once on ${signal}, with exit code ${code}`, () =>
      inFolder(async folder => {
        const kubeconfig = path.join(folder, 'config')
        for (const args of waiting) {
          // Each has a server of its own: a late connection of the command before is none of this one.
          const silent = await silentServer()
          try {
            await writeFile(kubeconfig, dump(kubeconfigOf(silent.port)))
            const child = await startAsPid1([...args, '--kubeconfig', kubeconfig])
            await silent.connected
            child.signal(signal)
            expect(await child.ended, `${args.join(' ')}: ${child.output()}`).to.equal(code)
          } finally {
            silent.close()
          }
        }
      }))
  }

  it('serve stops in good order on SIGTERM', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      await atlas('init', '--store', store)
      const args = ['serve', '--store', store, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
      const server = await startAsPid1(args)
      await server.printed('"msg":"serving"')
      server.signal('SIGTERM')
      expect(await server.ended, server.output()).to.equal(0)
      expect(server.output()).to.contain('"msg":"stopped"')
    }))

  it('serve that waits for the API server ends on the first signal', () =>
    inFolder(async folder => {
      const kubeconfig = path.join(folder, 'config')
      const silent = await silentServer()
      try {
        await writeFile(kubeconfig, dump(kubeconfigOf(silent.port)))
        const server = await startAsPid1(['serve', '--kubeconfig', kubeconfig, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'])
        await silent.connected
        server.signal('SIGINT')
        expect(await server.ended, server.output()).to.equal(0)
      } finally {
        silent.close()
      }
    }))
})

interface Pid1 {
  /** The exit code. */
  readonly ended: Promise<number | null>
  signal(signal: NodeJS.Signals): void
  /** Resolves once stderr has had this text. */
  printed(text: string): Promise<void>
  output(): string
}

/** Starts `atlas …args` as PID 1 of a PID namespace of its own. A user who is not root enters a user namespace for it. */
async function startAsPid1(args: readonly string[]): Promise<Pid1> {
  const {ATLAS_STORE: _, NODE_OPTIONS: __, ...env} = process.env
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const options = [...asUser, '--pid', '--fork', '--kill-child']
  const child = spawn('unshare', [...options, process.execPath, atlasBin, ...args], {env, stdio: ['ignore', 'pipe', 'pipe']})
  let output = ''
  const waits = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      output += String(chunk)
      for (const wait of waits) wait()
    })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const pid = await pidOfForked(child)
  return {
    ended,
    signal: signal => process.kill(pid, signal),
    output: () => output,
    printed: async text => {
      const seen = new Promise<void>(resolve => {
        const look = (): void => {
          if (output.includes(text)) resolve()
        }
        waits.add(look)
        look()
      })
      await Promise.race([
        seen,
        ended.then(code => {
          throw new Error(`ended with ${String(code)}: ${output}`)
        }),
      ])
    },
  }
}

/** The process that `unshare --fork` started, by its PID outside of the namespace. */
async function pidOfForked(child: ChildProcess): Promise<number> {
  const parent = String(child.pid)
  for (;;) {
    if (child.exitCode !== null) throw new Error(`unshare ended with ${child.exitCode}: PID namespaces are not allowed here`)
    const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8').catch(() => '')
    if (children.trim() !== '') return Number(children.trim().split(' ')[0])
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

interface SilentServer {
  readonly port: number
  /** Resolves at the first connection. */
  readonly connected: Promise<void>
  close(): void
}

/** Takes connections and never answers. */
async function silentServer(): Promise<SilentServer> {
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
  })
  const connected = new Promise<void>(resolve => server.once('connection', () => resolve()))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connected,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function kubeconfigOf(port: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'silent', cluster: {server: `http://127.0.0.1:${port}`}}],
    users: [{name: 'me', user: {token: 'anything'}}],
    contexts: [{name: 'silent', context: {cluster: 'silent', user: 'me', namespace: 'atlas'}}],
    'current-context': 'silent',
  }
}
