/** The addresses on which a process listens, from the kernel (Linux). */
import {readFileSync, readdirSync, readlinkSync} from 'node:fs'

/** `ADDRESS:PORT` of every listening TCP socket over IPv4, sorted; a socket over IPv6 is an error: these tests bind none. */
export function listeningSockets(pid: number): readonly string[] {
  const own = new Set(inodes(pid))
  const ipv6 = rows('/proc/net/tcp6').filter(({inode}) => own.has(inode))
  if (ipv6.length > 0) throw new Error(`process ${pid} listens on IPv6: ${ipv6.map(({local}) => local).join(', ')}`)
  const found = rows('/proc/net/tcp').filter(({inode}) => own.has(inode))
  return [...new Set(found.map(({local}) => readable(local)))].sort()
}

const LISTEN = '0A'

function rows(file: string): readonly {readonly local: string; readonly inode: string}[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(1)
  return lines
    .map(line => line.trim().split(/\s+/))
    .filter(fields => fields[3] === LISTEN)
    .map(fields => ({local: fields[1] ?? '', inode: fields[9] ?? ''}))
}

function inodes(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).flatMap(name => /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${name}`))?.[1] ?? [])
}

/** Empty for a socket that was closed meanwhile. */
function linkOf(file: string): string {
  try {
    return readlinkSync(file)
  } catch {
    return ''
  }
}

/** The kernel writes an address as a number of this machine's byte order: `0100007F:26AD` -> `127.0.0.1:9901`. */
function readable(local: string): string {
  const [host = '', port = ''] = local.split(':')
  const bytes = [...Buffer.from(host, 'hex')].reverse()
  return `${bytes.join('.')}:${Number.parseInt(port, 16)}`
}
