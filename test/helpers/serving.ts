/** For servers that a test starts as processes: a free port, and waiting until the server is ready. */
import {randomInt} from 'node:crypto'
import {createServer} from 'node:net'
import {setTimeout} from 'node:timers/promises'

/**
 * Ports that neither the kernel gives to a connection or to a server that names none (from 32768 on), nor the layout `one` of
 * src/demo/lab/sites.ts uses (from 20000 on): until a program binds the port that was found free, hardly any takes it by chance.
 */
const [FIRST, END] = [14_000, 20_000]
/** Of these each process has a slice, by its number, so that two lanes are hardly given the same port. */
const SLICES = 10
/** Those that this process has been given, none of them twice; and those that tests use as fixed ports. */
const given = new Set<number>([15_353, 19_291, 19_900, 19_901])

/** A port of a host that has just been free. @throws Error where this machine does not have that address */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = anyPort()
    if (given.has(port) || !(await isFree(host, port))) continue
    given.add(port)
    return port
  }
}

/** A port that no program is likely to have. */
export function anyPort(): number {
  const width = (END - FIRST) / SLICES
  const first = FIRST + (process.pid % SLICES) * width
  return randomInt(first, first + width)
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)))
    server.listen({host, port, exclusive: true}, () => server.close(() => resolve(true)))
  })
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
