/** The package as its users get it: packed, installed with production dependencies only in an empty folder, and run from there. */
import {execFile, spawn} from 'node:child_process'
import {mkdtempSync, readdirSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {delimiter, dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {promisify} from 'node:util'
import {expect} from 'chai'
import {npmCommand} from '../../scripts/setup/npm.mjs'
import {freePort, readiness} from '../helpers/serving.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('the package', function () {
  this.timeout(360_000)
  let folder: string
  let store: string
  let packed: string[]

  before('pack and install', async () => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-package-'))
    store = join(folder, 'state')
    const said = await npm(['pack', '--json', '--pack-destination', folder], root)
    // what prepack says comes first; npm's own words are the last JSON
    const [{filename, files}] = JSON.parse(said.slice(said.search(/^\[/m))) as [{filename: string; files: Array<{path: string}>}]
    packed = files.map(({path}) => path)
    await npm(['init', '--yes'], folder)
    await npm(['install', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund', join(folder, filename)], folder)
  })
  after(() => rmSync(folder, {recursive: true, force: true}))

  const bin = (name: string) => join(folder, 'node_modules/.bin', name)
  const atlas = (...args: string[]) => promisify(execFile)(bin('atlas'), args, {cwd: folder, env: bareEnvironment()})

  it('holds what runs, and nothing of the workshop', () => {
    const tops = [...new Set(packed.map(path => path.split('/')[0]))].sort()
    expect(tops).to.deep.equal(['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'oclif.manifest.json', 'package.json'])
    expect(packed).to.include('dist/commands/init.js')
    expect(packed.filter(path => !/\.(js|d\.ts|md|json)$|^LICENSE$/.test(path))).to.deep.equal([])
  })

  it('brings no development package', () => {
    const installed = readdirSync(join(folder, 'node_modules'))
    expect(installed).to.include('node-forge')
    for (const name of ['typescript', 'mocha', 'eslint', 'tsx']) expect(installed).not.to.include(name)
  })

  it('answers --version under both of its names', async () => {
    for (const name of ['atlas', 'goatlas']) {
      const {stdout} = await promisify(execFile)(bin(name), ['--version'], {env: bareEnvironment()})
      expect(stdout).to.match(/^@goatlas\/atlas\/\d+\.\d+\.\d+ \S+ node-v\d+\.\d+\.\d+\n$/)
    }
  })

  it('explains itself with --help', async () => {
    const {stdout, stderr} = await atlas('--help')
    for (const command of ['cluster', 'init', 'serve']) expect(stdout).to.match(new RegExp(`^ +${command} `, 'm'))
    expect(stderr).to.equal('')
  })

  it('makes an installation, adds a cluster and serves them until it is told to stop', async () => {
    await atlas('init', '--store', store, '--address', '127.0.0.1')
    await atlas('cluster', 'add', 'paris', '--store', store, '--address', '127.0.0.2')
    const {stdout} = await atlas('cluster', 'list', '--store', store, '--json')
    expect(stdout).to.include('paris')

    const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    const server = spawn(bin('atlas'), ['serve', '--store', store, '--listen', listen, '--pages-listen', '127.0.0.1:0', '--admin', admin], {
      cwd: folder,
      env: bareEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let words = ''
    server.stderr.setEncoding('utf8').on('data', text => (words += String(text)))
    const ended = new Promise<unknown>(resolve => server.once('close', (code, signal) => resolve(code ?? signal)))
    try {
      expect(await readiness(`http://${admin}/readyz`), words).to.equal(200)
      expect((await atlas('status', '--store', store, '--json')).stdout).to.include('paris')
    } finally {
      server.kill('SIGTERM')
    }
    expect(await ended, words).to.equal(0)
  })
})

/** Without what `npm test` has put there, and with this Node first. */
function bareEnvironment(): NodeJS.ProcessEnv {
  return {HOME: process.env['HOME'], PATH: [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter)}
}

async function npm(args: string[], cwd: string): Promise<string> {
  const [command, ...first] = npmCommand()
  return (await promisify(execFile)(command, [...first, ...args], {cwd, maxBuffer: 64 * 1024 * 1024})).stdout
}
