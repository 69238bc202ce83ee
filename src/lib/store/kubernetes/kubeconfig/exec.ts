/** Runs the program that a kubeconfig names for credentials (client.authentication.k8s.io), and keeps what it gave until that expires. */
import {spawn} from 'node:child_process'
import {accessSync, constants, statSync} from 'node:fs'
import path from 'node:path'
import {isatty} from 'node:tty'
import {AtlasError} from '../../../model/errors.js'
import {type ExecCredential, decodeExecCredential, execInfo} from './exec-credential.js'
import type {ExecEntry} from './format.js'
import type {Target} from './select.js'

export interface ExecPlugin {
  /**
   * Runs the program where nothing valid is kept; callers that come meanwhile wait for the same run.
   * @param ca the certificate authority of the cluster as it is written
   * @throws AtlasError `unreachable`
   */
  credential(ca: string): Promise<ExecCredential>
}

/** A program that may ask nothing and is not done by then is killed, milliseconds: the log-in in a browser that it waits for won't come. */
const LIMIT = 300_000
/** More is no credential, bytes; the program is killed. */
const OUTPUT_MAX = 1024 * 1024

/** Nothing is run yet. */
export function openExecPlugin(exec: ExecEntry, target: Target): ExecPlugin {
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

async function run(exec: ExecEntry, target: Target, ca: string): Promise<ExecCredential> {
  const {as} = target
  const isInteractive = exec.interactiveMode !== 'Never' && isatty(0)
  if (exec.interactiveMode === 'Always' && !isInteractive)
    throw failed(as, `the program ${exec.command} must ask at a terminal, and standard input is none`, 'run the command at a terminal')
  const program = findProgram(exec.command)
  if (program === undefined) throw failed(as, `the program ${exec.command} is not installed`, installHint(exec))
  const given = Object.fromEntries(exec.env.map(({name, value}) => [name, value]))
  const env = {...process.env, ...given, KUBERNETES_EXEC_INFO: execInfo(exec, target, {ca, isInteractive})}
  // Its messages and questions are for the person at the terminal, as in kubectl.
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
  if (end !== undefined) throw failed(as, `the program ${exec.command} ${end}`, `what it printed is above; kubectl runs it as well`)
  const credential = decodeExecCredential(Buffer.concat(pieces).toString(), exec)
  if (typeof credential === 'string') throw failed(as, `the program ${exec.command} ${credential}`, 'update it')
  return credential
}

/** As Go looks for it: a path as it is, a name on Atlas's own PATH, but not where that is relative. */
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

/** What the kubeconfig says about installing it, on one line, printable. */
function installHint({installHint, command}: ExecEntry): string {
  const hint = installHint.replaceAll(/\s+/g, ' ').replaceAll(/\p{C}/gu, '').trim()
  return hint === '' ? `install ${command}, or put it on PATH; kubectl needs it as well` : hint
}

function failed(as: string, why: string, hint: string): AtlasError {
  return new AtlasError('unreachable', `cannot get credentials for ${as}: ${why}`, {hint})
}
