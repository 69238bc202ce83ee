import {expect} from 'chai'
import {spawn} from 'node:child_process'
import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, readFile} from 'node:fs/promises'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {type Running, openSupervisor} from '../../../src/demo/lab/processes.js'
import {FOLDER_PREFIX, openRegistry, endLeftovers} from '../../../src/demo/lab/registry.js'
import {waitFor} from '../../../src/demo/lab/wait.js'
import type {AtlasError} from '../../../src/lib/model/errors.js'
import {inFolder} from '../../helpers/atlas.js'
import {rejectedBy} from '../../helpers/thrown.js'

const signal = new AbortController().signal
const shell = (name: string, script: string) => ({name, program: '/bin/sh', args: ['-c', script]})

describe('demo/processes', function () {
  this.timeout(60_000)

  it('keeps the output of a program, and stops it', () =>
    inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: false})
      const running = await supervisor.start(shell('talker', 'echo hello; echo world >&2; sleep 60'))
      await waitFor('its words', async () => ((await readFile(running.log, 'utf8')).includes('world') ? true : undefined), {
        signal,
        timeoutMs: 30_000,
      })
      await supervisor.stopAll()
      expect(isAlive(running)).to.equal(false)
      expect(supervisor.crashed.aborted).to.equal(false)
      expect(await readFile(running.log, 'utf8')).to.equal('hello\nworld\n')
    }))

  it('reports a crash, with the last lines of the log', () =>
    inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: false})
      const running = await supervisor.start(shell('crasher', 'echo first; echo out of luck >&2; exit 3'))
      await running.ended
      const reason = supervisor.crashed.reason as AtlasError
      expect(reason.message).to.equal('crasher ended unexpectedly (exit code 3); its log ends with:\n  first\n  out of luck')
      await supervisor.stopAll()
    }))

  it('stops a program that ignores TERM, and the children of a program', () =>
    inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: false})
      const running = await supervisor.start(shell('stubborn', 'trap "" TERM; sleep 60 & echo $!; wait; sleep 60'))
      const child = await waitFor('its child', async () => Number((await readFile(running.log, 'utf8')).trim()) || undefined, {
        signal,
        timeoutMs: 30_000,
      })
      await running.stop(200)
      await waitFor('its child to end', async () => (isAlive({pid: child}) ? undefined : true), {signal, timeoutMs: 30_000})
      await supervisor.stopAll()
    }))

  it('names a program that can not be started', () =>
    inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: false})
      const error = await rejectedBy(supervisor.start({name: 'nothing', program: path.join(folder, 'nothing'), args: []}))
      expect(error.message).to.contain('nothing could not be started from')
      await supervisor.stopAll()
    }))

  it('leaves no process behind when the supervisor is killed', () =>
    inFolder(async parent => {
      const {folder, demo, child} = await startVictim(parent)
      process.kill(demo, 'SIGKILL')
      await waitFor('the guard', async () => (isAlive({pid: child}) || existsSync(folder) ? undefined : true), {signal, timeoutMs: 45_000})
    }))

  it('stops, at the next start, the programs of a supervisor that was killed with its guard', () =>
    inFolder(async parent => {
      const {folder, demo, child, guard} = await startVictim(parent)
      process.kill(guard, 'SIGKILL')
      process.kill(demo, 'SIGKILL')
      await waitFor('the victim to end', async () => (isAlive({pid: demo}) ? undefined : true), {signal, timeoutMs: 30_000})
      expect(isAlive({pid: child})).to.equal(true)
      expect(endLeftovers(parent)).to.deep.equal([folder])
      await waitFor('the child to end', async () => (isAlive({pid: child}) ? undefined : true), {signal, timeoutMs: 30_000})
      expect(existsSync(folder)).to.equal(false)
    }))

  it('leaves the folder of a running demo alone, and a folder without a list', () =>
    inFolder(async parent => {
      const living = await mkdtemp(path.join(parent, FOLDER_PREFIX))
      openRegistry(living)
      await mkdir(path.join(parent, `${FOLDER_PREFIX}empty`))
      expect(endLeftovers(parent)).to.deep.equal([])
    }))
})

/** A process like the demo: a supervisor on a folder below `parent`, with one child. */
async function startVictim(parent: string): Promise<{folder: string; demo: number; child: number; guard: number}> {
  const folder = await mkdtemp(path.join(parent, FOLDER_PREFIX))
  const victim = fileURLToPath(new URL('victim.ts', import.meta.url))
  const demo = spawn(process.execPath, ['--import', 'tsx', victim, folder], {stdio: ['ignore', 'pipe', 'inherit']})
  const line = await new Promise<string>(resolve => demo.stdout.once('data', chunk => resolve(String(chunk))))
  const {child, guard} = JSON.parse(line) as {child: number; guard: number}
  return {folder, demo: demo.pid ?? 0, child, guard}
}

function isAlive({pid}: Pick<Running, 'pid'>): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
