/** `npm run bench [-- --json] [-- --nodes 10,100,1000]`: the figures of bench/README.md, measured now, beside the figures that they are compared with. */
import {parseArgs} from 'node:util'
import {type AttackFigures, measureAttacks} from './attack.js'
import {versionRatio} from './atlas-process.js'
import {measureBare} from './bare.js'
import {type ChangeFigures, measureChanges} from './changes.js'
import {measureDiscovery} from './discovery.js'
import {judgeFlood, measureFlood} from './flood.js'
import {type KubernetesFigures, measureKubernetes, type ColdStart, measureColdStart} from './kubernetes.js'
import {type Row, judgeColdStarts, judgeKubernetes, round, rowsText} from './kubernetes-limits.js'
import {type LargeFigures, measureLarge} from './large.js'
import {judgeLarge} from './large-limits.js'
import {measurePath} from './path.js'
import {judgePath, pathText} from './path-limits.js'
import {type RestartFigures, measureRestart} from './restart.js'
import {judgeRotation, measureRotation} from './rotation.js'

type Figures = ChangeFigures & RestartFigures & {readonly nodes: number}

/** goatlas: milliseconds from a change to the observability node, by the number of clusters. */
const program2021: Readonly<Record<number, number>> = {10: 12, 100: 25, 300: 36, 1000: 92}

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    attack: {type: 'boolean', default: false},
    bare: {type: 'boolean', default: false},
    cold: {type: 'boolean', default: false},
    changes: {type: 'string', default: '500'},
    discovery: {type: 'boolean', default: false},
    flood: {type: 'boolean', default: false},
    large: {type: 'boolean', default: false},
    pages: {type: 'boolean', default: false},
    path: {type: 'boolean', default: false},
    rotation: {type: 'boolean', default: false},
    rounds: {type: 'string', default: '10'},
    json: {type: 'boolean', default: false},
    kubernetes: {type: 'boolean', default: false},
    nodes: {type: 'string'},
    runs: {type: 'string', default: '3'},
  },
})
const limitsOfAttack = {times: 2, residentMiB: 600, residentTimes: 1.5, logLinesPerS: 1, writesPerS: 1} as const
const sizes = (values.nodes ?? (values.large ? '1000,10000' : values.cold ? '1000,5000' : '10,100,1000')).split(',').map(Number)
if (values.cold) {
  const starts: ColdStart[] = []
  for (const size of sizes) {
    process.stderr.write(`measuring the cold start of ${size} clusters on a real API server …\n`)
    starts.push(await measureColdStart(size))
  }

  const judgedStarts = judgeColdStarts(starts)
  process.stdout.write(values.json ? `${JSON.stringify({starts, rows: judgedStarts})}\n` : `${table(starts)}\n${rowsText(judgedStarts)}\n`)
  process.exit(0)
}

if (values.rotation) {
  for (const [size, part] of sizes.flatMap(each => [[each, 'identities'] as const, [each, 'issuer'] as const])) {
    process.stderr.write(`measuring a rotation (${part}) under ${size} downstream nodes …\n`)
    const rotation = await measureRotation(size, part)
    const judgedRotation = judgeRotation(rotation)
    process.stdout.write(
      values.json ? `${JSON.stringify({rotation, rows: judgedRotation})}\n` : `${table([rotation])}\n${rowsText(judgedRotation)}\n`,
    )
  }

  process.exit(0)
}

if (values.bare) {
  const bare = []
  for (const size of sizes) bare.push(await measureBare(size))
  process.stdout.write(values.json ? `${JSON.stringify(bare)}\n` : `${table(bare)}\n`)
  process.exit(0)
}

if (values.discovery) {
  const added = await measureDiscovery(Number(values.runs))
  process.stdout.write(values.json ? `${JSON.stringify(added)}\n` : `${table(added)}\n`)
  process.exit(0)
}

if (values.kubernetes) {
  for (const size of sizes) {
    process.stderr.write(`measuring ${size} clusters on a real API server …\n`)
    const measured = await measureKubernetes(size, {changes: Number(values.changes), runs: Number(values.runs)})
    process.stdout.write(values.json ? `${JSON.stringify(measured)}\n` : `${judged(measured)}\n`)
  }

  process.exit(0)
}

if (values.attack) {
  await measureAttacks(200, positionals, measured => {
    process.stdout.write(values.json ? `${JSON.stringify(measured)}\n` : `${judgedAttack(measured)}\n`)
  })
  process.exit(0)
}

if (values.path) {
  const path = await measurePath(Number(values.rounds))
  const judgedPath = judgePath(path)
  process.stdout.write(values.json ? `${JSON.stringify({path, rows: judgedPath})}\n` : `${pathText(path)}\n${rowsText(judgedPath)}\n`)
  process.exit(0)
}

if (values.flood) {
  const flood = await measureFlood(Number(values.rounds))
  const judgedFlood = judgeFlood(flood)
  process.stdout.write(values.json ? `${JSON.stringify({flood, rows: judgedFlood})}\n` : `${table([flood])}\n${rowsText(judgedFlood)}\n`)
  process.exit(0)
}

