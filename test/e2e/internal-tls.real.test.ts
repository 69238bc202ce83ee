/**
 * Thanos Query over mutual TLS on 10901, with the endpoints file that Atlas writes and a client's Secret as a pod would mount it.
 * internal-tls.envoy.test.ts shows which clients are refused there.
 */
import {X509Certificate} from 'node:crypto'
import {mkdir, rename, symlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {openAtlasCli} from '../../src/demo/atlas-cli.js'
import {programs} from '../../src/demo/lab/catalogue.js'
import {reserveSites} from '../../src/demo/lab/free-addresses.js'
import {openFolder} from '../../src/demo/lab/folder.js'
import {linesSince, logLength} from '../../src/demo/lab/log-file.js'
import {type Network, joinCluster, openNetwork} from '../../src/demo/network.js'
import {type Running, openSupervisor} from '../../src/demo/lab/processes.js'
import {findProgram} from '../../src/demo/lab/programs.js'
import {prometheusOf, startPrometheus} from '../../src/demo/prometheus.js'
import {clustersIn, queryInstant, storesOf} from '../../src/demo/lab/query-api.js'
import type {Screen} from '../../src/demo/screen.js'
import {sitesByCluster, sidecarAt} from '../../src/demo/monitoring.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {renderHostPort} from '../../src/lib/model/address.js'
import type {Credential} from '../../src/lib/model/authority.js'
import {parseClientName} from '../../src/lib/model/names.js'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {certify} from '../helpers/kubernetes/certificates.js'

const client = parseClientName('thanos')

const quiet = (): void => undefined
const silent: Screen = {step: quiet, detail: quiet, command: quiet, progress: quiet, proof: quiet, warn: quiet}

describe('e2e: internal TLS, with Thanos', function () {
  this.timeout(300_000)
  const undo: (() => Promise<unknown> | void)[] = []
  let network: Network
  let thanos: string
  let query: Running
  let mount: string
  let versions = 0
  /** The URL of the Prometheus of paris. */
  let prometheus = ''

  before(async () => {
    const {sites, release} = await reserveSites('own', 1)
    undo.push(release)
    const folder = await openFolder(undefined)
    undo.push(folder.dispose)
    const supervisor = await openSupervisor(folder.path, {removeFolder: true})
    undo.push(() => supervisor.stopAll())
    const signal = supervisor.crashed
    const directory = path.join(folder.path, 'store')
    const atlas = openAtlasCli({store: directory, supervisor, signal, onCommand: quiet})
    const [envoy, program, found] = await Promise.all([programOf('envoy'), programOf('prometheus'), programOf('thanos')])
    const context = {folder: folder.path, sites, screen: silent, supervisor, atlas, store: openDirectory({directory}), envoy, signal}
    thanos = found
    mount = path.join(folder.path, 'client')
    network = await openNetwork(context)
    undo.push(() => network.close())
    const [paris = expect.fail('there is no place')] = sitesByCluster(sites)
    const first = prometheusOf(paris.name, paris.site)
    prometheus = `http://${renderHostPort(first.listen)}`
    await startPrometheus(first, program, context)
    await joinCluster(network, paris.name, paris.site, await sidecarAt(network, paris, {prometheus: program, thanos}))
    // The file holds the cluster before Thanos Query reads it for the first time.
    query = await startQuery()
    await untilAnswered()
  })
  after(async () => {
    for (const act of undo.reverse()) await act()
  })

  const http = () => ({host: network.context.sites.query.address, port: network.context.sites.query.ports.http})

  async function startQuery(): Promise<Running> {
    const {supervisor, sites} = network.context
    return supervisor.start({
      name: 'thanos-query',
      program: thanos,
      args: [
        'query',
        `--grpc-address=${renderHostPort({host: sites.query.address, port: sites.query.ports.grpc})}`,
        `--http-address=${renderHostPort(http())}`,
        `--endpoint.sd-config-file=${network.endpoints}`,
        '--endpoint.sd-config-reload-interval=1s',
        // By default Thanos Query retries an endpoint that does not answer after 5 min.
        '--store.unhealthy-timeout=3s',
        '--grpc-grace-period=1s',
        '--http-grace-period=1s',
        '--log.level=warn',
      ],
    })
  }

  /** The clusters whose series Thanos Query answers with; none where it knows no endpoint or one that does not answer. */
  async function clusters(): Promise<string> {
    const series = await queryInstant(http(), 'up').catch(() => [])
    return clustersIn(series).join()
  }

  async function untilAnswered(): Promise<void> {
    const answered = async (): Promise<true | undefined> => ((await clusters()) === 'paris' ? true : undefined)
    await waitFor('Thanos Query to answer with series of paris', answered, {signal: network.context.signal, timeoutMs: 120_000})
  }

  async function certificate(): Promise<Credential> {
    return waitFor('the certificate of the client', async () => (await network.context.store.load()).clients.get(client), {
      signal: network.context.signal,
      timeoutMs: 120_000,
    })
  }

  /** Puts the Secret's files where Thanos Query looks for them, all at once, as a kubelet does. */
  async function place({certificate: crt, key, roots}: Credential): Promise<void> {
    versions += 1
    const folder = `${mount}-${versions}`
    await mkdir(folder, {mode: 0o700})
    for (const [name, text] of Object.entries({'tls.crt': crt, 'tls.key': key.reveal(), 'ca.crt': roots}))
      await writeFile(path.join(folder, name), text, {mode: 0o600})
    await symlink(folder, `${mount}-next`)
    await rename(`${mount}-next`, mount)
  }

  /** The fingerprints of the certificates of the connections to 10901 that have ended since. */
  function fingerprints(mark: number): readonly unknown[] {
    const lines = linesSince(network.observability.running.log, mark).filter(line => line.startsWith('{'))
    return lines
      .map(line => JSON.parse(line) as Record<string, unknown>)
      .filter(({log, listener}) => log === 'connection' && listener === 'thanos')
      .map(({fingerprint}) => fingerprint)
  }

  async function untilSeen({certificate: crt}: Credential, mark: number): Promise<void> {
    const wanted = new X509Certificate(crt).fingerprint256.replaceAll(':', '').toLowerCase()
    const options = {signal: network.context.signal, timeoutMs: 120_000}
    await waitFor('a connection with that certificate', async () => (fingerprints(mark).includes(wanted) ? true : undefined), options)
  }

  it('a running Thanos Query loses its clusters when 10901 is switched, until it retries each endpoint', async () => {
    const {atlas, signal} = network.context
    await atlas.run('init', '--client', client, '--client-directory', mount)
    await place(await certificate())
    // Watched from here on: it lacks it for some seconds, which may be over when the command has ended.
    const lacking = async (): Promise<true | undefined> => ((await clusters()) === '' ? true : undefined)
    const lacked = waitFor('Thanos Query to lack paris', lacking, {signal, timeoutMs: 120_000})
    lacked.catch(() => undefined)
    await atlas.run('init', '--internal-tls', '10901', '--set', 'thanosConnection=3s')
    await lacked
    await untilAnswered()
  })

  it('a started Thanos Query finds every cluster at once', async () => {
    await query.stop()
    query = await startQuery()
    await untilAnswered()
    expect(await storesOf(http())).to.have.length(1)
    expect((await storesOf(http())).map(({error, clusters}) => ({error, clusters}))).to.deep.equal([{error: '', clusters: ['paris']}])
  })

  it('uses the replaced certificate as soon as its file is there, without a restart', async () => {
    const [before, mark] = [await certificate(), logLength(network.observability.running.log)]
    await untilSeen(before, mark)
    await network.context.atlas.run('rotate')
    const after = await certificate()
    expect(after.certificate).to.not.equal(before.certificate)
    await place(after)
    const since = logLength(network.observability.running.log)
    await untilSeen(after, since)
    await untilAnswered()
  })

  it("reaches a cluster by a name that is not on Envoy's certificate, since the endpoints file has the server name", async () => {
    const {address, ports} = network.context.sites.observability
    const template = `dns://${address}:${ports.dns}/{service}.outside.{namespace}.svc.{clusterDomain}:${ports.thanos}`
    await network.context.atlas.run('init', '--endpoint-template', template)
    const renamed = async (): Promise<true | undefined> => {
      const stores = await storesOf(http())
      return stores.some(({name, error}) => name.includes('.outside.') && error === '') ? true : undefined
    }
    await waitFor('Thanos Query to know it by its other name', renamed, {signal: network.context.signal, timeoutMs: 120_000})
    await untilAnswered()
  })

  it("asks endpoints of the user's own from the same file: one by another authority's TLS and one in plaintext, beside Atlas's", async () => {
    const {folder, sites, supervisor, atlas, signal} = network.context
    const authority = await certify({name: 'another authority'})
    const {certificate, key} = await certify({name: 'own', names: ['own.example']}, authority)
    const [own, ca] = [path.join(folder, 'own'), path.join(folder, 'own', 'ca.crt')]
    await mkdir(own)
    for (const [name, text] of Object.entries({'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate}))
      await writeFile(path.join(own, name), text, {mode: 0o600})
    const at = (port: number): string => renderHostPort({host: sites.query.address, port})
    const [secured, plain] = [at(20_901), at(20_903)]
    const tls = [`--grpc-server-tls-cert=${path.join(own, 'tls.crt')}`, `--grpc-server-tls-key=${path.join(own, 'tls.key')}`]
    for (const [name, grpc, page, flags] of [
      ['secured', secured, at(20_902), tls],
      ['plain', plain, at(20_904), []],
    ] as const) {
      const listening = [`--grpc-address=${grpc}`, `--http-address=${page}`, '--grpc-grace-period=1s', '--http-grace-period=1s']
      const args = ['sidecar', `--prometheus.url=${prometheus}`, `--tsdb.path=${path.join(own, name)}`, ...listening, ...flags]
      await mkdir(path.join(own, name))
      await supervisor.start({name: `own-${name}`, program: thanos, args})
    }
    const file = path.join(own, 'extra.yaml')
    const client = {tls_config: {enabled: true, ca_file: ca}, server_name: 'own.example'}
    await writeFile(file, renderYaml([{address: secured, client_config: client}, {address: plain}]))
    await atlas.run('init', '--extra-endpoints', file)
    const isAsked = async (): Promise<true | undefined> => {
      const stores = (await storesOf(http())).filter(({error, clusters}) => error === '' && clusters.join() === 'paris')
      const names = stores.map(({name}) => name)
      return names.length === 3 && names.includes(secured) && names.includes(plain) ? true : undefined
    }
    await waitFor('Thanos Query to have all three', isAsked, {signal, timeoutMs: 120_000})
    await untilAnswered()
  })
})

async function programOf(name: keyof typeof programs): Promise<string> {
  return (await findProgram(programs[name], process.env)) ?? expect.fail(`there is no ${name}`)
}
