/** The gate: every check that is not a test. Steps run two at a time; each shows its time, and what it found. */
import {availableParallelism} from 'node:os'
import {join} from 'node:path'
import {compile, root} from '../setup/checkout.mjs'
import {runQuietly} from '../setup/child.mjs'
import {checkCitations} from './citations.mjs'
import {unlessUnchanged} from './unchanged.mjs'
import {checkWords} from './words.mjs'

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} what
 * @property {string[]} [run] a script and its arguments, for Node
 * @property {() => Promise<void>} [work]
 * @property {boolean} [first] runs alone, before the others
 * @property {boolean} [kept] reads files of the checkout alone, and has no better cache: it is left out while none of them has changed
 *
 * @typedef {{name: string, ok: boolean, seconds: number, output: string}} Verdict
 */

/** The step that compiles `src`: what runs `dist` waits for it. */
export const COMPILES = 'types'

/** Steps keep their caches here. ESLint has none of its own, since its rules read types of other files. */
const caches = 'node_modules/.cache/atlas'

/** The slowest step starts first. @type {Step[]} */
const steps = [
  {name: COMPILES, what: 'src compiles', first: true, work: () => compile({path: process.execPath})},
  {name: 'lint', what: 'eslint', run: ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0'], kept: true},
  {
    name: 'test-types',
    what: 'test and bench compile',
    run: [
      'node_modules/typescript/bin/tsc',
      '-p',
      'tsconfig.test.json',
      '--incremental',
      '--tsBuildInfoFile',
      `${caches}/test.tsbuildinfo`,
    ],
  },
  {
    name: 'imports',
    what: 'the floors of the house',
    run: ['node_modules/dependency-cruiser/bin/dependency-cruiser.mjs', 'src', 'bin', 'scripts', 'test', 'bench'],
    kept: true,
  },
  {name: 'dead-code', what: 'knip', run: ['node_modules/knip/bin/knip.js', '--no-config-hints'], kept: true},
  {
    name: 'format',
    what: 'prettier',
    run: [
      'node_modules/prettier/bin/prettier.cjs',
      '--check',
      '--log-level',
      'warn',
      '--cache',
      '--cache-location',
      `${caches}/prettier`,
      '.',
    ],
  },
  {name: 'citations', what: 'what comments and pages cite is there', work: checkCitations},
  {name: 'words', what: 'plain words', work: checkWords},
  {name: 'generated', what: 'generated files are up to date', run: ['scripts/tasks/generate.mjs', '--check']},
]

/** The names of all other steps. */
export const otherSteps = steps.map(({name}) => name).filter(name => name !== COMPILES)

/**
 * @param {string[]} names of the steps to run; without names all run
 * @param {{write?: (text: string) => void, atOnce?: number}} [how] where the output goes, by default to stderr; how many steps run at the same
 *   time, by default one per core
 * @returns {Promise<Verdict[]>}
 */
export async function runGate(names = [], {write = text => process.stderr.write(text), atOnce = Math.min(availableParallelism(), 4)} = {}) {
  const unknown = names.find(name => !steps.some(step => step.name === name))
  if (unknown !== undefined) throw new Error(`there is no step '${unknown}': use some of ${steps.map(step => step.name).join(', ')}`)
  const wanted = steps.filter(step => names.length === 0 || names.includes(step.name))
  const verdicts = []
  for (const step of wanted.filter(({first}) => first === true)) verdicts.push(await runStep(step, write))
  const queue = wanted.filter(({first}) => first !== true)
  const worker = async () => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) verdicts.push(await runStep(step, write))
  }
  await Promise.all(Array.from({length: atOnce}, worker))
  return verdicts
}

async function runStep({name, what, run, work = async () => runScript(run), kept = false}, write) {
  const start = Date.now()
  let output = ''
  try {
    await (kept ? unlessUnchanged({folder: root, stamp: join(root, caches, `${name}.passed`)}, work) : work())
  } catch (error) {
    output = error.message
  }
  const seconds = (Date.now() - start) / 1000
  write(`${output === '' ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${what}\n`)
  if (output !== '') write(`${output}\n`)
  return {name, ok: output === '', seconds, output}
}

function runScript([script, ...args]) {
  return runQuietly(process.execPath, [join(root, script), ...args], {
    cwd: root,
    keep: 400,
    env: {...process.env, NO_COLOR: '1', FORCE_COLOR: undefined},
  })
}
