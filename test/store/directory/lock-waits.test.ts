/** Processes that hold the lock of a directory and do nothing: they are named, and no process waits without end. */
import {type ChildProcess, spawn} from 'node:child_process'
import {createHash} from 'node:crypto'
import {chmod, mkdir, rm, writeFile} from 'node:fs/promises'
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {startOf, isAlive} from '../../../src/lib/store/directory/process.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {until} from '../recorder.js'
import {folderOf, quickTimes} from './folder.js'

const endpoints = {kind: 'endpoints', value: {text: 'endpoints: []\n# new\n'}} as const

describe('store/directory: a writer that does not end', function () {
  this.timeout(60_000)
  const folder = folderOf()
  let child: ChildProcess | undefined

  /** A process that holds the lock for a commit. */
  async function holder(): Promise<number> {
    child = spawn('sleep', ['60'])
    const {pid = 0} = child
    await until(() => startOf(pid) !== '')
    await writeFile(folder.file('.commit.lock'), JSON.stringify({pid, start: startOf(pid), token: '0123456789abcdef'}))
    return pid
  }

  afterEach(() => child?.kill('SIGKILL'))

  it('is named with its pid, since when it writes, and that it is stopped; the command gives up', async () => {
    const pid = await holder()
    process.kill(pid, 'SIGSTOP')
    const store = folder.open({...quickTimes, lockMs: 8000, patienceMs: 100})
    const began = performance.now()
    const failed = rejectedBy(store.commit(await store.load(), [endpoints]))
    await until(() => store.warnings().length > 0)
    // After a second, and not when the wait is over.
    expect(performance.now() - began).to.be.lessThan(7000)
    expect(store.warnings().join()).to.match(
      new RegExp(`^nothing can be written: process ${pid} has been writing to .* since 20.*; it is stopped: .*kill -CONT ${pid}`),
    )
    const error = await failed
    expect(error).to.include({code: 'unreachable'})
    expect(error.message).to.contain(`process ${pid}`)
    // It is named until a later wait succeeds.
    expect(store.warnings()).to.have.length(1)
    child?.kill('SIGKILL')
    await until(() => !isAlive(pid, ''))
    await store.commit(await store.load(), [endpoints])
    expect(store.warnings()).to.deep.equal([])
  })

  it('that is stopped delays a removal by no more than the patience of a read, though a commit of this process waits for it, too', async () => {
    const lockMs = 10_000
    const store = folder.open({...quickTimes, lockMs, patienceMs: 100})
    const watch = await folder.watching(store)
    const pid = await holder()
    process.kill(pid, 'SIGSTOP')
    let isOver = false
    const failed = rejectedBy(store.commit(watch.fleet, [endpoints])).finally(() => (isOver = true))
    await until(() => store.warnings().length > 0)
    await rm(folder.file('service-paris.yaml'))
    await until(() => !watch.fleet.registrations.has(parseClusterName('paris')))
    expect(isOver, 'the commit still waits').to.equal(false)
    expect(await failed).to.include({code: 'unreachable'})
  })

  it('lets a commit follow that has waited for it beside reads', async () => {
    const store = folder.open({...quickTimes, patienceMs: 10_000})
    const watch = await folder.watching(store)
    const pid = await holder()
    const commits = [store.commit(watch.fleet, [endpoints]), store.load()] as const
    await until(() => store.warnings().length > 0)
    child?.kill('SIGKILL')
    await until(() => !isAlive(pid, ''))
    await Promise.all(commits)
    expect(watch.fleet.endpoints).to.deep.equal(endpoints.value)
    expect(await folder.names()).not.to.contain('.commit.lock')
  })

  it('that takes over the lock of a dead one is not waited for without end either', async () => {
    const pid = await holder()
    await writeFile(folder.file('.commit.lock'), 'of another program')
    // Its token is made of its text; the gate to take it away is held by a process that does nothing.
    const token = createHash('sha256').update('of another program').digest('hex').slice(0, 16)
    await writeFile(folder.file(`.commit.lock.${token}`), JSON.stringify({pid, start: startOf(pid), token: '0123456789abcdef'}))
    const store = folder.open({...quickTimes, lockMs: 500})
    const error = await rejectedBy(store.commit(await store.load(), [endpoints]))
    expect(error.message).to.contain(`process ${pid}`)
  })

  it('was killed, though its parent has not waited for it: a zombie holds nothing', async () => {
    // The shell becomes a sleep, which never waits for the child; the child outlives the shell, which would wait for it.
    child = spawn('sh', ['-c', 'sleep 1 & echo $!; exec sleep 60'])
    let said = ''
    child.stdout?.on('data', (data: Buffer) => (said += data.toString()))
    await until(() => said.includes('\n') && startOf(Number(said)) === '')
    const pid = Number(said)
    expect(() => process.kill(pid, 0)).not.to.throw()
    expect(isAlive(pid, '')).to.equal(false)
    for (const start of ['', '12345'])
      for (const lock of ['.commit.lock', '.serve.lock'])
        await writeFile(folder.file(lock), JSON.stringify({pid, start, token: '0123456789abcdef', note: {admin: 'http://127.0.0.1:6309'}}))
    expect(await folder.store.holder()).to.equal(undefined)
    await folder.store.commit(await folder.store.load(), [endpoints])
  })

  it('any user of the machine may be, where the directory is writable by all: that is warned of', async () => {
    await folder.store.load()
    expect(folder.store.warnings()).to.deep.equal([])
    await chmod(folder.directory, 0o777)
    await folder.store.load()
    expect(folder.store.warnings().join()).to.contain('every user of this machine').and.to.contain('chmod o-w')
  })

  it('a directory that all may write and that is no installation, such as /tmp, is not warned of', async () => {
    const shared = folder.file('shared')
    await mkdir(shared)
    await chmod(shared, 0o1777)
    const store = openDirectory({directory: shared})
    expect((await store.load()).settings).to.equal(undefined)
    expect(store.warnings()).to.deep.equal([])
  })
})
