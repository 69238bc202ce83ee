/** Runs one lane of tests in mocha and reports truly how it ended. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {runInForeground} from '../setup/child.mjs'
import {variableOf} from '../programs/catalogue.mjs'
import {root} from '../setup/checkout.mjs'

/**
 * @typedef {object} Outcome
 * @property {string} name
 * @property {number} seconds
 * @property {number} passed
 * @property {string[]} failed
 * @property {string[]} leftOut what was not run, and why
 */

/**
 * @param {import('./lanes.mjs').Lane} lane
 * @param {{programs: Record<string, string>, only?: string[], stdio?: 'inherit' | 'ignore'}} how paths of the real programs; files to run instead of all;
 *   where mocha's own words go
 * @returns {Promise<Outcome>}
 */
export async function runLane(lane, {programs, only = [], stdio = 'inherit'}) {
  const start = Date.now()
  const folder = mkdtempSync(join(tmpdir(), 'atlas-lane-'))
  const file = join(folder, 'result.json')
  try {
    const code = await runMocha(lane, only, {stdio, env: {...process.env, ...namedPrograms(programs), ATLAS_LANE_RESULT: file}})
    return {name: lane.name, seconds: (Date.now() - start) / 1000, ...judge(lane, code, readResult(file))}
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}

function runMocha(lane, only, how) {
  const args = [
    join(root, 'node_modules/mocha/bin/mocha.js'),
    '--reporter',
    join(root, 'scripts/lanes/reporter.cjs'),
    '--timeout',
    String(lane.testSeconds * 1000),
    '--forbid-only',
    ...lane.ignore.flatMap(pattern => ['--ignore', pattern]),
    ...(only.length > 0 ? only : lane.files),
  ]
  return runInForeground(process.execPath, args, {cwd: root, ...how, timeout: lane.laneMinutes * 60_000, killSignal: 'SIGKILL'})
}

function namedPrograms(programs) {
  return Object.fromEntries(Object.entries(programs).map(([name, path]) => [variableOf(name), path]))
}

function readResult(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** A lane is as good as its worst sign: mocha's exit code, its count, and that anything ran at all. */
function judge(lane, code, result) {
  if (result === undefined) return {passed: 0, failed: [`lane ${lane.name} broke off before its end (code ${code})`], leftOut: []}
  const {passed, failed, skipped} = result
  if (failed.length === 0 && code !== 0) failed.push(`lane ${lane.name} ended with code ${code} though no test failed`)
  if (passed + failed.length + skipped.length === 0) failed.push(`lane ${lane.name} has no test`)
  return {passed, failed, leftOut: skipped}
}
