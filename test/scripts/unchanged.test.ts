import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import {unlessUnchanged} from '../../scripts/gate/unchanged.mjs'

describe('a step of the gate that has passed', () => {
  let folder: string
  let times: number
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-unchanged-'))
    mkdirSync(join(folder, 'src/room'), {recursive: true})
    writeFileSync(join(folder, 'src/room/a.ts'), 'one')
    times = 0
  })
  afterEach(() => rmSync(folder, {recursive: true}))

  const run = async (step = 'lint', work: () => void = () => undefined): Promise<number> => {
    await unlessUnchanged({folder, stamp: join(folder, 'node_modules', step)}, async () => {
      times += 1
      work()
    })
    return times
  }

  const messageOf = async (failing: Promise<unknown>): Promise<string> =>
    failing.then(
      () => 'it did not fail',
      (error: unknown) => (error as Error).message,
    )

  it('is left out until a file is changed, added, moved or removed', async () => {
    expect([await run(), await run()]).to.deep.equal([1, 1])
    writeFileSync(join(folder, 'src/room/a.ts'), 'two')
    expect([await run(), await run()]).to.deep.equal([2, 2])
    writeFileSync(join(folder, 'config.js'), '')
    expect([await run(), await run()]).to.deep.equal([3, 3])
    rmSync(join(folder, 'config.js'))
    writeFileSync(join(folder, 'other.js'), '')
    expect([await run(), await run()]).to.deep.equal([4, 4])
    rmSync(join(folder, 'other.js'))
    expect([await run(), await run()]).to.deep.equal([5, 5])
  })

  it('is done again where it failed, and where a file was changed meanwhile; another step is not left out for it', async () => {
    const failing = run('lint', () => {
      throw new Error('no')
    })
    expect(await messageOf(failing)).to.equal('no')
    expect(await run('lint', () => writeFileSync(join(folder, 'src/room/a.ts'), 'while it ran'))).to.equal(2)
    expect([await run(), await run()]).to.deep.equal([3, 3])
    expect(await run('imports')).to.equal(4)
  })

  it('is done again where it failed after it had passed', async () => {
    await run()
    writeFileSync(join(folder, 'src/room/a.ts'), 'wrong')
    const failing = run('lint', () => {
      throw new Error('no')
    })
    expect(await messageOf(failing)).to.equal('no')
    writeFileSync(join(folder, 'src/room/a.ts'), 'one')
    expect(await run()).to.equal(3)
  })
})
