/** What a test needs of a server that it starts as a process: a port that is free, and the moment when it is ready. */
import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {setTimeout} from 'node:timers/promises'

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The status that the page answers with, as soon as it is 200; after 20 s whatever it was last. */
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
