/**
 * Which npm is called, and on which Node. npm skips optional packages whose `engines` exclude its own Node, native ones among them,
 * so an npm on an old Node is unusable; and Debian's npm runs only on Debian's Node. Then npm is downloaded into the cache, too.
 */
import {execFileSync} from 'node:child_process'
import {existsSync, renameSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {fits} from '../../bin/engines.js'
import {cachePath, makeWhole} from './cache.mjs'
import {runQuietly} from './child.mjs'
import {withLock} from './lock.mjs'

const major = 11

/** Quiet, and without scripts of packages: no package of Atlas needs one. */
export const npmFlags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error', '--prefer-offline']

/**
 * Command and first arguments of the npm that started this process, else of the one on PATH.
 * @returns {[string, ...string[]]}
 */
export function npmCommand() {
  const {npm_execpath: script, npm_node_execpath: node} = process.env
  if (script !== undefined && /npm-cli\.[cm]?js$/.test(script)) return [node ?? process.execPath, script]
  return ['npm']
}

/**
 * Command and first arguments of an npm on a Node that fits: the one of this process, else one in the cache on `node`.
 * @param {{path: string}} node
 * @param {string} range of package.json's `engines`
 * @param {(text: string) => void} tell
 * @returns {Promise<[string, ...string[]]>}
 */
export async function ensureNpm(node, range, tell) {
  const ours = npmCommand()
  const version = nodeVersion(ours.length > 1 ? ours[0] : 'node')
  if (version !== undefined && fits(version, range)) return ours
  const home = cachePath('node', `npm-${major}`)
  const script = join(home, 'npm', 'bin', 'npm-cli.js')
  if (!existsSync(script)) await withLock(cachePath('locks', 'npm.lock'), () => fetchNpm(home, script, tell))
  return [node.path, script]
}

/**
 * The version of a Node; undefined when it does not run.
 * @param {string} path
 */
export function nodeVersion(path) {
  try {
    return execFileSync(path, ['-p', 'process.versions.node'], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim()
  } catch {
    return undefined
  }
}

async function fetchNpm(home, script, tell) {
  if (existsSync(script)) return
  tell(`fetching npm ${major} into ${home}`)
  const [npm, ...first] = npmCommand()
  await makeWhole(home, async directory => {
    await runQuietly(npm, [...first, 'install', '--prefix', directory, '--no-package-lock', ...npmFlags, `npm@${major}`])
    renameSync(join(directory, 'node_modules', 'npm'), join(directory, 'npm'))
    rmSync(join(directory, 'node_modules'), {recursive: true})
  })
}
