/** `npm run demo -- --clean` deletes the cache, and nothing that is in use. */
import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import {root} from '../../scripts/setup/checkout.mjs'

describe('npm run demo -- --clean', () => {
  let cache: string
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'atlas-cache-'))
    for (const folder of ['programs', 'releases', 'of a person']) {
      mkdirSync(join(cache, folder))
      writeFileSync(join(cache, folder, 'file'), '')
    }
  })
  afterEach(() => rmSync(cache, {recursive: true}))

  function clean(...more: readonly string[]): {readonly status: number | null; readonly said: string} {
    const {status, stderr} = spawnSync(process.execPath, [join(root, 'scripts/launch.mjs'), 'demo', '--clean', ...more], {
      env: {...process.env, ATLAS_CACHE: cache},
      encoding: 'utf8',
    })
    return {status, said: stderr}
  }

  it('deletes what Atlas has put there, and says where', () => {
    expect(clean()).to.deep.equal({status: 0, said: `atlas: deleted all that was downloaded and built in ${cache}\n`})
    expect(['programs', 'releases', 'of a person'].filter(folder => existsSync(join(cache, folder)))).to.deep.equal(['of a person'])
  })

  it('deletes nothing beside another flag, which would not be followed', () => {
    const {status, said} = clean('--once')
    expect({status, said}).to.deep.equal({
      status: 1,
      said: "atlas: '--clean' deletes what the demo has downloaded and starts nothing: use it alone\n",
    })
    expect(existsSync(join(cache, 'programs/file'))).to.equal(true)
  })

  if (process.platform === 'linux')
    it('deletes nothing while a program runs from it', async () => {
      const program = join(cache, 'programs', 'sleep')
      copyFileSync('/bin/sleep', program)
      const running = spawn(program, ['60'])
      await once(running, 'spawn')
      try {
        const {status, said} = clean()
        expect({status, said}).to.deep.equal({
          status: 1,
          said: `atlas: the cache is in use by process ${running.pid ?? 0}: wait for it or stop it, then run again\n`,
        })
        expect(existsSync(program)).to.equal(true)
      } finally {
        running.kill()
        await once(running, 'exit')
      }
    })
})
