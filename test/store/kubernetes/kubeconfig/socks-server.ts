/** A SOCKS 5 proxy that connects to this machine whatever host it is asked for. */
import {type Server, type Socket, connect, createServer} from 'node:net'

/** What one client asked for. */
export interface SocksRequest {
  /** HOST:PORT */
  readonly target: string
  /** USER:PASSWORD, as it was given; empty: none. */
  readonly login: string
}

/** Takes any user and password, and none. `passed` is told of each connection that it makes. */
export function socksServer(passed: (upstream: Socket, request: SocksRequest) => void): Server {
  return createServer(socket => {
    socket.on('error', () => undefined)
    serve(socket, passed).catch(() => socket.destroy())
  })
}

async function serve(socket: Socket, passed: (upstream: Socket, request: SocksRequest) => void): Promise<void> {
  const [, count = 0] = await take(socket, 2)
  const methods = await take(socket, count)
  let login = ''
  if (methods.includes(2)) {
    socket.write(Buffer.from([5, 2]))
    await take(socket, 1)
    login = `${await counted(socket)}:${await counted(socket)}`
    socket.write(Buffer.from([1, 0]))
  } else socket.write(Buffer.from([5, 0]))

  const [, , , type = 0] = await take(socket, 4)
  const host = type === 3 ? await counted(socket) : addressOf(await take(socket, type === 1 ? 4 : 16))
  const port = (await take(socket, 2)).readUInt16BE()
  const upstream = connect(port, '127.0.0.1', () => {
    passed(upstream, {target: `${host}:${port}`, login})
    socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    socket.pipe(upstream).pipe(socket)
  })
  upstream.on('error', () => socket.destroy())
  socket.on('close', () => upstream.destroy())
}

async function counted(socket: Socket): Promise<string> {
  const [length = 0] = await take(socket, 1)
  return (await take(socket, length)).toString()
}

function addressOf(bytes: Buffer): string {
  return bytes.length === 4 ? bytes.join('.') : `[${bytes.toString('hex')}]`
}

async function take(socket: Socket, count: number): Promise<Buffer> {
  if (count === 0) return Buffer.alloc(0)
  for (;;) {
    const bytes = socket.read(count) as Buffer | null
    if (bytes?.length === count) return bytes
    if (socket.destroyed) throw new Error('the client is gone')
    await new Promise<void>(resolve => {
      socket.once('readable', resolve)
      socket.once('close', () => resolve())
    })
  }
}
