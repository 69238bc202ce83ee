/**
 * The cost of replacing all identities at once (`atlas rotate`), and of a rotation of the issuer, in which a real `atlas serve` on a directory signs
 * every identity again: simulated Envoys, each with a connection of its own, acknowledge all that they are sent.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {dependencies} from '../src/lib/cli/base-command.js'
import {fetchReport} from '../src/lib/cli/server-report.js'
import {identitySecret} from '../src/lib/envoy/secret.js'
import {rotateLeaves} from '../src/lib/ops/rotate.js'
import {followRotation} from '../src/lib/ops/rotation/follow.js'
import {startRotation} from '../src/lib/ops/rotation/start.js'
import {openDirectory} from '../src/lib/store/open.js'
import type {StateStore} from '../src/lib/store/store.js'
import {cpuS} from './atlas-process.js'
import {ADMIN_URL, ADS, lag, opened, start, stopped} from './directory-server.js'
import {Envoys, clock, nodesOf, sleep} from './envoys.js'
import {fill} from './fleet.js'
import {type Row, round} from './kubernetes-limits.js'

/** What is rotated. */
export type RotatedPart = 'identities' | 'issuer'

const LIMIT_MS = 600_000

export interface RotationFigures {
  readonly part: RotatedPart
  readonly clusters: number
  /**
   * Seconds from the command until the former issuer was nowhere any more, or each node had acknowledged its new identity, and CPU seconds for that: of
   * the server, and of the command, which signs the identities of a directory itself.
   */
  readonly rotatedS: number
  readonly rotatedCpuS: number
  readonly commandCpuS: number
  /** The longest delay of the server's event loop meanwhile, ms. */
  readonly blockedMs: number
  /** Times that an object of the store was written. */
  readonly writes: number
}

/** Measures with `count` downstream nodes and the observability node. @throws Error where a node has not acknowledged its new identity in time */
export async function measureRotation(count: number, part: RotatedPart): Promise<RotationFigures> {
  const directory = await mkdtemp(path.join(tmpdir(), 'atlas-bench-'))
  const store = openDirectory({directory, create: true})
  const fleet = await fill(store, count)
  // Without it a server renews one slice in its first ten minutes.
  const server = start(directory, ['--time', 'clock-held=1s'])
  let envoys: Envoys | undefined
  try {
    await opened()
    envoys = Envoys.start(nodesOf(fleet, ADS))
    await envoys.ready(count + 1)
    await envoys.quiet(2000)
    await lag(server)
    let writes = 0
    const counting = new AbortController()
    await store.watch(
      {
        changed(changes) {
          writes += changes.filter(({kind}) => kind === 'revision').length
        },
        failed: () => undefined,
        recovered: () => undefined,
      },
      counting.signal,
    )
    envoys.forget()
    const [from, cpu, own] = [clock(), cpuS(server), process.cpuUsage()]
    await (part === 'issuer' ? replaceIssuer(store) : replaceIdentities(store, envoys, count + 1))
    const rotatedS = (clock() - from) / 1000
    const {user, system} = process.cpuUsage(own)
    const cost = {rotatedCpuS: cpuS(server) - cpu, commandCpuS: (user + system) / 1e6, blockedMs: await lag(server), writes}
    counting.abort()
    await requireAcknowledged(store)
    return {part, clusters: count, rotatedS, ...cost}
  } finally {
    envoys?.stop()
    await stopped(server)
    await rm(directory, {recursive: true, force: true})
  }
}

async function replaceIssuer(store: StateStore): Promise<void> {
  await startRotation(store, 'issuer', {}, dependencies)
  await followRotation(store, {waitMs: 600_000, changed: () => undefined})
}

/** Until each node has received its new identity, and acknowledged it a moment later. */
async function replaceIdentities(store: StateStore, envoys: Envoys, nodes: number): Promise<void> {
  await rotateLeaves(store, [], dependencies)
  const deadline = clock() + LIMIT_MS
  const told = (): number => new Set(envoys.events.flatMap(event => (event.kind === 'received' ? [event.cluster] : []))).size
  while (told() < nodes) {
    if (clock() > deadline) throw new Error(`of ${nodes} nodes only ${told()} were sent an identity within ${LIMIT_MS / 1000} s`)
    await sleep(20)
  }

  await envoys.quiet(200)
}

/** By the server's own report, which is asked for after its event loop was looked at. */
async function requireAcknowledged(store: StateStore): Promise<void> {
  const {identities} = await store.load()
  const {proxies} = await fetchReport(ADMIN_URL)
  const lagging = proxies.filter(({cluster, identity}) => {
    const stored = identities.get(cluster)
    return stored === undefined || identity?.version !== identitySecret(stored).version
  })
  if (proxies.length === 0 || lagging.length > 0)
    throw new Error(`of ${proxies.length} nodes ${lagging.length} did not acknowledge their identity`)
}

/** Issue "Certificates live", part 6. */
export function judgeRotation({part, clusters, rotatedCpuS, commandCpuS, blockedMs}: RotationFigures): readonly Row[] {
  const of = part === 'issuer' ? 'rotation of the issuer' : 'all identities replaced'
  const row = (what: string, value: number, limit: number, unit: string): Row => ({
    what: `${of}, N = ${clusters}, ${what}`,
    limit: `${limit} ${unit}`,
    got: `${round(value)} ${unit}`,
    ok: value <= limit,
  })
  return [
    row('CPU of the server and the command', rotatedCpuS + commandCpuS, 10, 's'),
    row('event loop blocked at most', blockedMs, 25, 'ms'),
  ]
}
