/** Runs the program that a kubeconfig names for credentials (client.authentication.k8s.io), and keeps what it gave until that expires. */
import {accessSync, constants, statSync} from 'node:fs'
import path from 'node:path'
import {isatty} from 'node:tty'
import {type ExecCredential, decodeExecCredential, execInfo} from './exec-credential.js'
import type {ExecEntry} from './format.js'
import type {KubeconfigTarget} from './select.js'
import {withoutCredentials} from './unusable.js'

export interface ExecPlugin {
  /**
   * Runs the program where nothing valid is kept; callers that come meanwhile wait for the same run.
   * @param ca the certificate authority of the cluster as it is written
   * @throws AtlasError `unreachable`
   */
  credential(ca: string): Promise<ExecCredential>
}

/** After this, milliseconds, a program that can't ask at a terminal is killed: a log-in that it waits for would have come by then. */
const LIMIT = 300_000
/** A program that prints more bytes than this is killed: a credential is shorter. */
const OUTPUT_MAX = 1024 * 1024

/** Runs nothing yet. */
export function openExecPlugin(exec: ExecEntry, target: KubeconfigTarget): ExecPlugin {
  let kept: ExecCredential | undefined
  let running: Promise<ExecCredential> | undefined
  return {
    async credential(ca) {
      if (kept !== undefined && (kept.expiresAt === undefined || Date.now() <= kept.expiresAt)) return kept
      running ??= run(exec, target, ca).finally(() => (running = undefined))
      kept = await running
      return kept
    },
  }
}

async function run(exec: ExecEntry, target: KubeconfigTarget, ca: string): Promise<ExecCredential> {
  const {as} = target
  const isInteractive = exec.interactiveMode !== 'Never' && isatty(0)
  if (exec.interactiveMode === 'Always' && !isInteractive)
    throw withoutCredentials(
      as,
      `the program ${exec.command} must ask at a terminal, and standard input is none`,
      'run the command at a terminal',
    )
  const program = findProgram(exec.command)
  if (program === undefined) throw withoutCredentials(as, `the program ${exec.command} is not installed`, installHint(exec))
  const given = Object.fromEntries(exec.env.map(({name, value}) => [name, value]))
  const env = {...process.env, ...given, KUBERNETES_EXEC_INFO: execInfo(exec, target, {ca, isInteractive})}
  // Most commands need no program.
  const {spawn} = await import('node:child_process')
  // The program's stderr goes to the person at the terminal, as in kubectl: it may hold a code to log in with.
  const child = spawn(program, exec.args, {env, stdio: [isInteractive ? 'inherit' : 'ignore', 'pipe', 'inherit'], killSignal: 'SIGKILL'})
  const limit = isInteractive ? undefined : setTimeout(() => child.kill('SIGKILL'), LIMIT)
  const pieces: Buffer[] = []
  let size = 0
  child.stdout.on('data', (piece: Buffer) => {
    size += piece.length
    if (size > OUTPUT_MAX) child.kill('SIGKILL')
    else pieces.push(piece)
  })
  const end = await new Promise<string | undefined>(resolve => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(`can't be started (${error.code ?? error.name})`))
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : `failed with ${code === null ? String(signal) : `exit code ${code}`}`),
    )
  })
  clearTimeout(limit)
  if (end !== undefined)
    throw withoutCredentials(as, `the program ${exec.command} ${end}`, 'what it printed is above; kubectl runs it as well')
  const credential = decodeExecCredential(Buffer.concat(pieces).toString(), exec)
  if (typeof credential === 'string')
    throw withoutCredentials(as, `the program ${exec.command} ${credential}`, `check what "${exec.command}" prints, or update it`)
  return credential
}

/** The program's file, found as Go finds it: a path is taken as it is, a name is looked up in the absolute directories of Atlas's own PATH. */
function findProgram(command: string): string | undefined {
  const isPath = command.includes(path.sep)
  const directories = isPath ? [''] : (process.env['PATH'] ?? '').split(path.delimiter).filter(directory => path.isAbsolute(directory))
  return directories.map(directory => path.join(directory, command)).find(file => isExecutable(file))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** The kubeconfig's hint on installing the program, on one line, without control characters. */
function installHint({installHint, command}: ExecEntry): string {
  const hint = installHint.replaceAll(/\s+/g, ' ').replaceAll(/\p{C}/gu, '').trim()
  return hint === '' ? `install ${command}, or put it on PATH; kubectl needs it as well` : hint
}
