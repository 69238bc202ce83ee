/** The load of `load/` (Go): builds the program, starts its servers, and has its clients measure. */
import {type ChildProcess, spawn} from 'node:child_process'
import path from 'node:path'
import readline from 'node:readline'
import {fileURLToPath} from 'node:url'
import {goCommand} from '../scripts/programs/go.mjs'
import {type HostPort, renderHostPort} from '../src/lib/model/address.js'
import {ended} from './atlas-process.js'

/** What clients ask for: see `order` of `load/main.go`. */
export interface Order {
  readonly kind: 'calls' | 'pages' | 'stream'
  readonly at: string
  readonly authority: string
  readonly path: string
  readonly connections: number
  /** Calls under way on one connection. */
  readonly streams?: number
  readonly seconds?: number
  /** Of one answer, without its headers. */
  readonly bytes?: number
  readonly body?: string
  /** Milliseconds between two requests of a connection; without it, the next one follows at once. */
  readonly everyMs?: number
}

export interface Result {
  readonly done: number
  readonly bytes: number
  readonly seconds: number
  readonly medianUs: number
  readonly p99Us: number
  /** How many had which status, of HTTP or of gRPC. */
  readonly statuses: Readonly<Record<string, number>>
  readonly error?: string
}

/** Compiles the program into `folder`. @returns its path */
export async function buildLoad(folder: string): Promise<string> {
  const program = path.join(folder, 'load')
  const ignored = (): void => undefined
  const go = await goCommand({log: ignored, set: ignored, fail: ignored, done: ignored, read: () => ({})})
  await go(['build', '-o', program, '.'], {cwd: fileURLToPath(new URL('load', import.meta.url))})
  return program
}

/** Arguments of the program that serves gRPC calls and pages. */
export function serveArguments(calls: HostPort, pages: HostPort): readonly string[] {
  return ['serve', renderHostPort(calls), renderHostPort(pages)]
}

/** A process of clients, which does one order after the other. */
export class Clients {
  readonly #results: AsyncIterator<string>

  private constructor(readonly child: ChildProcess & {readonly stdin: NodeJS.WritableStream; readonly stdout: NodeJS.ReadableStream}) {
    this.#results = readline.createInterface({input: child.stdout})[Symbol.asyncIterator]()
  }

  static start(program: string): Clients {
    return new Clients(spawn(program, ['drive'], {stdio: ['pipe', 'pipe', 'inherit']}))
  }

  async run(order: Order): Promise<Result> {
    this.child.stdin.write(`${JSON.stringify(order)}\n`)
    const {value, done} = await this.#results.next()
    if (done === true) throw new Error('the clients have ended')
    return JSON.parse(value) as Result
  }

  async stop(): Promise<void> {
    await ended(this.child)
  }
}
