/** Finds a Node that package.json's `engines` allows, or downloads one into the cache. */
import {existsSync, renameSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {fits} from '../../bin/engines.js'
import {cachePath, makeWhole} from './cache.mjs'
import {runQuietly} from './child.mjs'
import {withLock} from './lock.mjs'
import {nodeVersion, npmCommand, npmFlags} from './npm.mjs'

const major = 24

/**
 * The Node to run with: `ATLAS_NODE`, this one, the cache's, else a new one from npm.
 * @param {string} range of package.json's `engines`
 * @param {(text: string) => void} tell
 * @returns {Promise<{path: string, version: string}>}
 */
export async function ensureNode(range, tell) {
  const named = process.env.ATLAS_NODE
  if (named) {
    const version = nodeVersion(named)
    if (version === undefined || !fits(version, range))
      throw new Error(`ATLAS_NODE names ${named} (${version ?? 'it does not run'}), and Atlas needs Node ${range}: correct it or unset it`)
    return {path: named, version}
  }
  if (fits(process.versions.node, range)) return {path: process.execPath, version: process.versions.node}
  const home = cachePath('node', `${process.platform}-${process.arch}-${major}`)
  return cached(home, range) ?? withLock(cachePath('locks', 'node.lock'), () => fetchNode(home, range, tell))
}

function cached(home, range) {
  const path = join(home, 'bin', 'node')
  const version = existsSync(path) ? nodeVersion(path) : undefined
  return version !== undefined && fits(version, range) ? {path, version} : undefined
}

async function fetchNode(home, range, tell) {
  const there = cached(home, range)
  if (there !== undefined) return there
  const name = `node-${process.platform}-${process.arch}`
  tell(`this is Node ${process.versions.node}; fetching Node ${major} into ${home}`)
  await makeWhole(home, async directory => {
    if (existsSync(home)) renameSync(home, join(directory, 'old'))
    const [npm, ...first] = npmCommand()
    await runQuietly(npm, [...first, 'install', '--prefix', directory, '--no-package-lock', ...npmFlags, `${name}@${major}`])
    renameSync(join(directory, 'node_modules', name, 'bin'), join(directory, 'bin'))
    rmSync(join(directory, 'node_modules'), {recursive: true})
  })
  const fresh = cached(home, range)
  if (fresh === undefined)
    throw new Error(`npm's ${name}@${major} does not run here or is not ${range}: install Node ${major} yourself, or set ATLAS_NODE`)
  return fresh
}
