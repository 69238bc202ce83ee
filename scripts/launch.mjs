/**
 * `npm run …` starts here: sets up Node, packages, generated code and dist as far as they are out of date, then runs the task.
 * Needs only Node 18. The tasks are in scripts/tasks.
 */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {cachePath, emptyCache} from './setup/cache.mjs'
import {compile, environmentFor, preparePackages, root} from './setup/checkout.mjs'
import {runInForeground} from './setup/child.mjs'
import {ensureNode} from './setup/node.mjs'
import {ensureNpm} from './setup/npm.mjs'

/** Each task: its script, and what is prepared before: packages, or dist too. `check` and `test` compile as one of their steps. */
const tasks = {
  demo: {script: 'scripts/tasks/demo.mjs', ready: 'dist'},
  test: {script: 'scripts/tasks/test.mjs', ready: 'packages'},
  check: {script: 'scripts/tasks/check.mjs', ready: 'packages'},
  coverage: {script: 'scripts/tasks/coverage.mjs', ready: 'dist'},
  generate: {script: 'scripts/tasks/generate.mjs', ready: 'dist'},
  format: {script: 'node_modules/prettier/bin/prettier.cjs', args: ['--write', '.'], ready: 'packages'},
  simulate: {script: 'scripts/tasks/simulate.mjs', ready: 'dist'},
  bench: {script: 'scripts/tasks/bench.mjs', ready: 'dist'},
  release: {script: 'scripts/tasks/release.mjs', ready: 'dist'},
  build: {ready: 'dist'},
  programs: {script: 'scripts/programs/main.mjs', ready: 'nothing'},
}

const [name = '', ...args] = process.argv.slice(2)
const tell = text => process.stderr.write(`atlas: ${text}\n`)

try {
  process.exitCode = await launch()
} catch (error) {
  tell(error.message)
  // A program that reads the last line of a test run finds the result here, too.
  if (name === 'test') process.stdout.write('0 passed, 1 failed\n')
  process.exitCode = 1
}

async function launch() {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined
  if (task === undefined) throw new Error(`there is no task '${name}': use one of ${Object.keys(tasks).join(', ')}`)
  if (name === 'demo' && args.includes('--clean')) {
    if (args.length > 1) throw new Error("'--clean' deletes what the demo has downloaded and starts nothing: use it alone")
    emptyCache()
    tell(`deleted all that was downloaded and built in ${cachePath()}`)
    return 0
  }
  const {engines} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const node = await ensureNode(engines.node, tell)
  if (task.ready !== 'nothing') {
    node.npm = await ensureNpm(node, engines.node, tell)
    await preparePackages(node, tell)
  }
  if (task.ready === 'dist') await compile(node, tell)
  if (task.script === undefined) return 0
  return runInForeground(node.path, [join(root, task.script), ...(task.args ?? []), ...args], {cwd: root, env: environmentFor(node)})
}
