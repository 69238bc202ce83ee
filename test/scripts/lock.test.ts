/** The lock of the set-up: one process at a time; taken over from dead processes, never from living ones. */
import {spawn} from 'node:child_process'
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import {isAlive, readOwner, startOf, withLock} from '../../scripts/setup/lock.mjs'

describe('withLock', () => {
  let folder: string
  let file: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-lock-'))
    file = join(folder, 'a.lock')
  })
  afterEach(() => rmSync(folder, {recursive: true}))

  it('returns the result of the work, and is removed afterwards', async () => {
    expect(await withLock(file, async () => readOwner(file)?.pid)).to.equal(process.pid)
    expect(existsSync(file)).to.equal(false)
  })

  it('is removed after work that throws', async () => {
    const outcome = await withLock(file, () => Promise.reject(new Error('no'))).catch((error: unknown) => error)
    expect(outcome).to.be.an('error')
    expect(existsSync(file)).to.equal(false)
  })

  it('admits six processes one after the other', async function () {
    this.timeout(60_000)
    const counter = join(folder, 'counter')
    writeFileSync(counter, '0')
    const script = `
      import {readFileSync, writeFileSync} from 'node:fs'
      import {setTimeout} from 'node:timers/promises'
      import {withLock} from ${JSON.stringify(new URL('../../scripts/setup/lock.mjs', import.meta.url).href)}
      await withLock(${JSON.stringify(file)}, async () => {
        const before = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'))
        await setTimeout(30)
        writeFileSync(${JSON.stringify(counter)}, String(before + 1))
      })`
    const codes = await Promise.all(Array.from({length: 6}, () => run(script)))
    expect(codes).to.deep.equal([0, 0, 0, 0, 0, 0])
    expect(readFileSync(counter, 'utf8')).to.equal('6')
  })

  it('takes over from an owner that was killed', async () => {
    writeFileSync(file, JSON.stringify({pid: await deadPid(), started: '1'}))
    expect(await withLock(file, async () => 'done')).to.equal('done')
  })

  it('takes over where another process has got the same pid since', async function () {
    if (startOf(process.pid) === undefined) this.skip()
    writeFileSync(file, JSON.stringify({pid: process.pid, started: '1'}))
    expect(await withLock(file, async () => 'done')).to.equal('done')
  })

  it('takes over a file that names no process', async () => {
    writeFileSync(file, '')
    expect(await withLock(file, async () => 'done')).to.equal('done')
  })

  it('waits for a living owner and reports once which one', async () => {
    const waited: number[] = []
    let finish: () => void = () => undefined
    const first = withLock(file, () => new Promise<void>(resolve => (finish = resolve)))
    const second = withLock(
      file,
      async () => 'second',
      ({pid}) => {
        waited.push(pid)
        finish()
      },
    )
    await first
    expect(await second).to.equal('second')
    expect(waited).to.deep.equal([process.pid])
  })
})

describe('isAlive', () => {
  it('tells living processes from dead ones', async () => {
    expect(isAlive({pid: process.pid})).to.equal(true)
    expect(isAlive({pid: await deadPid()})).to.equal(false)
  })

  it('counts an invalid pid as dead', () => {
    for (const pid of [0, -1, Number.NaN, 1.5]) expect(isAlive({pid})).to.equal(false)
  })
})

function run(script: string): Promise<number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {stdio: 'inherit'})
  return new Promise(resolve => child.once('close', resolve))
}

/** The pid of a process that has just ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0'])
  await new Promise(resolve => child.once('close', resolve))
  return child.pid ?? 0
}
