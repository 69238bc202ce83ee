/** The demo's folder: a temporary one that is removed at the end, or the directory that --keep names. */
import {mkdir, mkdtemp, readdir, realpath, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {AtlasError, accessHint, messageOf} from '../../lib/model/errors.js'
import {FOLDER_PREFIX, endLeftovers} from './registry.js'

export interface DemoFolder {
  readonly path: string
  readonly isKept: boolean
  /** Removes it unless it is kept. */
  dispose(): Promise<void>
}

/**
 * Stops the processes and removes the folders of demos that were killed together with their guard, then makes a folder.
 * @param keep a directory that is empty or does not exist yet; undefined: a temporary one
 * @throws AtlasError `conflict` when the directory to keep is not empty
 */
export async function openFolder(keep: string | undefined): Promise<DemoFolder> {
  endLeftovers(tmpdir())
  if (keep !== undefined) return {path: await keptFolder(path.resolve(keep)), isKept: true, dispose: async () => undefined}
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), FOLDER_PREFIX)))
  return {path: folder, isKept: false, dispose: async () => rm(folder, {recursive: true, force: true, maxRetries: 3})}
}

async function keptFolder(folder: string): Promise<string> {
  try {
    await mkdir(folder, {recursive: true, mode: 0o700})
    const found = await readdir(folder)
    if (found.length === 0) return await realpath(folder)
  } catch (error) {
    throw new AtlasError('failed', `--keep ${folder} can't be used: ${messageOf(error)}`, {hint: accessHint(error), cause: error})
  }

  throw new AtlasError('conflict', `--keep needs an empty directory; ${folder} has files in it`, {
    hint: 'name another directory, or empty this one',
  })
}
