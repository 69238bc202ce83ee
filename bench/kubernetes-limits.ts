/** The limits of what is measured on a real API server, and which figures keep to them. */
import type {ColdStart, KubernetesFigures} from './kubernetes.js'

export interface Row {
  readonly what: string
  readonly limit: string
  readonly got: string
  readonly ok: boolean
}

/** The size at which the times of one change, a restart and a cold start have their limits: larger fleets are only shown. */
const LARGEST = 1000

/** Limits that say "at N = 300" and the like hold for that many clusters and fewer. */
export function judgeKubernetes(figures: KubernetesFigures): readonly Row[] {
  const {clusters} = figures
  const row = (what: string, value: number, limit: number, unit: string): Row => ({
    what,
    limit: `${round(limit)}${unit}`,
    got: `${round(value)}${unit}`,
    ok: value <= limit,
  })
  const commands = [
    row('cluster list, CPU', figures.listCpuMs, 250, ' ms'),
    row('atlas --version against node -e 0', figures.versionRatio, 1.5, ' x'),
  ]
  if (clusters > LARGEST) return commands
  return [
    row('one annotation patched, p50', figures.changeP50Ms, 9, ' ms'),
    row('one annotation patched, p99', figures.changeP99Ms, 3 * figures.changeP50Ms, ' ms'),
    row('one annotation patched, CPU until all is quiet', figures.changeCpuMs, 10, ' ms'),
    row('restart, all configured since the start of the process', figures.restartS, 2.5, ' s'),
    row('restart, bytes sent in all', figures.restartBytes / 1e6, 0.3, ' MB'),
    row('cold start, every credential and all values written', figures.writtenS, 8, ' s'),
    row('resident memory', figures.residentMiB, clusters <= 10 ? 120 : 250, ' MiB'),
    ...(clusters <= 300 ? [row('idle minute, CPU', figures.idleCpuS, 0.1, ' s')] : []),
    ...commands,
  ]
}

/** What a cluster costs in the largest fleet of a run, against the smallest. */
export function judgeColdStarts(all: readonly ColdStart[]): readonly Row[] {
  const [first, last] = [all[0], all.at(-1)]
  if (first === undefined || last === undefined || first === last) return []
  const ratio = last.writtenS / last.clusters / (first.writtenS / first.clusters)
  const what = `cold start, seconds a cluster, N = ${last.clusters} against N = ${first.clusters}`
  return [{what, limit: '1.2 x', got: `${round(ratio)} x`, ok: ratio <= 1.2}]
}

/** `ok` or `MISSED` for each row. */
export function rowsText(rows: readonly Row[]): string {
  return rows.map(row => `${row.ok ? 'ok    ' : 'MISSED'}  ${row.what}: ${row.got} (limit ${row.limit})`).join('\n')
}

/** For people: three digits at most after the point. */
export function round(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 100) / 100
}
