/** `atlas serve` on a machine without IPv6, where the kernel refuses every IPv6 socket, and on addresses that it does not have. Linux only. */
import {type ChildProcess, spawn} from 'node:child_process'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasBin, inFolder} from '../helpers/atlas.js'
import {readiness} from '../helpers/serving.js'

describe('server: a machine without IPv6', function () {
  this.timeout(240_000)

  it('serve with the addresses of the charts ([::]) listens on every IPv4 address', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      await atlas('init', '--store', store)
      const server = withoutIpv6(['serve', '--store', store, '--listen', '[::]:0', '--admin', '[::]:0'])
      const {address = '', admin = ''} = await server.serving
      expect(address).to.match(/^0\.0\.0\.0:\d+$/)
      const port = new URL(admin).port
      expect(await readiness(`http://127.0.0.1:${port}/readyz`)).to.equal(200)
      server.child.kill('SIGTERM')
      expect(await server.ended, server.log()).to.equal(0)
    }))

  it('an IPv6 address that was asked for is refused, with the flag that helps', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      await atlas('init', '--store', store)
      for (const [flag, others] of [
        ['--listen', ['--admin', '127.0.0.1:0']],
        ['--admin', ['--listen', '127.0.0.1:0']],
      ] as const) {
        const server = withoutIpv6(['serve', '--store', store, flag, '[::1]:6399', ...others])
        server.serving.catch(() => undefined)
        expect(await server.ended, server.log()).to.equal(1)
        expect(server.log()).to.contain(`Hint: this machine has no IPv6: ${flag} 0.0.0.0:6399 listens on all its addresses`)
      }
    }))

  it('an address that this machine does not have is refused, with the flag that helps', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      await atlas('init', '--store', store)
      const {code, stderr} = await atlas('serve', '--store', store, '--listen', '192.0.2.1:6399', '--admin', '127.0.0.1:0')
      expect(code).to.equal(1)
      expect(stderr).to.contain('Hint: this machine does not have that address').and.to.contain('--listen 0.0.0.0:6399')
    }))
})

interface Serving {
  readonly child: ChildProcess
  /** The addresses that the server has logged; rejected if it ends before. */
  readonly serving: Promise<{readonly address?: string; readonly admin?: string}>
  /** The exit code. */
  readonly ended: Promise<number | null>
  log(): string
}

function withoutIpv6(args: readonly string[]): Serving {
  const {ATLAS_STORE: _, NODE_OPTIONS: __, ...env} = process.env
  const child = spawn('python3', ['-c', NO_IPV6, process.execPath, atlasBin, ...args], {env, stdio: ['ignore', 'ignore', 'pipe']})
  let log = ''
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const serving = new Promise<object>((resolve, reject) => {
    child.stderr.on('data', chunk => {
      log += String(chunk)
      const line = log.split('\n').find(each => each.includes('"msg":"serving"') && each.endsWith('}'))
      if (line !== undefined) resolve(JSON.parse(line) as object)
    })
    ended.then(code => reject(new Error(`serve ended with ${String(code)}: ${log}`)), reject)
  })
  return {child, serving, ended, log: () => log}
}

/**
 * Runs the rest of its arguments under a seccomp filter that answers socket(AF_INET6, …) with EAFNOSUPPORT, as a kernel with ipv6.disable=1
 * does. The filter: load the number of the system call; if it is `socket`, load its first argument; 10 is AF_INET6, 97 EAFNOSUPPORT.
 */
const NO_IPV6 = `
import ctypes, os, platform, struct, sys
socket = {'x86_64': 41, 'aarch64': 198}[platform.machine()]
code = [(0x20, 0, 0, 0), (0x15, 0, 3, socket), (0x20, 0, 0, 16), (0x15, 0, 1, 10), (0x06, 0, 0, 0x50000 | 97), (0x06, 0, 0, 0x7fff0000)]
filters = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *each) for each in code))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(code), ctypes.addressof(filters)))
libc = ctypes.CDLL(None, use_errno=True)
prctl = lambda *args: libc.prctl(*(ctypes.c_ulong(each) for each in args)) == 0 or sys.exit('prctl: ' + os.strerror(ctypes.get_errno()))
prctl(38, 1, 0, 0, 0)
prctl(22, 2, ctypes.addressof(program), 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
`
