/**
 * Every name that an Envoy connects to (a sidecar, a downstream cluster, the ADS server of a bootstrap), in networks with IPv4 alone, with
 * IPv6 alone, and with both: a namespace each, which any user may make where the system allows it.
 */
import {spawn} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import type {Probed} from './names-probe.js'

const probe = fileURLToPath(new URL('names-probe.ts', import.meta.url))

/** `$1` becomes the resolver's file. Packets to the network behind v0 reach no machine. */
const common = ['mount --bind "$1" /etc/resolv.conf', 'ip link set lo up', 'ip link add v0 type veth peer name v1']
const up = ['ip link set v0 up', 'ip link set v1 up']
const ipv4 = ['ip addr add 192.0.2.1/24 dev lo', 'ip route add 198.51.100.0/24 dev v0']
const ipv6 = ['ip addr add fd00:1::1/64 dev lo', 'ip -6 route add fd00:bad::/64 dev v0']
const networks = [
  {families: 'ipv4', resolver: '127.0.0.1', setUp: [...common, 'ip addr del ::1/128 dev lo', ...up, ...ipv4]},
  {families: 'ipv6', resolver: '::1', setUp: [...common, 'ip addr del 127.0.0.1/8 dev lo', ...up, ...ipv6]},
  {families: 'ipv4,ipv6', resolver: '127.0.0.1', setUp: [...common, ...up, ...ipv4, ...ipv6]},
]

describe('envoy: every name, in networks of either address family', function () {
  this.timeout(900_000)

  for (const {families, resolver, setUp} of networks)
    it(`works with ${families.replace(',', ' and ')}, whatever becomes of the other records`, async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'atlas-networks-'))
      try {
        const file = path.join(folder, 'resolv.conf')
        await writeFile(file, `nameserver ${resolver}\nsearch corp.example\noptions ndots:5\n`)
        const {code, output, errors} = await inNamespace(setUp.join(' && '), file, families)
        expect(code, errors).to.equal(0)
        const probed = output.map(line => JSON.parse(line) as Probed)
        expect(probed).to.have.length(families.includes(',') ? 10 : 4)
        expect(probed.map(({what}) => ({what, sidecar: true, downstream: true, ads: true, searched: 0}))).to.deep.equal(probed)
      } finally {
        await rm(folder, {recursive: true, force: true})
      }
    })
})

async function inNamespace(
  setUp: string,
  ...args: readonly string[]
): Promise<{code: number | null; output: readonly string[]; errors: string}> {
  const [file = '', families = ''] = args
  const script = `set -e; ${setUp}; shift; exec "$@"`
  const node = [process.execPath, '--import', 'tsx', probe, families]
  const child = spawn('unshare', ['-rnm', 'sh', '-c', script, 'sh', file, ...node], {stdio: ['ignore', 'pipe', 'pipe']})
  let [output, errors] = ['', '']
  child.stdout.on('data', chunk => (output += String(chunk)))
  child.stderr.on('data', chunk => (errors += String(chunk)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return {code, output: output.split('\n').filter(line => line !== ''), errors}
}
