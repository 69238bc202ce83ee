/** Finds a real program: as ATLAS_<NAME>, on PATH, in the cache (README.md beside this file). Brings none. */
import {spawnSync} from 'node:child_process'
import {accessSync, constants, statSync} from 'node:fs'
import {delimiter, join} from 'node:path'
import {cachePath} from '../setup/cache.mjs'

/**
 * Where the program is; undefined when this machine has none that fits.
 * @param {import('./catalogue.mjs').Program} program
 * @returns {string | undefined}
 * @throws {Error} when ATLAS_<NAME> names something that can't be run
 */
export function findProgram(program) {
  const variable = `ATLAS_${program.name.toUpperCase()}`
  const named = process.env[variable]
  if (named) {
    if (!isExecutable(named)) throw new Error(`${variable}: wanted a program, got ${named}, which can't be run: correct it or unset it`)
    return named
  }
  return onPath(program) ?? inCache(program)
}

/** @param {import('./catalogue.mjs').Program} program */
export function cachedBinary(program) {
  return join(homeInCache(program), program.name)
}

/** @param {import('./catalogue.mjs').Program} program */
export function homeInCache({name, version}) {
  return cachePath('programs', `${name}-${version}`)
}

function inCache(program) {
  const binary = cachedBinary(program)
  return isExecutable(binary) ? binary : undefined
}

function onPath({name, fits}) {
  const candidates = (process.env.PATH ?? '').split(delimiter).filter(directory => directory !== '')
  return candidates.map(directory => join(directory, name)).find(path => isExecutable(path) && fits(versionOf(path)))
}

function versionOf(path) {
  const {stdout, stderr} = spawnSync(path, ['--version'], {encoding: 'utf8', timeout: 10_000})
  return `${stdout ?? ''}${stderr ?? ''}`
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
