/**
 * Finds a real program: as ATLAS_<NAME>, on PATH, in the cache (README.md beside this file). Downloads none.
 * src/demo/lab/programs.ts does the same for the demo: it is TypeScript and shipped, and this file runs on Node 18 before the first compilation.
 */
import {spawnSync} from 'node:child_process'
import {accessSync, constants, statSync} from 'node:fs'
import {delimiter, join} from 'node:path'
import {cachePath} from '../setup/cache.mjs'
import {variableOf} from './catalogue.mjs'

/**
 * The path of the program; undefined when this machine has none that fits.
 * @param {import('./catalogue.mjs').Program} program
 * @returns {string | undefined}
 * @throws {Error} when ATLAS_<NAME> is not an executable file
 */
export function findProgram(program) {
  const variable = variableOf(program.name)
  const named = process.env[variable]
  if (named) {
    if (!isExecutable(named)) throw new Error(`${variable} names ${named}, which is not an executable file: correct it or unset it`)
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

function onPath({name, onPath: names = [name], versionArgs = ['--version'], fits}) {
  const directories = (process.env.PATH ?? '').split(delimiter).filter(directory => directory !== '')
  const candidates = directories.flatMap(directory => names.map(called => join(directory, called)))
  return candidates.find(path => isExecutable(path) && fits(outputOf(path, versionArgs)))
}

function outputOf(path, args) {
  const {stdout, stderr} = spawnSync(path, args, {encoding: 'utf8', timeout: 10_000})
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
