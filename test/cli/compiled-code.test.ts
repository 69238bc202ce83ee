/** Where the program keeps compiled code: a user who may write there decides which code runs. */
import {execFile} from 'node:child_process'
import {chmod, mkdir, mkdtemp, readdir, rm, stat, symlink} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {promisify} from 'node:util'
import {expect} from 'chai'

const program = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

describe('cli: compiled code', function () {
  this.timeout(60_000)
  let home = ''
  beforeEach(async () => (home = await mkdtemp(path.join(tmpdir(), 'atlas-home-'))))
  afterEach(async () => rm(home, {recursive: true, force: true}))

  const compiled = (): string => path.join(home, '.cache/atlas/compiled')
  const help = async (more: NodeJS.ProcessEnv = {}): Promise<void> => {
    const env = {PATH: process.env['PATH'], HOME: home, TMPDIR: home, ...more}
    await promisify(execFile)(process.execPath, [program, 'init', '--help'], {env})
  }

  it('is kept for this user alone, and not below the folder of temporary files', async () => {
    await help()
    expect(((await stat(compiled())).mode & 0o777).toString(8)).to.equal('700')
    expect(await readdir(compiled())).to.have.length(1)
    expect(await readdir(home)).to.deep.equal(['.cache'])
  })

  it('is not kept where others may write, through a link, or without a place', async () => {
    await mkdir(path.dirname(compiled()), {recursive: true})
    const other = path.join(home, 'other')
    await mkdir(other)
    await symlink(other, compiled())
    await help()
    expect(await readdir(other)).to.deep.equal([])
    await rm(compiled())
    await mkdir(compiled())
    await chmod(compiled(), 0o777)
    await help()
    expect(await readdir(compiled())).to.deep.equal([])
    await help({HOME: '/proc/none'})
  })

  it('is kept nowhere where Node is told so, and where Node is told to', async () => {
    await help({NODE_DISABLE_COMPILE_CACHE: '1'})
    expect(await readdir(home)).to.deep.equal([])
    await help({NODE_COMPILE_CACHE: path.join(home, 'chosen')})
    expect(await readdir(home)).to.deep.equal(['chosen'])
  })
})
