import {type ChildProcess, spawn} from 'node:child_process'
import {readFile, rm, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {init} from '../../src/lib/ops/init.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {atlas, atlasBin, atlasJson, inFolder} from '../helpers/atlas.js'
import {copyLive} from '../helpers/live-files.js'

interface StatusJson {
  servers: {ready: boolean}[]
  proxies: {cluster: string; state: string}[]
  withoutProxy: string[]
}

describe('commands: serve, status and rotate', function () {
  this.timeout(180_000)

  it('serves a directory, reports its status, sees what other commands write, and stops on SIGTERM', () =>
    inFolder(async folder => {
      const [store, endpoints] = [path.join(folder, 'state'), path.join(folder, 'endpoints.yaml')]
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', '--store', store, '--address', '198.51.100.4')
      const none = await atlasJson<{error: {code: string; hint: string}}>('status', '--store', store)
      expect(none.code).to.equal(5)
      expect(none.value.error.hint).to.contain('atlas serve')

      const server = await start(store, '--thanos-endpoints', endpoints)
      try {
        expect(await readFile(endpoints, 'utf8')).to.contain('paris-thanos-sidecar0.atlas.svc.cluster.local:10901')
        const {code, value} = await atlasJson<StatusJson>('status', '--store', store)
        expect(code).to.equal(0)
        expect(value.servers[0]?.ready).to.equal(true)
        expect(value.withoutProxy).to.have.members(['atlas', 'paris'])
        const table = await atlas('status', '--store', store)
        expect(table.stdout)
          .to.match(/CLUSTER +PROXY +STATE/)
          .and.to.match(/paris +- +not connected/)

        await atlas('cluster', 'add', 'lyon', '--store', store, '--address', '198.51.100.5')
        await eventually(async () => expect(await readFile(endpoints, 'utf8')).to.contain('lyon-thanos-sidecar0'))

        await rm(path.join(store, 'service-lyon.yaml'))
        await eventually(async () => expect((await atlas('status', '--store', store)).stdout).to.match(/lyon +- +suspended/))
        const registration = path.join(store, 'service-paris.yaml')
        await writeFile(registration, (await readFile(registration, 'utf8')).replace('198.51.100.4', '198.51.100.4:1'))
        await eventually(async () => {
          const attention = await atlasJson<{findings: {kind: string; next: string}[]}>('status', '--store', store)
          expect(attention.code).to.equal(6)
          expect(attention.value.findings.map(({kind, next}) => `${kind}: ${next}`)).to.deep.equal([`fault: edit ${registration}`])
        })
        expect((await atlas('status', '--store', store)).stdout).to.match(
          /Needs attention:\n- service-paris\.yaml cannot be read, .*\n {2}Next: edit /,
        )
        expect((await atlas('cluster', 'list', '--store', store)).stdout).to.match(/paris +unreadable +no +198\.51\.100\.4 /)

        await copyLive(store, path.join(folder, 'copy'))
        expect((await atlas('status', '--store', path.join(folder, 'copy'))).code).to.equal(5)

        const second = await atlas('serve', '--store', store, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0')
        expect(second.code).to.equal(4)
        expect(second.stderr).to.contain(`process ${server.pid ?? ''}`)
      } finally {
        server.kill('SIGTERM')
      }

      expect(await ended(server)).to.equal(0)
      const again = await start(store)
      again.kill('SIGKILL')
      await ended(again)
      const third = await start(store)
      third.kill('SIGINT')
      expect(await ended(third)).to.equal(0)
    }))

  it('status exits with 6 and names the command for a cluster that has had no Envoy for an hour; cluster list shows it, too', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      const twoHoursAgo = {...dependencies, now: () => new Date(Date.now() - 2 * 3_600_000)}
      const directory = openDirectory({directory: store, create: true})
      await init(directory, {addresses: parseAddresses('203.0.113.7')}, twoHoursAgo)
      const defaults = targetsOf(defaultStack)
      await addCluster(directory, 'paris', {request: {addresses: parseAddresses('198.51.100.4')}, defaults}, twoHoursAgo)
      await addCluster(directory, 'lyon', {request: {}, defaults}, twoHoursAgo)
      const server = await start(store)
      try {
        const {code, value} = await atlasJson<{findings: {kind: string; cluster: string; next: string}[]}>('status', '--store', store)
        expect(code).to.equal(6)
        expect(value.findings.map(({kind, cluster}) => `${kind} ${cluster}`)).to.deep.equal(['not connected atlas', 'not connected paris'])
        expect(value.findings[1]?.next).to.contain(`atlas cluster values paris --store ${store} --format bootstrap`)
        expect((await atlas('cluster', 'list', '--store', store)).stdout).to.match(/paris +registered +no /)
      } finally {
        server.kill('SIGTERM')
        await ended(server)
      }
    }))

  it('rotate --issuer says at once how long the clock of a server that was just started holds it up', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      const server = await start(store, '--time', 'clock-held=3m')
      try {
        const begun = await atlas('rotate', '--issuer', '--store', store)
        expect(begun.code, begun.stderr).to.equal(0)
        expect(begun.stderr).to.match(/clock has held for some minutes, in (2m \d+s|3m) at most/)
        expect(begun.stderr).to.contain(`"atlas rotate --store ${store}" issues identities at once`)
      } finally {
        server.kill('SIGTERM')
      }

      await ended(server)
    }))

  it('refuses to start without a store, on a busy port, and with an invalid time limit', () =>
    inFolder(async folder => {
      const empty = await atlas('serve', '--store', folder, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0')
      expect(empty.code).to.equal(3)
      expect(empty.stderr).to.contain('atlas init')
      await atlas('init', '--store', folder)
      const time = await atlas('serve', '--store', folder, '--time', 'nonsense=1s')
      expect(time.code).to.equal(2)
      expect(time.stderr).to.contain('max-age')
      const nowhere = path.join(folder, 'nowhere', 'endpoints.yaml')
      const unwritten = await atlas('serve', '--store', folder, '--thanos-endpoints', nowhere, '--admin', '127.0.0.1:0')
      expect(unwritten.code, unwritten.stderr).to.equal(2)
      expect(unwritten.stderr).to.contain(`--thanos-endpoints: there is no directory ${path.dirname(nowhere)}`)
      const server = await start(folder)
      try {
        const other = path.join(folder, 'other')
        await atlas('init', '--store', other)
        const {admin} = JSON.parse(
          await readFile(path.join(folder, '.serve.lock'), 'utf8').then(text => JSON.stringify((JSON.parse(text) as {note: object}).note)),
        ) as {admin: string}
        const busy = await atlas('serve', '--store', other, '--listen', '127.0.0.1:0', '--admin', admin.replace('http://', ''))
        expect(busy.code).not.to.equal(0)
        const absent = await atlas('serve', '--store', path.join(folder, 'absent'), '--admin', admin.replace('http://', ''))
        expect(absent.code, absent.stderr).to.equal(3)
        expect(absent.stderr).to.contain('the directory does not exist')
        expect(busy.stderr).to.contain(admin.replace('http://', ''))
        const taken = Number(admin.replace(/.*:/, ''))
        const refusalAt = async (listen: string): Promise<string> => {
          const {code, stderr} = await atlas('serve', '--store', other, '--listen', listen, '--admin', '127.0.0.1:0')
          expect(code, stderr).to.equal(1)
          expect(stderr).to.contain(`; where the Envoy here is to connect is set by "atlas init --ads-server HOST:PORT --store ${other}"`)
          return stderr
        }
        // The port is taken on one address alone.
        const holder = process.platform === 'linux' ? `, process ${server.pid ?? ''}): end it, or ` : 'end it (ss -ltnp shows it), or '
        const everywhere = await refusalAt(`[::]:${taken}`)
        expect(everywhere).to.contain(`${holder}choose another port with --listen; if the other one listens on a single address, `)
        expect(everywhere).to.contain(`, such as --listen 127.0.0.1:${taken}, which other machines do not reach;`)
        expect(await refusalAt(`127.0.0.1:${taken}`)).to.contain(`${holder}choose another port with --listen;`)
      } finally {
        server.kill('SIGTERM')
        await ended(server)
      }
    }))

  it('rotate issues new leaves for all owners, or for those that are named', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      await atlas('cluster', 'add', 'paris', '--store', folder)
      await atlas('cluster', 'add', 'lyon', '--store', folder)
      const serials = async (): Promise<string[]> =>
        Promise.all(
          ['paris', 'lyon'].map(
            async name => (await atlasJson<{identity: {serial: string}}>('cluster', 'show', name, '--store', folder)).value.identity.serial,
          ),
        )
      const before = await serials()
      const one = await atlasJson<{rotated: string[]}>('rotate', 'paris', '--store', folder)
      expect(one.value.rotated).to.deep.equal(['paris'])
      const between = await serials()
      expect([between[0] === before[0], between[1] === before[1]]).to.deep.equal([false, true])
      const all = await atlasJson<{rotated: string[]}>('rotate', '--store', folder)
      expect(all.value.rotated).to.have.members(['atlas', 'paris', 'lyon'])
    }))
})

/** A server on ports of its own, once it is ready; its log is not kept. */
async function start(store: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [atlasBin, 'serve', '--store', store, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...args],
    {stdio: ['ignore', 'ignore', 'pipe']},
  )
  let log = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', chunk => {
      log += String(chunk)
      if (log.includes('"msg":"serving"')) resolve()
    })
    child.once('exit', code => reject(new Error(`serve ended with ${String(code)}: ${log}`)))
  })
  return child
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  return new Promise(resolve => child.once('exit', resolve))
}

async function eventually(check: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}
