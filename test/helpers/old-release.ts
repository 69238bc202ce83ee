/**
 * An earlier commit of this repository as a program: checked out, compiled once, and kept in the cache beside the real programs.
 * A clone without the commit (a shallow one) has none.
 */
import {execFileSync} from 'node:child_process'
import {existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync} from 'node:fs'
import {homedir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {runBin} from './atlas.js'
import type {Ran} from './ran.js'

const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** The files of a checkout that the compiler needs, without tests and documents. */
const PARTS = ['bin', 'src', 'proto', 'package.json', 'tsconfig.json', 'buf.gen.yaml', 'buf.yaml', 'oclif.manifest.json']

export interface OldRelease {
  /** `bin/run.js` of that commit. */
  readonly bin: string
  /** Runs its command line on a directory store, as a process. @throws Error with what it printed, where it ends with another code than 0 */
  run(...args: string[]): Promise<Ran>
}

/** Whether this clone has the commit. */
export function hasCommit(commit: string): boolean {
  try {
    execFileSync('git', ['-C', checkout, 'cat-file', '-e', `${commit}^{commit}`], {stdio: 'ignore'})
    return true
  } catch {
    return false
  }
}

/**
 * The program of `commit`, compiled with the packages of this checkout. Types are not checked: a package may have changed since,
 * and the program was checked when it was written.
 * @throws Error where the commit is missing or does not compile
 */
export function oldRelease(commit: string): OldRelease {
  const folder = path.join(cacheFolder(), 'releases', `atlas-${commit}`)
  if (!existsSync(folder)) compileInto(folder, commit)
  // The packages are those of the running checkout: the one that compiled it may be deleted.
  rmSync(path.join(folder, 'node_modules'), {force: true})
  symlinkSync(path.join(checkout, 'node_modules'), path.join(folder, 'node_modules'))
  const bin = path.join(folder, 'bin', 'run.js')
  return {bin, run: async (...args) => runOnce(bin, args)}
}

/** The cache that `npm run` uses (scripts/setup/cache.mjs). */
function cacheFolder(): string {
  const set = (name: string): string | undefined => (process.env[name] === '' ? undefined : process.env[name])
  return set('ATLAS_CACHE') ?? path.join(set('XDG_CACHE_HOME') ?? path.join(homedir(), '.cache'), 'atlas')
}

/** Compiles in a temporary folder and renames it, so that a folder in the cache is complete. */
function compileInto(folder: string, commit: string): void {
  mkdirSync(path.dirname(folder), {recursive: true})
  const draft = mkdtempSync(`${folder}.`)
  try {
    const archive = execFileSync('git', ['-C', checkout, 'archive', commit, ...PARTS], {maxBuffer: 64 * 1024 * 1024})
    execFileSync('tar', ['-x', '-C', draft], {input: archive})
    symlinkSync(path.join(checkout, 'node_modules'), path.join(draft, 'node_modules'))
    const env = {...process.env, PATH: `${path.join(draft, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`}
    const node = (script: string, ...args: string[]): Buffer =>
      execFileSync(process.execPath, [path.join('node_modules', script), ...args], {cwd: draft, env, stdio: ['ignore', 'pipe', 'pipe']})
    node('@bufbuild/buf/bin/buf', 'generate')
    node('typescript/bin/tsc', '-p', 'tsconfig.json', '--noCheck')
    if (!existsSync(folder)) renameSync(draft, folder)
  } finally {
    rmSync(draft, {recursive: true, force: true})
  }
}

async function runOnce(bin: string, args: readonly string[]): Promise<Ran> {
  const ran = await runBin(bin, args)
  if (ran.code !== 0) throw new Error(`the earlier release: atlas ${args.join(' ')} ended with ${String(ran.code)}: ${ran.stderr}`)
  return ran
}
