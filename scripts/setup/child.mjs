/** Runs other programs: in the foreground on this terminal, or quietly with their output kept. */
import {spawn} from 'node:child_process'
import {constants} from 'node:os'

/** What `runInForeground` resolves to instead of an exit code when the program ran longer than its limit. */
export const PAST_LIMIT = 'past limit'

/**
 * Runs a program on this terminal and resolves to its exit code (128 + signal when it was killed).
 * The terminal sends Ctrl-C to it directly; SIGTERM and SIGHUP are passed on.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & {onOutput?: (text: Buffer) => void, limit?: number}} [options]
 *   `onOutput` gets what it writes, which is then not shown on the terminal; after `limit` milliseconds it is killed;
 *   spawn's `signal` kills it, and the promise is rejected
 * @returns {Promise<number | PAST_LIMIT>}
 */
export async function runInForeground(command, args, {onOutput, limit, ...options} = {}) {
  const child = spawn(command, args, {stdio: onOutput === undefined ? 'inherit' : ['inherit', 'pipe', 'pipe'], ...options})
  for (const stream of onOutput === undefined ? [] : [child.stdout, child.stderr]) stream.on('data', onOutput)
  const forward = signal => child.kill(signal)
  const stay = () => undefined
  process.on('SIGINT', stay).on('SIGTERM', forward).on('SIGHUP', forward)
  const orphaned = onNpmGone(() => forward('SIGTERM'))
  let limitTimer
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal]))
      if (limit === undefined) return
      limitTimer = setTimeout(() => {
        // 'close' can be long in coming: programs that the killed one had started may hold its output open.
        child.once('exit', () => resolve(PAST_LIMIT))
        child.kill('SIGKILL')
      }, limit)
    })
  } finally {
    clearTimeout(limitTimer)
    clearInterval(orphaned)
    // Where the child was killed they may be open still, and would keep this process alive.
    child.stdout?.destroy()
    child.stderr?.destroy()
    process.off('SIGINT', stay).off('SIGTERM', forward).off('SIGHUP', forward)
  }
}

/** npm that is killed passes no signal on: its script gets another parent. Outside of npm a new parent means nothing, as after `nohup`. */
function onNpmGone(end) {
  const parent = process.ppid
  if (process.env.npm_lifecycle_event === undefined) return undefined
  return setInterval(() => process.ppid !== parent && end(), 1000).unref()
}

/**
 * Runs a program quietly and resolves to its standard output.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & {onLine?: (line: string) => void, keep?: number}} [options]
 *   `onLine` gets each line as it comes; `keep` is how many of the last ones an error shows
 * @returns {Promise<string>}
 * @throws {Error} when it can't be started or fails; the message ends with the last lines it wrote
 */
export async function runQuietly(command, args, {onLine = () => undefined, keep = 15, ...options} = {}) {
  const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe'], ...options})
  let out = ''
  const all = lines(onLine, keep)
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text
    all.push(text)
  })
  child.stderr.setEncoding('utf8').on('data', all.push)
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', error => reject(new Error(`${command} can't be started: ${error.message}`, {cause: error})))
    child.once('close', (...ended) => resolve(ended))
  })
  if (code !== 0) throw new Error([`${[command, ...args].join(' ')} ended with ${signal ?? `code ${code}`}`, ...all.last()].join('\n  '))
  return out
}

function lines(onLine, keep) {
  let rest = ''
  const kept = []
  return {
    push(text) {
      const parts = (rest + text).split('\n')
      rest = parts.pop()
      for (const line of parts) {
        kept.push(line)
        if (kept.length > keep) kept.shift()
        onLine(line)
      }
    },
    last: () => [...kept, rest].filter(line => line.trim() !== ''),
  }
}
