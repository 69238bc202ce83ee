/** Runs commands as a reader does: in a terminal, which shows standard output and errors together, and with an answer where one is asked. */
import {spawn} from 'node:child_process'
import {stripVTControlCharacters} from 'node:util'

export interface Seen {
  readonly code: number | null
  /** What stands on the screen in the end. */
  readonly text: string
}

export interface Typed {
  /** What is waited for … */
  readonly prompt: RegExp
  /** … and typed then, with Enter. */
  readonly answer: string
}

/** The commands are stopped at the first that fails, and after a minute. */
export async function onTerminal(
  commands: string,
  {cwd, env, typed}: {readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly typed?: Typed},
): Promise<Seen> {
  // `script` gives its command a terminal of its own; util-linux and Debian have it in the base system
  const command = `stty columns 250; bash -eu -o pipefail -c ${quoted(commands)}`
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd,
    env: {TERM: 'xterm-256color', SHELL: '/bin/bash', ...env},
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
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

/** Lines as they stand in the end: what was written over an erased or returned line replaces it. */
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
