/**
 * Programs that `npm run …` starts end with npm, also when npm is killed and can pass no signal on. What is killed leaves nothing open here,
 * even where programs that it had started hold its output open.
 */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import path from 'node:path'
import {expect} from 'chai'
import {PAST_LIMIT, runInForeground} from '../../scripts/setup/child.mjs'
import {waitFor} from '../../src/demo/lab/wait.js'

const child = path.join(import.meta.dirname, '../../scripts/setup/child.mjs')
const signal = new AbortController().signal

describe('runInForeground', function () {
  this.timeout(60_000)

  for (const killed of ['SIGKILL', 'SIGTERM'] as const)
    it(`ends its program when npm, its parent, gets ${killed}`, async () => {
      const {npm, pids} = await startBelow({npm_lifecycle_event: 'demo'})
      npm.kill(killed)
      await waitFor('both to end', async () => (pids.some(pid => isAlive(pid)) ? undefined : true), {signal, timeoutMs: 20_000})
    })

  const ends: readonly [string, (how: {onOutput: (text: Buffer) => void; abort: AbortController}) => Promise<unknown>][] = [
    ['at its limit', ({onOutput}) => runInForeground('sh', ['-c', holding], {onOutput, limit: 3000})],
    [
      'by a signal',
      ({onOutput, abort}) =>
        runInForeground('sh', ['-c', holding], {onOutput, signal: abort.signal}).catch((error: unknown) => (error as Error).name),
    ],
  ]
  for (const [how, run] of ends)
    it(`a program that is killed ${how} leaves no pipe open, though one that it started holds them`, async () => {
      const abort = new AbortController()
      let text = ''
      const pipes = openPipes()
      const running = run({onOutput: chunk => (text += chunk.toString()), abort})
      const pid = await waitFor('the program that holds the pipes', async () => (text.endsWith('\n') ? Number(text) : undefined), {
        signal,
        timeoutMs: 20_000,
      })
      abort.abort()
      expect(await running).to.equal(how === 'at its limit' ? PAST_LIMIT : 'AbortError')
      try {
        await waitFor('the pipes to be closed', async () => (openPipes() > pipes ? undefined : true), {signal, timeoutMs: 20_000})
        expect(isAlive(pid)).to.equal(true)
      } finally {
        process.kill(pid)
      }
    })
})

/** Starts a program that outlives it, says its process id, and has the same output. */
const holding = 'sleep 60 & echo $!; exec sleep 60'

function openPipes(): number {
  return process.getActiveResourcesInfo().filter(type => type === 'PipeWrap').length
}

/** Starts a process in the place of npm, below it one that calls `runInForeground`, and below that a program. */
async function startBelow(env: NodeJS.ProcessEnv): Promise<{npm: ChildProcess; pids: readonly number[]}> {
  const program = 'console.log(process.ppid, process.pid); setInterval(() => undefined, 1000)'
  const script = `import {runInForeground} from ${JSON.stringify(child)}; await runInForeground(process.execPath, ['-e', ${JSON.stringify(program)}])`
  const parent = `require('node:child_process').spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(script)}], {stdio: 'inherit'})`
  const npm = spawn(process.execPath, ['-e', parent], {env: {...process.env, ...env}, stdio: ['ignore', 'pipe', 'inherit']})
  const [line] = (await once(npm.stdout, 'data')) as [Buffer]
  const pids = String(line).trim().split(' ').map(Number)
  expect(pids.every(pid => isAlive(pid))).to.equal(true)
  return {npm, pids}
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
