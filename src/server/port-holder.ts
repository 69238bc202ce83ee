/** Finds the process that listens on a port, for an error message, in /proc. Where there is none, the demo asks lsof; a server starts no program. */
import {readFileSync, readdirSync, readlinkSync} from 'node:fs'
import {isIPv4} from 'node:net'
import path from 'node:path'
import {printable} from '../lib/model/printable.js'

export interface HeldPort {
  /** An IP address; of one of IPv6 only a process that listens on every address is found. */
  readonly host: string
  readonly port: number
  readonly protocol: 'tcp' | 'udp'
}

export interface Holder {
  /** Undefined where it is not known. */
  readonly name: string | undefined
  readonly pid: number
}

/** ` (held by envoy, process 4711)`, or an empty text where the process is not known. */
export function renderHolder(holder: Holder | undefined): string {
  if (holder === undefined) return ''
  return ` (held by ${holder.name === undefined ? '' : `${holder.name}, `}process ${holder.pid})`
}

/** Undefined where the process can't be found, or there is no /proc. */
export function holderInProc(held: HeldPort): Holder | undefined {
  const tables = [`/proc/net/${held.protocol}`, `/proc/net/${held.protocol}6`]
  const inodes = new Set(tables.flatMap(table => inodesOf(table, held)))
  if (inodes.size === 0) return undefined
  for (const pid of entries('/proc').filter(name => /^\d+$/.test(name))) {
    const isHolder = entries(`/proc/${pid}/fd`).some(handle => inodes.has(inodeOf(`/proc/${pid}/fd/${handle}`)))
    if (isHolder) return {pid: Number(pid), name: nameOf(text(`/proc/${pid}/comm`).trim(), text(`/proc/${pid}/cmdline`))}
  }

  return undefined
}

/**
 * The name of a process. Each Node calls itself MainThread: of that the program, its script and the subcommand are named. Other words of the
 * command line are not, since one may be a password.
 * @param command of /proc: words that end with a NUL each
 */
export function nameOf(name: string, command: string): string | undefined {
  if (name !== 'MainThread') return name === '' ? undefined : printable(name)
  const [program = '', ...words] = command.split('\0')
  if (program === '') return undefined
  const at = words.findIndex(word => SCRIPT.test(word))
  const [script, subcommand = ''] = at < 0 ? [] : words.slice(at)
  const shown = [
    path.basename(program),
    ...(script === undefined ? [] : [path.isAbsolute(script) ? `…/${script.split('/').slice(-2).join('/')}` : script]),
    ...(/^[a-z][a-z-]{0,20}$/.test(subcommand) ? [subcommand] : []),
  ]
  const whole = shown.join(' ')
  return printable(whole.length > LONGEST ? `${whole.slice(0, LONGEST - 1)}…` : whole)
}

const SCRIPT = /(^|\/)(atlas|goatlas|[^/]+\.[cm]?[jt]s)$/
const LONGEST = 80

/**
 * Lines of /proc/net/tcp: `sl local_address rem_address st … inode`. Addresses are hexadecimal with the bytes reversed; all zeros means
 * every address. State 0A is a listening socket (UDP: 07).
 */
function inodesOf(table: string, {host, port, protocol}: HeldPort): readonly string[] {
  // Who wants every address is refused by a process that listens on any.
  const own = ['::', '0.0.0.0'].includes(host) ? '[0-9A-F]+' : isIPv4(host) ? hexadecimal(host) : '0+'
  const wanted = new RegExp(`^(${own}|0+):${port.toString(16).toUpperCase().padStart(4, '0')}$`)
  const state = protocol === 'tcp' ? '0A' : '07'
  const rows = text(table)
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
  return rows.filter(row => wanted.test(row[1] ?? '') && row[3] === state).flatMap(row => (row[9] === undefined ? [] : [row[9]]))
}

function hexadecimal(host: string): string {
  return Buffer.from(host.split('.').reverse().map(Number)).toString('hex').toUpperCase()
}

function inodeOf(handle: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(handle))?.[1] ?? ''
  } catch {
    return ''
  }
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