if (values.large) {
  const large: LargeFigures[] = []
  for (const size of sizes) {
    process.stderr.write(`measuring ${size} clusters in the real topology …\n`)
    large.push(await measureLarge(size, {pages: values.pages}))
  }

  const judgedLarge = judgeLarge(large)
  process.stdout.write(values.json ? `${JSON.stringify({large, rows: judgedLarge})}\n` : `${table(large)}\n${rowsText(judgedLarge)}\n`)
  process.exit(0)
}

const figures: Figures[] = []
for (const size of sizes) {
  process.stderr.write(`measuring ${size} downstream nodes …\n`)
  figures.push({nodes: size, ...(await measureChanges(size)), ...(await measureRestart(size))})
}

const ratio = versionRatio()
const rows = judge(figures, ratio)
if (values.json) process.stdout.write(`${JSON.stringify({figures, versionRatio: ratio, rows}, undefined, 2)}\n`)
else process.stdout.write(`${table(figures)}\n\n${rowsText(rows)}\n`)
process.exit(0)

/** What the attack costs, beside the same attacker aimed at a sink. */
function judgedAttack({attack, way, sink, attacked}: AttackFigures): string {
  const judge = (what: string, got: number, limit: number): string =>
    `${got <= limit ? 'ok    ' : 'MISSED'}  ${attack} (${way}), ${what}: ${round(got)} (limit ${round(limit)})`
  return [
    judge('honest first answer, ms', attacked.firstAnswerMs, limitsOfAttack.times * sink.firstAnswerMs),
    judge('change, ms', attacked.changeMs, limitsOfAttack.times * sink.changeMs),
    judge('memory, MiB', attacked.residentMiB, Math.min(limitsOfAttack.residentMiB, limitsOfAttack.residentTimes * sink.residentMiB)),
    judge('log lines a second', attacked.logLinesPerS, limitsOfAttack.logLinesPerS),
    judge('store writes a second', attacked.writesPerS, limitsOfAttack.writesPerS),
    judge('probes not answered', attacked.probesMissed, 0),
    judge('connections of the relay cut', attacked.relayCuts, 0),
  ].join('\n')
}

/** The figures on a real API server, and which of them keep to their limits. */
function judged(measured: KubernetesFigures): string {
  const lines = Object.entries(measured).map(([key, value]) => `${key.padEnd(20)}  ${String(round(value as number)).padStart(10)}`)
  return `${lines.join('\n')}\n${rowsText(judgeKubernetes(measured))}`
}

function judge(all: readonly Figures[], ratio: number): readonly Row[] {
  const [smallest, largest] = [all[0], all.at(-1)]
  if (smallest === undefined || largest === undefined) return []
  const row = (what: string, value: number, limit: number, unit = ''): Row => ({
    what,
    limit: `${limit}${unit}`,
    got: `${round(value)}${unit}`,
    ok: value <= limit,
  })
  const old = all.flatMap(one => {
    const limit = program2021[one.nodes]
    return limit === undefined ? [] : [row(`one address changed, N = ${one.nodes}, against goatlas`, one.changeMs, limit, ' ms')]
  })
  return [
    ...old,
    row(`one address changed, N = ${largest.nodes} against N = ${smallest.nodes}`, largest.changeMs / smallest.changeMs, 1.5, ' x'),
    row('nodes touched by it', Math.max(...all.map(one => one.changeNodes)), 2),
    row('its bytes', Math.max(...all.map(one => one.changeBytes)), 10_000, ' B'),
    row(`its bytes, N = ${largest.nodes} against N = ${smallest.nodes}`, largest.changeBytes / smallest.changeBytes, 1.1, ' x'),
    row('cluster added, bytes to the observability node', Math.max(...all.map(one => one.addBytes)), 2000, ' B'),
    row('cluster removed, bytes to the observability node', Math.max(...all.map(one => one.removeBytes)), 2000, ' B'),
    row('burst of 20 changes, responses to the observability node', Math.max(...all.map(one => one.burstPushes)), 8),
    row('burst of 20 changes, until quiet', Math.max(...all.map(one => one.burstMs)), 1000, ' ms'),
    row('restart, all configured', largest.reconnectReadyS, 2.5, ' s'),
    row('restart, quiet', largest.reconnectQuietS, 2.5, ' s'),
    row('restart, clusters and listeners sent again to downstream nodes', Math.max(...all.map(one => one.reconnectResent)), 0),
    row('restart, bytes to an unchanged downstream node', Math.max(...all.map(one => one.reconnectBytes)), 8192, ' B'),
    row('resident memory, all connected', largest.residentMiB, 350, ' MiB'),
    row('event loop blocked at most, changes', Math.max(...all.map(one => one.changeBlockedMs)), 25, ' ms'),
    row('event loop blocked at most, restart', Math.max(...all.map(one => one.reconnectBlockedMs)), 25, ' ms'),
    row('atlas --version against node -e 0', ratio, 1.5, ' x'),
  ]
}

function table<T extends object>(all: readonly T[]): string {
  const keys = Object.keys(all[0] ?? {}) as (keyof T & string)[]
  const width = Math.max(...keys.map(key => key.length))
  const cell = (value: unknown): string => (typeof value === 'number' ? String(round(value)) : String(value)).padStart(10)
  return keys.map(key => `${key.padEnd(width)}  ${all.map(one => cell(one[key])).join('  ')}`).join('\n')
}
