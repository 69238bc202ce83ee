/** One replica of the server in a test's installation: starts, kills and stops a process of `atlas serve`, and reads its status. */
import type {Running, Supervisor} from '../../src/demo/lab/processes.js'
import {linesSince} from '../../src/demo/lab/log-file.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import type {Report} from '../../src/lib/model/report.js'
import {fetchReport} from '../../src/lib/cli/server-report.js'
import type {ServerRole} from '../../src/lib/store/store.js'
import type {Readiness} from '../../src/lib/model/report.js'
import {atlasBin} from '../helpers/atlas.js'

export interface Replica {
  readonly name: string
  readonly admin: HostPort
  /** Its ADS port, if it serves Envoys. */
  readonly listen: HostPort
  /** Starts it, at the same address each time, and does not wait. */
  start(options?: StartOptions): Promise<void>
  pid(): number
  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>
  /** SIGTERM. @returns the time until it ended, milliseconds */
  stop(): Promise<number>
  readiness(): Promise<Readiness>
  untilReady(seconds?: number): Promise<void>
  /** Its own `/status`. */
  report(): Promise<Report>
  /** A metric without labels; NaN where there is none. */
  metric(name: string): Promise<number>
  /** Its log, of all its runs. */
  log(): readonly Record<string, unknown>[]
}

export interface StartOptions {
  readonly role?: ServerRole
  /** Its `--replica`, if not its name. */
  readonly called?: string
  /** A kubeconfig instead of its account's. */
  readonly kubeconfig?: string
  readonly times?: Readonly<Record<string, string>>
}

interface Making {
  readonly name: string
  readonly role: ServerRole
  readonly namespace: string
  readonly listen: HostPort
  readonly admin: HostPort
  /** By role. */
  readonly accounts: Readonly<Record<ServerRole, string>>
  readonly times: Readonly<Record<string, string>>
  readonly supervisor: Supervisor
}

/** Makes a replica and does not start it. */
export function makeReplica({name, role, namespace, listen, admin, accounts, supervisor, ...making}: Making): Replica {
  let running: Running | undefined
  const process_ = (): Running => {
    if (running === undefined) throw new Error(`${name} was not started`)
    return running
  }
  const page = async (at: string): Promise<Response> => fetch(`http://${renderHostPort(admin)}${at}`, {signal: AbortSignal.timeout(10_000)})
  return {
    name,
    admin,
    listen,
    pid: () => process_().pid,
    kill: async () => process_().kill(),
    report: async () => fetchReport(`http://${renderHostPort(admin)}`),
    readiness: async () => (await page('/readyz')).json() as Promise<Readiness>,

    async start({role: as = role, called = name, kubeconfig = accounts[as], times = {}} = {}) {
      const limits = Object.entries({...making.times, ...times}).flatMap(([key, value]) => ['--time', `${key}=${value}`])
      const pages = renderHostPort({...listen, port: listen.port + 1})
      const where = ['--listen', renderHostPort(listen), '--pages-listen', pages, '--admin', renderHostPort(admin)]
      const args = [atlasBin, 'serve', '--role', as, '--replica', called, '--kubeconfig', kubeconfig, '--namespace', namespace]
      const {ATLAS_STORE: _, ...env} = process.env
      running = await supervisor.start({name, program: process.execPath, args: [...args, ...where, ...limits], env})
    },

    async stop() {
      const begin = performance.now()
      await process_().stop(20_000)
      return performance.now() - begin
    },

    async untilReady(seconds = 60) {
      const probe = async (): Promise<true | undefined> => ((await page('/readyz')).ok ? true : undefined)
      await waitFor(`${name} to be ready`, probe, {signal: supervisor.crashed, timeoutMs: seconds * 1000, everyMs: 40})
    },

    async metric(metric) {
      const text = await (await page('/metrics')).text()
      const line = text.split('\n').find(each => each.startsWith(`${metric} `))
      return Number(line?.slice(metric.length + 1) ?? Number.NaN)
    },

    log() {
      const lines = linesSince(process_().log, 0).filter(line => line.startsWith('{'))
      return lines.map(line => JSON.parse(line) as Record<string, unknown>)
    },
  }
}
