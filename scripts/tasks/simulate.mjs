/**
 * `npm run simulate`: the simulation of test/simulation, `--seeds N` from `--first SEED` on, in as many processes as there are cores. Prints
 * the history of the first seed that fails. `--history` prints that of `--first`, failed or not.
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

function run(args) {
  const hook = join(root, 'test/simulation/symbolic/hook.mjs')
  const main = join(root, 'test/simulation/main.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', '--import', hook, main, ...args.map(String)], {
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
  const {failed, ...done} = await simulateSeeds({first, seeds, events, planted: values.planted})
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  process.stdout.write(`${done.seeds} seeds, ${done.rotations} rotations, ${Math.round(done.years)} years in ${seconds} s\n`)
  if (failed === undefined) return 0
  const lines = (await historyOf({seed: failed.seed, events, planted: values.planted})).trimEnd().split('\n').slice(0, -1)
  process.stdout.write(`${lines.slice(-LAST).join('\n')}\n\nseed ${failed.seed}: ${failed.failure}\n`)
  process.stdout.write(`again: npm run simulate -- --first ${failed.seed} --seeds 1 --events ${events}\n`)
  return 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main()
