/** Finds the process that listens on a port, for an error message: in /proc, or with lsof where there is no /proc. */
import {execFileSync} from 'node:child_process'
import {readFileSync, readdirSync, readlinkSync} from 'node:fs'

export interface HeldPort {
  /** An IPv4 address. */
  readonly host: string
  readonly port: number
  readonly protocol: 'tcp' | 'udp'
}

/** ` (held by envoy, process 4711)`, or an empty text where the process can't be found. */
export function holderOf(held: HeldPort): string {
  const holder = process.platform === 'linux' ? fromProc(held) : fromLsof(held)
  return holder === undefined ? '' : ` (held by ${holder.name}, process ${holder.pid})`
}

interface Holder {
  readonly name: string
  readonly pid: number
}

function fromProc(held: HeldPort): Holder | undefined {
  const tables = [`/proc/net/${held.protocol}`, `/proc/net/${held.protocol}6`]
  const inodes = new Set(tables.flatMap(table => inodesOf(table, held)))
  if (inodes.size === 0) return undefined
  for (const pid of entries('/proc').filter(name => /^\d+$/.test(name))) {
    const isHolder = entries(`/proc/${pid}/fd`).some(handle => inodes.has(inodeOf(`/proc/${pid}/fd/${handle}`)))
    if (isHolder) return {pid: Number(pid), name: text(`/proc/${pid}/comm`).trim()}
  }

  return undefined
}

/**
 * Lines of /proc/net/tcp: `sl local_address rem_address st … inode`. Addresses are hexadecimal with the bytes reversed; all zeros means
 * every address. State 0A is a listening socket (UDP: 07).
 */
function inodesOf(table: string, {host, port, protocol}: HeldPort): readonly string[] {
  const address = Buffer.from(host.split('.').reverse().map(Number)).toString('hex').toUpperCase()
  const wanted = new RegExp(`^(${address}|0+):${port.toString(16).toUpperCase().padStart(4, '0')}$`)
  const state = protocol === 'tcp' ? '0A' : '07'
  const rows = text(table)
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
  return rows.filter(row => wanted.test(row[1] ?? '') && row[3] === state).flatMap(row => (row[9] === undefined ? [] : [row[9]]))
}

function inodeOf(handle: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(handle))?.[1] ?? ''
  } catch {
    return ''
  }
}

function fromLsof({port, protocol}: HeldPort): Holder | undefined {
  const only = protocol === 'tcp' ? ['-sTCP:LISTEN'] : []
  try {
    const output = execFileSync('lsof', ['-nP', `-i${protocol.toUpperCase()}:${port}`, ...only, '-Fpc'], {encoding: 'utf8'})
    const pid = /^p(\d+)$/m.exec(output)?.[1]
    const name = /^c(.+)$/m.exec(output)?.[1]
    return pid === undefined ? undefined : {pid: Number(pid), name: name ?? 'a program'}
  } catch {
    return undefined
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
