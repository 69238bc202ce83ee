/**
 * One process of the simulation: runs its share of the seeds and prints one line of JSON; with `--history`, what happened in its
 * first seed, and as the last line the state that it has come to.
 * Started with symbolic/hook.mjs by scripts/tasks/simulate.mjs.
 */
import {parseArgs} from 'node:util'
import {plantedFaults} from './leader.js'
import {simulate} from './simulate.js'
import {stateOf} from './state.js'
import {namedKeys} from './symbolic/signer.js'

const {values} = parseArgs({
  options: {
    first: {type: 'string', default: '1'},
    seeds: {type: 'string', default: '1'},
    step: {type: 'string', default: '1'},
    events: {type: 'string', default: '300'},
    planted: {type: 'string'},
    history: {type: 'boolean', default: false},
  },
})
const [first, seeds, step, events] = [values.first, values.seeds, values.step, values.events].map(Number)
const options = {events: events ?? 0, signer: namedKeys, planted: plantedFaults.find(fault => fault === values.planted)}
const tell = values.history ? (line: string): unknown => process.stdout.write(`${line}\n`) : undefined
const sum = {seeds: 0, rotations: 0, years: 0}
let failed: {readonly seed: number; readonly failure: string} | undefined

for (let seed = first ?? 0; seed < (first ?? 0) + (seeds ?? 0) && failed === undefined; seed += step ?? 1) {
  const {network, failure, rotations} = simulate(seed, {...options, tell})
  sum.seeds += 1
  sum.rotations += rotations
  sum.years += network.years
  if (failure !== undefined) failed = {seed, failure}
  if (values.history) process.stdout.write(`${stateOf(network.store.fleet)}\n`)
}

if (!values.history) process.stdout.write(`${JSON.stringify({...sum, failed})}\n`)
