/** Runs commands as a user does: in a terminal, which shows stdout and stderr together, with answers to prompts. */
import {spawn} from 'node:child_process'
import {stripVTControlCharacters} from 'node:util'

export interface Seen {
  readonly code: number | null
  /** The final content of the screen. */
  readonly text: string
}

export interface Typed {
  /** The text to wait for … */
  readonly prompt: RegExp
  /** … and the answer to type then, with Enter. */
  readonly answer: string
}

/** Stops at the first command that fails, and after a minute. */
export async function onTerminal(
  commands: string,
  {cwd, env, typed, signal}: {readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly typed?: Typed; readonly signal?: AbortSignal},
): Promise<Seen> {
  // `script` gives its command a terminal; util-linux and Debian have it in the base system.
  const command = `stty columns 250; bash -eu -o pipefail -c ${quoted(commands)}`
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd,
    env: {TERM: 'xterm-256color', SHELL: '/bin/bash', ...env},
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 240_000,
    killSignal: 'SIGKILL',
    ...(signal !== undefined && {signal}),
  })
  let raw = ''
  let isTyped = typed === undefined
  child.stdin.on('error', () => undefined)
  child.stdout.setEncoding('utf8').on('data', chunk => {
    raw += String(chunk)
    if (isTyped || typed?.prompt.test(stripVTControlCharacters(raw)) !== true) return
    isTyped = true
    child.stdin.write(`${typed.answer}\r`)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return {code, text: screen(raw)}
}

/** The final lines: text that is written over an erased or returned line replaces it. */
function screen(raw: string): string {
  const escape = String.fromCodePoint(27)
  return raw
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map(line =>
      stripVTControlCharacters(
        line.split(new RegExp(`${escape}\\[(?:2K|G|1G)|\r`)).findLast(part => stripVTControlCharacters(part) !== '') ?? '',
      ),
    )
    .join('\n')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
