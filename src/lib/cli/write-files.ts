/** Writes files that hold keys: mode 0600 in folders of mode 0700, each whole or not at all. */
import {readFile} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError, messageOf} from '../model/errors.js'
import {makeFolder, replace} from '../store/directory/write.js'

/** @throws AtlasError `failed` where the directory can't be written */
export async function writeFiles(directory: string, files: readonly {readonly path: string; readonly text: string}[]): Promise<void> {
  try {
    for (const file of files) {
      const target = path.join(directory, file.path)
      await makeFolder(path.dirname(target))
      await replace(target, file.text, 0o600)
    }
  } catch (error) {
    throw new AtlasError('failed', `can't write into ${directory}: ${messageOf(error)}`, {cause: error})
  }
}

/**
 * Refuses to write one Envoy's files over another's.
 * @param file the bootstrap below `directory`
 * @throws AtlasError `conflict` where a bootstrap of another cluster or node stands there
 */
export async function refuseOther(directory: string, file: string, wanted: {readonly cluster: string; readonly id: string}): Promise<void> {
  const text = await readFile(path.join(directory, file), 'utf8').catch(() => undefined)
  if (text === undefined) return
  const present = nodeOf(text)
  if (present?.cluster === wanted.cluster && present.id === wanted.id) return
  throw new AtlasError(
    'conflict',
    `${directory} holds the files of ${present === undefined ? 'something else' : `node ${present.id} of ${present.cluster}`}, not of node ${wanted.id} of ${wanted.cluster}`,
    {hint: 'name another --output, or remove that folder first'},
  )
}

function nodeOf(bootstrap: string): {readonly cluster: string; readonly id: string} | undefined {
  try {
    const {node} = JSON.parse(bootstrap) as {node?: {cluster?: unknown; id?: unknown}}
    return typeof node?.cluster === 'string' && typeof node.id === 'string' ? {cluster: node.cluster, id: node.id} : undefined
  } catch {
    return undefined
  }
}
