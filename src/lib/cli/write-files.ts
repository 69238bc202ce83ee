/** Writes files that hold keys: mode 0600 in folders of mode 0700, each whole or not at all. */
import {mkdir} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError, messageOf} from '../model/errors.js'
import {replace} from '../store/directory/write.js'

/** @throws AtlasError `failed` where the directory can't be written */
export async function writeFiles(directory: string, files: readonly {readonly path: string; readonly text: string}[]): Promise<void> {
  try {
    for (const file of files) {
      const target = path.join(directory, file.path)
      await mkdir(path.dirname(target), {recursive: true, mode: 0o700})
      await replace(target, file.text, 0o600)
    }
  } catch (error) {
    throw new AtlasError('failed', `can't write into ${directory}: ${messageOf(error)}`, {cause: error})
  }
}
