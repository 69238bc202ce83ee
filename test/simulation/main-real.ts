/**
 * A process that plays one seed with real keys, sessions and a directory: prints its history, as main.ts does, then the state, and what was
 * found as a line of JSON. Started without symbolic/hook.mjs by scripts/tasks/simulate.mjs.
 */
import {parseArgs} from 'node:util'
import {simulateReal} from './real.js'

const {values} = parseArgs({options: {seed: {type: 'string', default: '1'}, events: {type: 'string', default: '300'}}})
const {state, ...found} = await simulateReal(Number(values.seed), Number(values.events), line => process.stdout.write(`${line}\n`))
process.stdout.write(`${state}\n${JSON.stringify(found)}\n`)
