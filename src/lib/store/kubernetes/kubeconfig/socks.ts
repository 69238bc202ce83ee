/** SOCKS 5 (RFC 1928), with user and password (RFC 1929): asks a proxy for a connection. The proxy resolves names, as in Go. */
import {type Socket, isIP} from 'node:net'
import type {Proxy} from './proxy.js'

const VERSION = 5
const NO_AUTHENTICATION = 0
const USERNAME_PASSWORD = 2
const CONNECT = 1
const NAME = 3
/** Of an address of each type, bytes; a name begins with its length. */
const LENGTHS: Readonly<Record<number, number>> = {1: 4, 4: 16}
const REFUSALS: readonly string[] = [
  '',
  'a general failure',
  'its rules forbid it',
  'the network is unreachable',
  'the host is unreachable',
  'the connection is refused',
  'the connection timed out',
]

/** Resolves when bytes on `socket` go to the target. */
export async function requestSocks(
  socket: Socket,
  {username, password}: Proxy,
  {host, port}: {readonly host: string; readonly port: number},
): Promise<void> {
  const isNamed = username !== '' || password.reveal() !== ''
  const methods = isNamed ? [NO_AUTHENTICATION, USERNAME_PASSWORD] : [NO_AUTHENTICATION]
  socket.write(Buffer.from([VERSION, methods.length, ...methods]))
  const [version, method] = await take(socket, 2)
  if (version !== VERSION) throw new Error('it does not speak SOCKS 5')
  if (method === USERNAME_PASSWORD && isNamed) {
    socket.write(Buffer.concat([Buffer.from([1]), counted(username), counted(password.reveal())]))
    const [, status] = await take(socket, 2)
    if (status !== 0) throw new Error('it does not accept the user and password')
  } else if (method !== NO_AUTHENTICATION) throw new Error('it wants a user and password')

  socket.write(Buffer.concat([Buffer.from([VERSION, CONNECT, 0]), destination(host), Buffer.from([port >> 8, port & 255])]))
  const [, refusal = 1, , type = 1] = await take(socket, 4)
  if (refusal !== 0) throw new Error(`it refuses: ${REFUSALS[refusal] ?? `code ${refusal}`}`)
  const [length = 0] = type === NAME ? await take(socket, 1) : [LENGTHS[type]]
  await take(socket, length + 2)
}

function destination(host: string): Buffer {
  const family = isIP(host)
  if (family === 4) return Buffer.from([1, ...host.split('.').map(Number)])
  if (family === 6) return Buffer.concat([Buffer.from([4]), ipv6Bytes(host)])
  return Buffer.concat([Buffer.from([NAME]), counted(host)])
}

/** A URL has it in its shortest form, without dots. */
function ipv6Bytes(host: string): Buffer {
  const [head = '', tail] = host.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const all = [...first, ...Array.from({length: 8 - first.length - last.length}, () => '0'), ...last]
  return Buffer.from(all.map(group => group.padStart(4, '0')).join(''), 'hex')
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length > 255) throw new Error('a name, user or password is longer than SOCKS 5 can send')
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** The next bytes, so many. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(count) as Buffer | null
    if (bytes?.length === count) return bytes
    if (bytes !== null || socket.destroyed) throw new Error('it closed the connection')
    await new Promise<void>((resolve, reject) => {
      const done = (settle: () => void) => (): void => {
        socket.off('readable', onReadable)
        socket.off('error', reject)
        socket.off('close', onClose)
        settle()
      }

      const onReadable = done(resolve)
      const onClose = done(() => reject(new Error('it closed the connection')))
      socket.once('readable', onReadable)
      socket.once('error', reject)
      socket.once('close', onClose)
    })
  }
}
