/** The listener of `/ready` and statistics, and Envoy's admin pages behind it, on the oldest and the newest Envoy. */
import {once} from 'node:events'
import net from 'node:net'
import path from 'node:path'
import {expect} from 'chai'
import {readPage} from '../../src/demo/lab/envoy-admin.js'
import {type Supervisor, openSupervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {writeFiles} from '../../src/lib/cli/bootstrap-files.js'
import {buildBootstrap} from '../../src/lib/envoy/bootstrap.js'
import {bootstrapPaths} from '../../src/lib/envoy/credential-files.js'
import {type HostPort, parseAddresses} from '../../src/lib/model/address.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {inFolder} from '../helpers/atlas.js'
import {type EnvoyVersion, envoyProgram} from '../helpers/envoy-program.js'

const settings = {...defaultSettings, addresses: parseAddresses('192.0.2.1')}
const stats: HostPort = {host: '127.0.45.1', port: 9902}

interface Rig {
  readonly admin: {readonly socketPath: string}
  readonly supervisor: Supervisor
  /** Starts one more Envoy with the same bootstrap. */
  again(): Promise<{readonly code: number | null; readonly output: string}>
}

for (const version of ['1.36', '1.40'] as const)
  describe(`envoy ${version}: the stats listener`, function () {
    this.timeout(240_000)

    it('serves two pages to GET, and no other page of the admin socket', async () =>
      withEnvoy(version, async ({admin}) => {
        expect(await readPage(stats, '/ready')).to.deep.equal({status: 200, body: 'LIVE\n'})
        expect((await readPage(stats, '/stats/prometheus')).body).to.match(/^envoy_server_live\{\} 1$/m)
        const others = ['/config_dump', '/certs', '/clusters', '/quitquitquit', '/ready/../config_dump', '/stats', '//certs', '/ready/']
        const refused = [
          ...others.flatMap(page => [`GET ${page}`, `POST ${page}`]),
          ...['POST /ready', 'POST /stats/prometheus', 'PUT /ready', 'DELETE /ready'],
        ]
        const answers = await Promise.all(refused.map(async line => (await answer(line)).slice(0, 12)))
        expect(answers).to.deep.equal(refused.map(() => 'HTTP/1.1 404'))
        expect((await readPage(admin, '/certs')).status).to.equal(200)
      }))

    it('answers while hundreds of connections are idle or slow, and again after connections beyond its limit', async () =>
      withEnvoy(version, async () => {
        const held = [...connections(500, ''), ...connections(300, 'GET /ready HTTP/1.1\r\nhost: x\r\nx-slow: ')]
        try {
          await Promise.all(held.map(async socket => once(socket, 'connect')))
          for (let time = 0; time < 5; time += 1) expect((await readPage(stats, '/ready', {timeoutMs: 10_000})).status).to.equal(200)
          const many = connections(1500, '')
          held.push(...many)
          await Promise.all(many.map(async socket => once(socket, 'connect')))
          await waitFor('/ready', async () => ((await readPage(stats, '/ready')).status === 200 ? true : undefined), {
            signal: AbortSignal.timeout(45_000),
            timeoutMs: 45_000,
          })
        } finally {
          for (const socket of held) socket.destroy()
        }
      }))

    it('is not shared: a second Envoy with the same bootstrap ends', async () =>
      withEnvoy(version, async ({again}) => {
        const {code, output} = await again()
        expect(code).to.equal(1)
        expect(output).to.include('Address already in use')
        expect((await readPage(stats, '/ready')).status).to.equal(200)
      }))
  })

/** Starts an Envoy from Atlas's bootstrap, without ADS, so that it is ready at once. */
async function withEnvoy(version: EnvoyVersion, use: (rig: Rig) => Promise<void>): Promise<void> {
  await inFolder(async folder => {
    const place = {owner: parseClusterName('paris'), nodeId: 'paris-0', directory: folder, stats}
    const {dynamic_resources: _, ...bootstrap} = JSON.parse(buildBootstrap(settings, place)) as {
      dynamic_resources: object
      static_resources: {clusters: {name: string}[]}
    }
    const {clusters, ...others} = bootstrap.static_resources
    const alone = {...bootstrap, static_resources: {...others, clusters: clusters.filter(({name}) => name === 'admin')}}
    await writeFiles(folder, [{path: bootstrapPaths.bootstrap, text: JSON.stringify(alone)}])
    const supervisor = await openSupervisor(folder, {removeFolder: false})
    const program = await envoyProgram(version)
    const spec = (name: string) => ({
      name,
      program,
      args: ['-c', path.join(folder, bootstrapPaths.bootstrap), '--disable-hot-restart', '--concurrency', '1', '-l', 'error'],
    })
    const admin = {socketPath: path.join(folder, 'admin.sock')}
    try {
      await supervisor.start(spec('envoy'))
      const ready = async () => ((await readPage(stats, '/ready')).status === 200 ? true : undefined)
      await waitFor('the Envoy to be ready', ready, {signal: supervisor.crashed, timeoutMs: 45_000})
      await use({
        admin,
        supervisor,
        async again() {
          const {code, stdout, stderr} = await supervisor.run(spec('second'))
          return {code, output: `${stdout}${stderr}`}
        },
      })
    } finally {
      await supervisor.stopAll(0)
    }
  })
}

/** Connections that send `text` and then nothing. */
function connections(count: number, text: string): net.Socket[] {
  return Array.from({length: count}, () => {
    const socket = net.connect(stats).on('error', () => undefined)
    socket.resume().write(text)
    return socket
  })
}

/** The raw answer to a request of this method and path, which are sent as they are. */
async function answer(line: string): Promise<string> {
  const socket = net.connect(stats)
  socket.write(`${line} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
