import {readFile, writeFile} from 'node:fs/promises'
import {spawn} from 'node:child_process'
import path from 'node:path'
import {pathToFileURL} from 'node:url'
import {expect} from 'chai'
import {atlas, atlasBin, inFolder} from '../helpers/atlas.js'
import {onTerminal} from '../helpers/terminal.js'

/** Commands, and what the help of each must contain. */
const commands = [
  ['init'],
  ['cluster', 'add'],
  ['cluster', 'list'],
  ['cluster', 'show'],
  ['cluster', 'values'],
  ['cluster', 'remove'],
  ['rotate'],
  ['status'],
  ['serve'],
  ['demo'],
]

describe('commands: start-up and help', function () {
  this.timeout(60_000)

  for (const args of [['--version'], ['--help'], ['cluster', '--help'], ['cluster', 'add', '--help'], ['serve', '--help']]) {
    it(`atlas ${args.join(' ')} loads neither gRPC, protobuf, forge, the Kubernetes client nor inquirer`, () =>
      inFolder(async folder => {
        const loaded = await modulesOf(folder, args)
        expect(loaded.length).to.be.greaterThan(0)
        const heavy = loaded.filter(url =>
          /node_modules\/(@grpc|@bufbuild|protobufjs|node-forge|@kubernetes|@?inquirer|prom-client|pino)\b/.test(url),
        )
        expect(heavy).to.deep.equal([])
      }))
  }

  it('a command that only reads a cluster loads none of them, and no HTTP without TLS, which alone costs 25 ms of CPU', () =>
    inFolder(async folder => {
      const loaded = await modulesOf(folder, ['cluster', 'list', '--kubeconfig', path.join(folder, 'missing')])
      expect(loaded.some(url => url.endsWith('/store/kubernetes/client.js'))).to.equal(true)
      expect(loaded.filter(url => /node_modules\/(@grpc|@bufbuild|node-forge|pino)\b|^node:http$/.test(url))).to.deep.equal([])
    }))

  it('the list of loaded modules would show them (cluster add loads forge)', () =>
    inFolder(async folder => {
      const loaded = await modulesOf(folder, ['cluster', 'add', 'paris', '--store', folder])
      expect(loaded.some(url => url.includes('node_modules/node-forge/'))).to.equal(true)
    }))

  for (const args of [['cluster', 'list', '--kubeconfig', 'missing'], ['serve']])
    it(`atlas ${args.join(' ')} does not load undici, which an import of node:http does, for 35 ms of CPU`, () =>
      inFolder(async folder => {
        const [hook, log] = [path.join(folder, 'hook.mjs'), path.join(folder, 'modules.txt')]
        const text = `import {writeFileSync} from 'node:fs'
process.once('exit', () => writeFileSync(${JSON.stringify(log)}, process.moduleLoadList.join('\\n')))`
        await writeFile(hook, text)
        const flags = args.includes('serve') ? ['--store', path.join(folder, 'missing')] : []
        const child = spawn(process.execPath, ['--import', pathToFileURL(hook).href, atlasBin, ...args, ...flags], {stdio: 'ignore'})
        await new Promise(resolve => child.once('close', resolve))
        const loaded = (await readFile(log, 'utf8')).split('\n')
        expect(loaded).to.include('NativeModule https')
        expect(loaded.filter(name => name.includes('undici'))).to.deep.equal([])
      }))

  it('every command has help with an example', async () => {
    for (const command of commands) {
      const {code, stdout} = await atlas(...command, '--help')
      expect(code, command.join(' ')).to.equal(0)
      expect(stdout, command.join(' '))
        .to.match(/\nEXAMPLES?\n/)
        .and.to.contain(`$ atlas ${command.join(' ')}`)
    }
  })

  it('help on a terminal that does not know its width is for 80 columns', () =>
    inFolder(async folder => {
      const help = `stty columns 0; '${process.execPath}' '${atlasBin}' cluster restore --help`
      const {text} = await onTerminal(help, {cwd: folder, env: process.env})
      expect(text).to.match(/^ {2}--dry-run {2,}show what would be written, and write nothing$/m)
    }))

  it('help that is piped breaks no value of a flag in two', async () => {
    const manifest = JSON.parse(await readFile(path.join(path.dirname(atlasBin), '..', 'oclif.manifest.json'), 'utf8')) as {
      commands: Record<string, {flags: Record<string, {description?: string}>}>
    }
    for (const command of commands) {
      const {stdout} = await atlas(...command, '--help')
      const flags = Object.values(manifest.commands[command.join(':')]?.flags ?? {})
      expect(flags.length).to.be.greaterThan(0)
      for (const {description = ''} of flags)
        for (const word of description.split(/\s+/)) expect(stdout, command.join(' ')).to.contain(word)
    }
  })

  it('the list of commands names no deprecated one; the names of 2021 still work, with a warning', () =>
    inFolder(async folder => {
      const {stdout} = await atlas('--help')
      expect(stdout).not.to.match(/cluster-add|cluster-values|controller|envoy-ads/)
      await atlas('init', '--store', folder)
      const added = await atlas('cluster-add', 'paris', '--store', folder)
      expect(added.code, added.stderr).to.equal(0)
      expect(added.stderr).to.match(/cluster-add.*deprecated/is)
    }))

  it('ends without a message when its output is not read, as in "atlas --help | head -1"', async () => {
    const child = spawn(process.execPath, [atlasBin, '--help'], {stdio: ['ignore', 'pipe', 'pipe']})
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', chunk => (stderr += String(chunk)))
    const code = await new Promise(resolve => child.once('close', resolve))
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''})
  })

  it('in a directory that was deleted, absolute paths work and a relative one is explained', () =>
    inFolder(async folder => {
      const inDeleted = async (...args: string[]): Promise<{code: number | null; stderr: string}> => {
        const script = 'cd "$(mktemp -d "$1/XXXXXX")"; rmdir "$PWD"; shift; exec "$@"'
        const child = spawn('sh', ['-c', script, 'sh', folder, process.execPath, atlasBin, ...args], {stdio: ['ignore', 'ignore', 'pipe']})
        let stderr = ''
        child.stderr.on('data', chunk => (stderr += String(chunk)))
        const code = await new Promise<number | null>(resolve => child.once('close', resolve))
        return {code, stderr: stderr.replace('WARNING: current directory does not exist\n', '')}
      }

      await atlas('init', '--store', path.join(folder, 'state'))
      expect(await inDeleted('cluster', 'list', '--store', path.join(folder, 'state'))).to.deep.include({code: 0})
      const relative = await inDeleted('cluster', 'list', '--store', 'state')
      expect(relative).to.deep.include({code: 1})
      expect(relative.stderr).to.match(
        /^Error: the current directory does not exist any more.*\n {2}Hint: change to a directory that exists/,
      )
      const kubeconfig = await inDeleted('cluster', 'list', '--kubeconfig', 'config')
      expect(kubeconfig).to.deep.include({code: 5})
      expect(kubeconfig.stderr).to.match(/the kubeconfig config can't be read: the working directory does not exist any more/)
    }))

  it('an unknown command is wrong usage, in text and in JSON', async () => {
    const text = await atlas('clutser', 'list')
    expect(text.code).to.equal(2)
    expect(text.stderr).to.contain('clutser')
    expect(text.stdout).to.equal('')
    const json = await atlas('clutser', '--json')
    expect((JSON.parse(json.stdout) as {error: {code: string}}).error.code).to.equal('invalid')
  })
})

/** URLs of all modules that a run of `atlas` resolved. */
async function modulesOf(folder: string, args: readonly string[]): Promise<readonly string[]> {
  const [hook, log] = [path.join(folder, 'hook.mjs'), path.join(folder, 'modules.txt')]
  const text = `import {appendFileSync} from 'node:fs'
import {registerHooks} from 'node:module'
registerHooks({resolve(specifier, context, next) {
  const found = next(specifier, context)
  appendFileSync(${JSON.stringify(log)}, found.url + '\\n')
  return found
}})
`
  await writeFile(hook, text)
  const child = spawn(process.execPath, ['--import', pathToFileURL(hook).href, atlasBin, ...args], {stdio: 'ignore'})
  await new Promise(resolve => child.once('close', resolve))
  return (await readFile(log, 'utf8')).trim().split('\n')
}
