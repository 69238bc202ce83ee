/** Passes connections to 127.0.0.1 on to another loopback address: browsers take every name below `localhost` for 127.0.0.1. */
import {type AddressInfo, type Server, type Socket, connect, createServer} from 'node:net'
import type {HostPort} from '../../lib/model/address.js'

export interface Relay {
  readonly at: HostPort
  close(): Promise<void>
}

/** Listens on the same port as `to`, or on any where that is taken. @throws Error when this machine has no free port */
export async function relayFromLocalhost(to: HostPort): Promise<Relay> {
  const open = new Set<Socket>()
  const server = createServer(inner => {
    const outer = connect(to)
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await listen(server, to.port).catch(async () => listen(server, 0))
  server.unref()
  return {
    at: {host: HOST, port: (server.address() as AddressInfo).port},
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const HOST = '127.0.0.1'

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({host: HOST, port, exclusive: true}, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
