/** For servers that a test starts as processes: a free port, and waiting until the server is ready. */
import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {setTimeout} from 'node:timers/promises'

/** A port of a host that has just been free. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Flags of `serve` for ports of 127.0.0.1 that are free, and the URL of its admin port. */
export async function servingFlags(): Promise<{readonly flags: readonly string[]; readonly admin: string}> {
  const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  // Its pages would be at the port beside --listen, which may be the one just chosen for --admin.
  return {flags: ['--listen', listen, '--pages-listen', '127.0.0.1:0', '--admin', admin], admin: `http://${admin}`}
}

/** Waits until the page answers 200, for a minute at most. @returns its last status */
export async function readiness(url: string): Promise<number> {
  const end = Date.now() + 60_000
  for (;;) {
    const status = await fetch(url).then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200 || Date.now() > end) return status
    await setTimeout(100)
  }
}
