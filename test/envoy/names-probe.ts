/**
 * Runs inside a network namespace of its own (networks.long.test.ts), whose resolver is the DNS server of this script: which of the names
 * that Envoys connect to work there, whatever becomes of the records of one address family. A line of JSON for each case.
 */
import {spawn} from 'node:child_process'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import net from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {JsonObject} from '@bufbuild/protobuf'
import {buildBootstrap} from '../../src/lib/envoy/bootstrap.js'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {bootstrapPaths, sdsFiles} from '../../src/lib/envoy/credential-files.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {credentialSpec, identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {type Records, serveDnsRecords} from '../helpers/dns-server.js'
import {startEnvoy} from '../helpers/envoy-process.js'
import {envoyProgram} from '../helpers/envoy-program.js'
import {staticBootstrap} from '../helpers/envoy-static.js'
import {serveEcho, thanosCall, visit} from '../helpers/http2.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {clusterAt, fleetOf, nodeOf, snapshotOf} from './fixture.js'

/** What works in one case. */
export interface Probed {
  readonly what: string
  readonly sidecar: boolean
  readonly downstream: boolean
  readonly ads: boolean
  /** Queries for the name under the search domain, which a name with a last dot never causes. */
  readonly searched: number
}

type Family = 'ipv4' | 'ipv6'

const families = (process.argv[2] ?? '').split(',') as readonly Family[]
const types = {ipv4: 'A', ipv6: 'AAAA'} as const
/** Addresses of this machine at which everything answers, and addresses of a network in which nothing does. */
const here = {ipv4: '192.0.2.1', ipv6: 'fd00:1::1'} as const
const nowhere = {ipv4: '198.51.100.7', ipv6: 'fd00:bad::7'} as const
const local = families.includes('ipv4') ? '127.0.0.1' : '::1'
const NAME = 'paris.example'
const SECONDS = 30

const now = new Date()
const authority = testAuthority(new Date(now.getTime() - 86_400_000), 'networks', defaultSettings)
const {issuer, credentialIssuer, root, signer} = authority
const paris = clusterAt('paris', `${NAME}.`)
const fleet = certified(fleetOf([paris]), now, authority)
const identity = (owner: Owner): CertifiedKey => issue(identitySpec(defaultSettings, owner, 1), issuer, now, signer)
const at = (address: string): Records => ({addresses: [address], ttl: 86_400})

/** The resolver's settings of every bootstrap that Atlas writes. */
const {typed_dns_resolver_config: resolver} = JSON.parse(bootstrapIn('/x')) as {readonly typed_dns_resolver_config: JsonObject}

const dns = await serveDnsRecords({host: local, port: 53})
let relayed = 0
for (const family of families) {
  const host = here[family]
  await serveEcho({host, port: 10_901}, host)
  await serveEcho({host, port: 11_901}, host, {shows: identity(paris.name), ca: [issuer.certificate]})
  net
    .createServer(socket => {
      relayed += 1
      socket.on('error', () => undefined).destroy()
    })
    .listen(10_900, host)
}

for (const own of families) {
  const other = own === 'ipv4' ? 'ipv6' : 'ipv4'
  const cases: Readonly<Record<string, Records>> = {
    'no record': 'nodata',
    'no answer': 'silent',
    'an answer after 3 s': {addresses: [nowhere[other]], ttl: 86_400, delayMs: 3000},
    'an address that does not answer': at(nowhere[other]),
    ...(families.includes(other) && {'an address that answers': at(here[other])}),
  }
  for (const [what, records] of Object.entries(cases)) {
    const before = dns.queries().length
    // Where a name without its last dot would lead.
    dns.set(`${NAME}.corp.example`, {[types[own]]: at(nowhere[own])})
    dns.set(NAME, {[types[own]]: at(here[own]), [types[other]]: records})
    const probed: Probed = {
      what: `${types[own]} alone leads there, ${types[other]}: ${what}`,
      sidecar: await reaches(paris.name, 11_901),
      downstream: await reaches('atlas', 10_901),
      ads: await connectsToAds(),
      searched: dns
        .queries()
        .slice(before)
        .filter(query => query.startsWith(`${NAME}.corp.`)).length,
    }
    process.stdout.write(`${JSON.stringify(probed)}\n`)
  }
}

process.exit(0)

/** Whether a call through the Envoy of `owner`, on its port for Thanos, is answered. */
async function reaches(owner: Owner, port: number): Promise<boolean> {
  const admin = {host: local, port: 9901}
  const node = nodeOf(owner, {'atlas.bind_address': local, 'atlas.local_address': local})
  const config = staticBootstrap(snapshotOf(buildSnapshot(fleet, node)), {
    node: {id: `${owner}-0`, cluster: owner},
    admin: {address: {socket_address: {address: admin.host, port_value: admin.port}}},
    typed_dns_resolver_config: resolver,
  })
  const tls = {shows: identity('atlas'), ca: [issuer.certificate], servername: 'paris.downstream.atlas.internal'}
  const call = {...thanosCall, authority: 'paris-thanos-sidecar0', ...(owner === 'atlas' ? {} : {tls})}
  const envoy = await startEnvoy(config, admin)
  try {
    return await within(async () => (await visit({host: local, port}, call).catch(() => undefined))?.headers['x-answered-by'] !== undefined)
  } finally {
    await envoy.stop()
  }
}

/** The bootstrap of paris, whose Envoy connects to the observability Envoy by name. */
function bootstrapIn(directory: string): string {
  const settings = {...defaultSettings, addresses: parseAddresses(`${NAME}.`)}
  return buildBootstrap(settings, {owner: paris.name, nodeId: 'paris-0', directory, localAddress: local})
}

/** Whether an Envoy with the bootstrap of paris connects to the observability Envoy, which its settings name by name. */
async function connectsToAds(): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-networks-'))
  const credential = issue(credentialSpec(defaultSettings, parseClusterName('paris'), 1), credentialIssuer, now, signer)
  const files: Readonly<Record<string, string>> = {
    [bootstrapPaths.certificate]: credential.certificate,
    [bootstrapPaths.key]: credential.key.reveal(),
    [bootstrapPaths.roots]: root.certificate,
    ...sdsFiles(folder),
    [bootstrapPaths.bootstrap]: bootstrapIn(folder),
  }
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), {recursive: true})
    await writeFile(path.join(folder, name), text)
  }

  const before = relayed
  const args = ['-c', path.join(folder, bootstrapPaths.bootstrap), '--disable-hot-restart', '--concurrency', '1', '-l', 'off']
  const child = spawn(await envoyProgram(), args, {stdio: 'ignore'})
  try {
    return await within(async () => Promise.resolve(relayed > before))
  } finally {
    child.kill('SIGKILL')
    await rm(folder, {recursive: true, force: true})
  }
}

async function within(isTrue: () => Promise<boolean>): Promise<boolean> {
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end;) {
    if (await isTrue()) return true
    await new Promise(resolve => setTimeout(resolve, 100))
  }

  return false
}
