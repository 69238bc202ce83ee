/** The files of a directory that other processes write to at the same time. */
import {mkdir, readFile, readdir, stat, writeFile} from 'node:fs/promises'
import path from 'node:path'

export interface LiveFile {
  readonly name: string
  /** The path from the directory that was read. */
  readonly relative: string
  /** The permission bits. */
  readonly mode: number
  readonly content: Buffer
}

/** All files below a directory. A draft or lock that its writer removed after the directory was listed is left out. */
export async function liveFiles(directory: string): Promise<readonly LiveFile[]> {
  const entries = await readdir(directory, {recursive: true, withFileTypes: true})
  const files: LiveFile[] = []
  for (const entry of entries.filter(each => each.isFile())) {
    const file = path.join(entry.parentPath, entry.name)
    try {
      const {mode} = await stat(file)
      files.push({name: entry.name, relative: path.relative(directory, file), mode: mode & 0o777, content: await readFile(file)})
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }

  return files
}

/** Copies a flat directory such as the store of a running server: `fs.cp` fails where a file goes away while it copies. */
export async function copyLive(from: string, to: string): Promise<void> {
  await mkdir(to, {recursive: true})
  for (const {relative, mode, content} of await liveFiles(from)) await writeFile(path.join(to, relative), content, {mode})
}
