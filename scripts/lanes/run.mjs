/** Runs one lane of tests in mocha and reports how it ended. */
import {randomInt} from 'node:crypto'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {PAST_LIMIT, runInForeground} from '../setup/child.mjs'
import {variableOf} from '../programs/catalogue.mjs'
import {root} from '../setup/checkout.mjs'

/**
 * @typedef {object} Outcome
 * @property {string} name
 * @property {number} seconds
 * @property {number} passed
 * @property {string[]} failed
 * @property {Record<string, string[]>} [reasons] the first lines of their errors
 * @property {string[]} leftOut what was not run, and why
 * @property {[string, number][]} [slowest] the files that took longest, with their seconds
 */

/**
 * @param {import('./lanes.mjs').Lane} lane
 * @param {{programs: Record<string, string>, only?: string[], write: (text: string | Buffer) => void, signal?: AbortSignal}} how paths of
 *   the real programs; the files to run instead of all; where the output goes; what ends the lane early, with a rejected promise
 * @returns {Promise<Outcome>}
 */
export async function runLane(lane, how) {
  const start = Date.now()
  const outcome = {name: lane.name, passed: 0, failed: [], reasons: {}, leftOut: []}
  for (const seed of seedsOf(lane)) {
    if (lane.randomRuns !== undefined) how.write(`\nATLAS_SEED=${seed}\n`)
    const {passed, failed, reasons = {}, leftOut, slowest} = await runOnce(lane, seed, how)
    const named = title => (lane.randomRuns === undefined ? title : `${title} (ATLAS_SEED=${seed})`)
    outcome.passed += passed
    outcome.failed.push(...failed.map(title => named(title)))
    for (const [title, lines] of Object.entries(reasons)) outcome.reasons[named(title)] = lines
    outcome.leftOut = leftOut
    outcome.slowest = slowest
  }
  return {...outcome, seconds: (Date.now() - start) / 1000}
}

/** So many of the slowest files of a lane are named. */
const SLOWEST = 8

/** A seed that the caller has set is used alone: that is how a failure is repeated. Undefined: the fixed one. */
function seedsOf({randomRuns}) {
  if (randomRuns === undefined || process.env.ATLAS_SEED !== undefined) return [process.env.ATLAS_SEED]
  return Array.from({length: randomRuns}, () => String(randomInt(2 ** 31)))
}

async function runOnce(lane, seed, {programs, only = [], write, signal}) {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-lane-'))
  const file = join(folder, 'result.json')
  const env = {...process.env, ...namedPrograms(programs), ATLAS_LANE_RESULT: file, ...(seed !== undefined && {ATLAS_SEED: seed})}
  try {
    return judge(lane, await runMocha(lane, only, {onOutput: write, env, signal, killSignal: 'SIGKILL'}), readResult(file))
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}

function runMocha(lane, only, how) {
  // Not bin/mocha.js: that starts mocha in a process of its own, which the time limit would not reach.
  const args = [
    ...nodeOptions(),
    join(root, 'node_modules/mocha/lib/cli/cli.js'),
    '--reporter',
    join(root, 'scripts/lanes/reporter.cjs'),
    '--timeout',
    String(lane.testSeconds * 1000),
    ...(process.stderr.isTTY ? ['--color'] : []),
    '--forbid-only',
    ...lane.ignore.flatMap(pattern => ['--ignore', pattern]),
    ...(only.length > 0 ? only : lane.files),
  ]
  return runInForeground(process.execPath, args, {cwd: root, ...how, limit: lane.laneMinutes * 60_000})
}

/** Node's options for mocha, which bin/mocha.js takes from the same file. */
function nodeOptions() {
  return JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'))['node-option'].map(option => `--${option}`)
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

/** A lane fails by its time limit, by mocha's exit code, by a failed test, and when no test ran. */
function judge(lane, code, result) {
  if (code === PAST_LIMIT)
    return {passed: 0, failed: [`lane ${lane.name} was stopped at its limit of ${lane.laneMinutes} min`], leftOut: []}
  if (result === undefined) return {passed: 0, failed: [`lane ${lane.name} broke off before its end (code ${code})`], leftOut: []}
  const {passed, failed, reasons, skipped, files} = result
  if (failed.length === 0 && code !== 0) failed.push(`lane ${lane.name} ended with code ${code} though no test failed`)
  if (passed + failed.length + skipped.length === 0) failed.push(`lane ${lane.name} has no test`)
  const slowest = Object.entries(files).sort(([, a], [, b]) => b - a)
  return {passed, failed, reasons, leftOut: skipped, slowest: slowest.slice(0, SLOWEST)}
}
