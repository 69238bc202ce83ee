/** One dry run of the release for all tests of a process, in a folder that is removed at its end, with helpers to read the files. */
import {execFile, spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {promisify} from 'node:util'
import {type Ran, ranOf} from './ran.js'

export const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

export const {version} = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {version: string}

/** Runs `npm run release -- …args` with a umask and variables; resolves also when it fails. */
export async function release(
  args: readonly string[],
  {umask = '022', env = {}}: {umask?: string; env?: NodeJS.ProcessEnv} = {},
): Promise<Ran> {
  const script = `umask ${umask}; exec "$0" "$@"`
  const child = spawn('/bin/sh', ['-c', script, process.execPath, join(checkout, 'scripts/launch.mjs'), 'release', ...args], {
    env: {...process.env, SOURCE_DATE_EPOCH: undefined, ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return ranOf(child)
}

export interface DryRun {
  /** The files of dist/release. */
  readonly made: string
  /** The image's build context, unpacked. */
  readonly context: string
}

let dryRun: Promise<DryRun> | undefined

/** Made at the first call, in about ten seconds. */
export function releaseOnce(): Promise<DryRun> {
  return (dryRun ??= make())
}

async function make(): Promise<DryRun> {
  const [made, context] = [temporary('made'), temporary('context')]
  const {code, stderr} = await release(['--dry-run', '--output', made])
  if (code !== 0) throw new Error(stderr)
  await promisify(execFile)('tar', ['-xzf', join(made, `atlas-image-context-${version}.tar.gz`), '-C', context])
  return {made, context}
}

/** A folder that is removed when the process ends. */
export function temporary(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `atlas-release-${name}-`))
  if (folders.length === 0) process.once('exit', () => folders.forEach(one => rmSync(one, {recursive: true, force: true})))
  folders.push(folder)
  return folder
}

const folders: string[] = []
