/** The commands of docs/how-to/back-up-and-restore.md for a store in a directory, with a real server on it. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {readdir, rm, stat} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasBin, inFolder} from '../helpers/atlas.js'
import {type Block, blocksOf, shell} from '../helpers/page.js'
import {readiness, servingFlags} from '../helpers/serving.js'

describe('docs/how-to/back-up-and-restore.md, for a directory', function () {
  this.timeout(180_000)
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL')
  })

  it('a store that is lost under its server comes back with every key, mode and lock as it should be', () =>
    inFolder(async folder => {
      const [backUp, restore, ...others] = (await blocksOf('how-to/back-up-and-restore.md')).filter(
        ({heading}) => heading === 'A directory',
      )
      expect(others).to.deep.equal([])
      const store = path.join(folder, 'atlas-state')
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', '--store', store)

      const first = await serve(store)
      expect(await play(backUp, folder)).to.contain('complete')
      const before = await handedOut(store)
      for (const file of await readdir(store)) if (file.endsWith('.yaml')) await rm(path.join(store, file))
      expect((await atlas('cluster', 'list', '--store', store)).code).to.equal(3)
      await end(first)

      await play(restore, folder)
      expect((await readdir(store)).filter(name => name.startsWith('.'))).to.deep.equal(['.gitignore'])
      expect((await stat(path.join(store, 'secret-atlas-ca.yaml'))).mode & 0o777).to.equal(0o600)
      expect(await handedOut(store)).to.deep.equal(before)
      const second = await serve(store)
      expect(await handedOut(store)).to.deep.equal(before)
      await end(second)
    }))

  it('a copy that was written to meanwhile is not said to be complete', () =>
    inFolder(async folder => {
      const [backUp] = (await blocksOf('how-to/back-up-and-restore.md')).filter(({heading}) => heading === 'A directory')
      await atlas('init', '--store', path.join(folder, 'atlas-state'))
      const [copy, compare] = [backUp?.text.replace(/^diff.*\n/m, ''), /^diff.*$/m.exec(backUp?.text ?? '')?.[0]]
      expect((await shell(copy ?? '', {cwd: folder})).code).to.equal(0)
      await atlas('cluster', 'add', 'paris', '--store', path.join(folder, 'atlas-state'))
      const {code, stdout} = await shell(compare ?? '', {cwd: folder})
      expect(code).to.equal(1)
      expect(stdout).to.contain('service-paris.yaml').and.not.to.contain('complete')
    }))
})

/** Servers that a failed test has left. */
const running: ChildProcess[] = []

async function play(block: Block | undefined, folder: string): Promise<string> {
  expect(block?.language).to.equal('sh')
  const {code, stdout, stderr} = await shell(block?.text ?? '', {cwd: folder})
  expect(code, stderr).to.equal(0)
  return stdout
}

/** What clusters and their Envoys know of the installation. */
async function handedOut(store: string): Promise<readonly string[]> {
  const ran = [
    await atlas('cluster', 'show', 'paris', '--store', store),
    await atlas('cluster', 'values', 'paris', '--store', store, '--format', 'manifest'),
    await atlas('cluster', 'values', 'atlas', '--store', store, '--format', 'secret'),
  ]
  for (const {code, stderr} of ran) expect(code, stderr).to.equal(0)
  return ran.map(({stdout}) => stdout)
}

async function serve(store: string): Promise<ChildProcess> {
  const {flags, admin} = await servingFlags()
  const child = spawn(process.execPath, [atlasBin, 'serve', '--store', store, ...flags], {stdio: 'ignore'})
  running.push(child)
  expect(await readiness(`${admin}/readyz`)).to.equal(200)
  return child
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}
