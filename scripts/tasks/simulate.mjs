/**
 * `npm run simulate`: the simulation of test/simulation, `--seeds N` from `--first SEED` on, in as many processes as there are cores. Prints
 * the history of the first seed that fails. `--history` prints that of `--first`, failed or not. One seed in `REAL_EVERY` is played a second
 * time, with real keys, sessions and a directory, and must come to the same state by the same history.
 */
import {spawn} from 'node:child_process'
import {availableParallelism} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {parseArgs} from 'node:util'
import {root} from '../setup/checkout.mjs'

/** So many lines of the history of a failed seed are printed; all of them with `--history`. */
const LAST = 120

/**
 * @param {{first: number, seeds: number, events?: number, planted?: string}} wanted
 * @returns {Promise<{seeds: number, rotations: number, years: number, failed: {seed: number, failure: string} | undefined}>}
 */
export async function simulateSeeds({first, seeds, events = 300, planted}) {
  const processes = Math.max(1, Math.min(availableParallelism(), seeds))
  const shares = Array.from({length: processes}, (_, index) =>
    run(['--first', first + index, '--seeds', seeds - index, '--step', processes, ...optionsOf(events, planted)]),
  )
  const results = (await Promise.all(shares)).map(text => JSON.parse(text))
  const sum = key => results.reduce((total, result) => total + result[key], 0)
  const failures = results.flatMap(({failed}) => failed ?? []).sort((a, b) => a.seed - b.seed)
  return {seeds: sum('seeds'), rotations: sum('rotations'), years: sum('years'), failed: failures[0]}
}

/** One seed in so many is played with real keys, too: those that leave `REAL_REST`. */
const [REAL_EVERY, REAL_REST] = [400, 7]

/** @param {{first: number, seeds: number}} wanted */
function realSeeds({first, seeds}) {
  return Array.from({length: seeds}, (_, index) => first + index).filter(seed => seed % REAL_EVERY === REAL_REST)
}

/**
 * Plays a seed with symbolic certificates and with real keys, sessions and a directory.
 * @param {{seed: number, events?: number}} wanted
 * @returns {Promise<{failure?: string, answered: number, refused: number, attempts: number, conflicts: number}>} `failure` also where the two differ
 */
export async function playTwice({seed, events = 300}) {
  const [symbolic, real] = await Promise.all([
    historyOf({seed, events}),
    run(['--seed', seed, '--events', events], {main: 'main-real.ts', hook: undefined}),
  ])
  const [expected, lines] = [symbolic.trimEnd().split('\n'), real.trimEnd().split('\n')]
  const found = JSON.parse(lines.pop() ?? '')
  const at = expected.findIndex((line, index) => line !== lines[index])
  if (found.failure !== undefined || (at < 0 && expected.length === lines.length)) return found
  return {
    ...found,
    failure: `with real keys there is\n${lines[at] ?? 'the end'}\nwhere there is with symbolic ones\n${expected[at] ?? 'the end'}`,
  }
}

/**
 * What happened in one seed, a line each; the last line is the state that it has come to.
 * @param {{seed: number, events?: number, planted?: string}} wanted
 * @returns {Promise<string>}
 */
export async function historyOf({seed, events = 300, planted}) {
  return run(['--first', seed, '--history', ...optionsOf(events, planted)])
}

function optionsOf(events, planted) {
  return ['--events', events, ...(planted === undefined ? [] : ['--planted', planted])]
}

/** MiB for new objects: nearly all of a seed's live for one step, and with the 16 of Node one is copied several times before it goes. */
const YOUNG = '--max-semi-space-size=64'

function run(args, {main, hook} = {main: 'main.ts', hook: 'symbolic/hook.mjs'}) {
  const directory = join(root, 'test/simulation')
  const hooks = hook === undefined ? [] : ['--import', join(directory, hook)]
  const child = spawn(process.execPath, [YOUNG, '--import', 'tsx', ...hooks, join(directory, main), ...args.map(String)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', part => (text += part))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => (code === 0 ? resolve(text) : reject(new Error(`a process of the simulation ended with code ${code}`))))
  })
}

async function main() {
  const options = {
    first: {type: 'string', default: '1'},
    seeds: {type: 'string', default: '1000'},
    events: {type: 'string', default: '300'},
    planted: {type: 'string'},
    history: {type: 'boolean', default: false},
  }
  const {values} = parseArgs({options})
  const [first, seeds, events] = [Number(values.first), Number(values.seeds), Number(values.events)]
  if (values.history) {
    process.stdout.write(await historyOf({seed: first, events, planted: values.planted}))
    return 0
  }
  const begin = performance.now()
  const twice = values.planted === undefined ? realSeeds({first, seeds}) : []
  const [{failed, ...done}, differing] = await Promise.all([
    simulateSeeds({first, seeds, events, planted: values.planted}),
    firstDiffering(twice, events),
  ])
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  const also = twice.length === 0 ? '' : `, ${twice.length} of them with real keys too`
  process.stdout.write(`${done.seeds} seeds${also}, ${done.rotations} rotations, ${Math.round(done.years)} years in ${seconds} s\n`)
  if (failed === undefined && differing === undefined) return 0
  if (failed === undefined) {
    process.stdout.write(`seed ${differing.seed}: ${differing.failure}\n`)
    return 1
  }
  const lines = (await historyOf({seed: failed.seed, events, planted: values.planted})).trimEnd().split('\n').slice(0, -1)
  process.stdout.write(`${lines.slice(-LAST).join('\n')}\n\nseed ${failed.seed}: ${failed.failure}\n`)
  process.stdout.write(`again: npm run simulate -- --first ${failed.seed} --seeds 1 --events ${events}\n`)
  return 1
}

/** One after the other, beside the processes of the other seeds. */
async function firstDiffering(seeds, events) {
  for (const seed of seeds) {
    const {failure} = await playTwice({seed, events})
    if (failure !== undefined) return {seed, failure}
  }
  return undefined
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main()
