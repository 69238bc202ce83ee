/**
 * The cost of a rotation of the issuer: a real `atlas serve` on a directory signs every identity again, while simulated Envoys, each with
 * a connection of its own, acknowledge each stage.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {dependencies} from '../src/lib/cli/base-command.js'
import {followRotation} from '../src/lib/ops/rotation/follow.js'
import {startRotation} from '../src/lib/ops/rotation/start.js'
import {openDirectory} from '../src/lib/store/open.js'
import {cpuS} from './atlas-process.js'
import {ADS, lag, opened, start, stopped} from './directory-server.js'
import {Envoys, clock, nodesOf} from './envoys.js'
import {fill} from './fleet.js'
import {type Row, round} from './kubernetes-limits.js'

export interface RotationFigures {
  readonly clusters: number
  /** Seconds from the command until the former issuer was nowhere any more, and CPU seconds of the server for that. */
  readonly rotatedS: number
  readonly rotatedCpuS: number
  /** The longest delay of the server's event loop meanwhile, ms. */
  readonly blockedMs: number
  /** Times that an object of the store was written. */
  readonly writes: number
}

/** Measures with `count` downstream nodes and the observability node. */
export async function measureRotation(count: number): Promise<RotationFigures> {
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
    const [from, cpu] = [clock(), cpuS(server)]
    await startRotation(store, 'issuer', {}, dependencies)
    await followRotation(store, {waitMs: 600_000, changed: () => undefined})
    const rotatedS = (clock() - from) / 1000
    const figures = {clusters: count, rotatedS, rotatedCpuS: cpuS(server) - cpu, blockedMs: await lag(server), writes}
    counting.abort()
    return figures
  } finally {
    envoys?.stop()
    await stopped(server)
    await rm(directory, {recursive: true, force: true})
  }
}

/** Issue "Certificates live", part 6. */
export function judgeRotation({clusters, rotatedCpuS, blockedMs}: RotationFigures): readonly Row[] {
  const row = (what: string, value: number, limit: number, unit: string): Row => ({
    what: `rotation of the issuer, N = ${clusters}, ${what}`,
    limit: `${limit} ${unit}`,
    got: `${round(value)} ${unit}`,
    ok: value <= limit,
  })
  return [row('CPU of the server', rotatedCpuS, 10, 's'), row('event loop blocked at most', blockedMs, 25, 'ms')]
}
