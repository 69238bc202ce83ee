/**
 * `npm test [-- LANE… [FILE…]]`: the gate and every lane, or only the lanes named. Prints the time of each and ends with `N passed, N failed`.
 * A step of the gate counts as a test. Only the compiler, which makes what the lanes run, comes before them; the rest of the gate runs beside
 * them. With CI=true a lane that was left out is a failure.
 */
import {availableParallelism} from 'node:os'
import {COMPILES, otherSteps, runGate} from '../gate/gate.mjs'
import {everydayLanes, lanes, processesOf} from '../lanes/lanes.mjs'
import {orderOutput} from '../lanes/output.mjs'
import {runLane} from '../lanes/run.mjs'
import {programs as catalogue} from '../programs/catalogue.mjs'
import {ensurePrograms} from '../programs/ensure.mjs'
import {showProgress} from '../programs/progress.mjs'

/** Lanes that run at the same time, the longest first: a lane with real programs mostly waits for them and keeps a third of a core busy. */
const AT_ONCE = Math.min(availableParallelism() + 1, 6)

const named = process.argv.slice(2).filter(word => !word.includes('/') && !word.includes('.'))
const files = process.argv.slice(2).filter(word => !named.includes(word))
const unknown = named.find(name => !lanes.some(lane => lane.name === name))

let outcomes
if (unknown === undefined) {
  outcomes = await runAll()
} else {
  outcomes = [
    {
      name: 'none',
      seconds: 0,
      passed: 0,
      failed: [`there is no lane '${unknown}': use some of ${lanes.map(({name}) => name).join(', ')}`],
      leftOut: [],
    },
  ]
}
process.exitCode = conclude(outcomes)

async function runAll() {
  const chosen = named.length === 0 ? everydayLanes : lanes.filter(({name}) => named.includes(name))
  // Some files of a lane are few enough for one process.
  const wanted = files.length === 0 ? chosen.flatMap(processesOf) : chosen
  const download = startDownload(wanted)
  const compiled = await gate([COMPILES])
  const rest = {name: 'gate', run: async write => sumOf(compiled, await gate(otherSteps, {write, atOnce: 1}))}
  const byLength = [...wanted].sort((a, b) => b.usualMinutes - a.usualMinutes)
  const work = [
    ...(named.length === 0 ? [rest] : []),
    ...byLength.map(lane => ({name: lane.name, run: async write => runOrLeaveOut(lane, download, write)})),
  ]
  const output = orderOutput(['gate', ...wanted.map(({name}) => name)], text => process.stderr.write(text))
  if (named.length > 0) output.end('gate')
  const outcomes = new Map([['gate', compiled]])
  const worker = async () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) {
      const {name, run} = next
      outcomes.set(name, await run(text => output.write(name, text)))
      output.end(name)
    }
  }
  await Promise.all(Array.from({length: AT_ONCE}, worker))
  return ['gate', ...wanted.map(({name}) => name)].map(name => outcomes.get(name))
}

/** Starts to download and build at once, with low priority, while the gate and the first lanes run; `wait` resolves when these programs are found or have failed. */
function startDownload(wanted) {
  const names = new Set(wanted.filter(canRunHere).flatMap(({programs}) => programs))
  const missing = catalogue.filter(({name}) => names.has(name))
  const waiters = new Map()
  const outcomes = new Map(missing.map(({name}) => [name, new Promise(resolve => waiters.set(name, resolve))]))
  let [shown, waiting] = [undefined, 0]
  void ensurePrograms(missing, {onProgress: status => shown?.onProgress(status), onEach: (name, how) => waiters.get(name)(how)})
  return {
    async wait(wantedNames) {
      waiting += 1
      shown ??= showProgress(process.stderr)
      const hows = await Promise.all(wantedNames.map(async name => [name, await outcomes.get(name)]))
      waiting -= 1
      if (waiting === 0) {
        shown.end()
        shown = undefined
      }
      return new Map(hows)
    },
  }
}

async function gate(steps, how) {
  const start = Date.now()
  const verdicts = await runGate(steps, how)
  return {
    name: 'gate',
    seconds: (Date.now() - start) / 1000,
    passed: verdicts.filter(({ok}) => ok).length,
    failed: verdicts.filter(({ok}) => !ok).map(({name}) => `gate: ${name}`),
    leftOut: [],
  }
}

function sumOf(first, second) {
  return {
    ...first,
    seconds: first.seconds + second.seconds,
    passed: first.passed + second.passed,
    failed: [...first.failed, ...second.failed],
  }
}

async function runOrLeaveOut(lane, download, write) {
  write(`\nlane ${lane.name}\n`)
  if (!canRunHere(lane)) return leaveOut(lane, `runs on ${lane.platforms.join(', ')} only`)
  const hows = await download.wait(lane.programs)
  const lacking = lane.programs.filter(name => hows.get(name).path === undefined)
  for (const name of lacking) write(`${hows.get(name).failure}\n`)
  if (lacking.length > 0) return leaveOut(lane, `no ${lacking.join(', no ')}`)
  return runLane(lane, {programs: Object.fromEntries(lane.programs.map(name => [name, hows.get(name).path])), only: files, write})
}

function leaveOut({name}, why) {
  return {name, seconds: 0, passed: 0, failed: [], leftOut: [`lane ${name}: ${why}`]}
}

function canRunHere({platforms}) {
  return platforms === undefined || platforms.includes(process.platform)
}

/** Prints the results. @returns the exit code */
function conclude(all) {
  const mustBeWhole = process.env.CI === 'true'
  const failures = all.flatMap(({failed, leftOut}) => [...failed, ...(mustBeWhole ? leftOut.map(what => `left out: ${what}`) : [])])
  const lines = all.map(({name, seconds, passed, failed, leftOut}) => {
    const counts = [`${passed} passed`, `${failed.length} failed`, ...(leftOut.length > 0 ? [`${leftOut.length} left out`] : [])]
    return `${name.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s  ${counts.join(', ')}`
  })
  for (const {slowest = []} of all)
    lines.push(
      ...slowest.slice(0, named.length === 0 ? 3 : 8).map(([file, seconds]) => `slow ${seconds.toFixed(1).padStart(15)} s  ${file}`),
    )
  for (const {leftOut} of all) lines.push(...leftOut.map(what => `LEFT OUT  ${what}`))
  const reasons = Object.assign({}, ...all.map(outcome => outcome.reasons))
  lines.push(...failures.flatMap(what => [`FAILED    ${what}`, ...(reasons[what] ?? []).map(line => `          ${line}`)]), '')
  const passed = all.reduce((sum, outcome) => sum + outcome.passed, 0)
  process.stdout.write(`\n${lines.join('\n')}\n${passed} passed, ${failures.length} failed\n`)
  return failures.length === 0 ? 0 : 1
}
