/** For servers that a test starts as processes: a free port, and waiting until the server is ready. */
import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {setTimeout} from 'node:timers/promises'

/** A port of 127.0.0.1 that has just been free. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Waits until the page answers 200, for 20 s at most. @returns its last status */
export async function readiness(url: string): Promise<number> {
  const end = Date.now() + 20_000
  for (;;) {
    const status = await fetch(url).then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200 || Date.now() > end) return status
    await setTimeout(100)
  }
}
