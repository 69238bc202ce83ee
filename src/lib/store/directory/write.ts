/** Writes files so that a crash at any moment leaves the old file or the new one, whole; and removes what a crash has left. */
import {randomBytes} from 'node:crypto'
import {type FileHandle, lstat, mkdir, open, rename, stat, unlink} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError, accessHint, messageOf} from '../../model/errors.js'

/**
 * Writes beside the file, syncs, renames over it, syncs the directory.
 * @param check called just before the old file is replaced; if it throws, the old file stays
 * @throws AtlasError `unreachable` where the directory can't be written to, and what `check` throws; the draft is removed then
 */
export async function replace(file: string, text: string, mode: number, check?: () => Promise<void>): Promise<void> {
  const directory = path.dirname(file)
  const draft = path.join(directory, `.${path.basename(file)}.${randomBytes(6).toString('hex')}`)
  try {
    const handle = await open(draft, 'wx', mode)
    try {
      await giveToOwner(handle, directory)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }

    await check?.()
    await rename(draft, file)
    await syncDirectory(directory)
  } catch (error) {
    await unlink(draft).catch(() => undefined)
    throw error instanceof AtlasError ? error : notWritten(file, error)
  }
}

/**
 * Root's files would lock out the user whose directory it is, and that user's server. By the open file, since the user may put a link in
 * the place of its name.
 */
export async function giveToOwner(handle: FileHandle, directory: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const {uid, gid} = await stat(directory)
  if (uid !== 0) await handle.chown(uid, gid)
}

/** @throws AtlasError `invalid` where the folder, or what is above it in its path, is something else, such as a file */
export async function requireFolder(folder: string): Promise<void> {
  const whole = path.resolve(folder)
  // Below a file, and of what does not exist, nothing is found.
  const found = await stat(whole).catch(() => undefined)
  if (found === undefined && path.dirname(whole) !== whole) return requireFolder(path.dirname(whole))
  if (found?.isDirectory() === false)
    throw new AtlasError('invalid', `${whole} is not a directory`, {hint: 'name a directory, or one that does not exist yet'})
}

/**
 * A folder of mode 0700, with those above it. Node's own recursive mkdir never ends where the system answers ENOENT to every try,
 * as /proc does: here each folder is tried twice at most.
 * @throws AtlasError `invalid` as `requireFolder`
 */
export async function makeFolder(folder: string): Promise<void> {
  await requireFolder(folder)
  const made = await madeFolder(folder)
  if (made) return
  await makeFolder(path.dirname(folder))
  if (!(await madeFolder(folder))) throw new Error(`${path.dirname(folder)} takes no new directory`)
}

async function madeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, {mode: 0o700})
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return true
    if (code === 'ENOENT' && path.dirname(folder) !== folder) return false
    throw error
  }
}

/** @throws AtlasError `unreachable` where the file can't be removed */
export async function remove(file: string): Promise<void> {
  try {
    await unlink(file)
    await syncDirectory(path.dirname(file))
  } catch (error) {
    throw notWritten(file, error)
  }
}

/**
 * Removes drafts of writers that were killed: of files at once, since no other process writes while the lock is held; of locks when
 * they are older than any attempt to take a lock.
 * @param hidden the names in the directory that begin with a dot
 */
export async function removeTemporaryFiles(directory: string, hidden: readonly string[]): Promise<void> {
  for (const name of hidden) {
    if (!LOCK_DRAFT.test(name) && !FILE_DRAFT.test(name)) continue
    const file = path.join(directory, name)
    const isOver = FILE_DRAFT.test(name) || (await ageOf(file)) > 60_000
    if (isOver) await unlink(file).catch(() => undefined)
  }
}

/**
 * For a directory in which nothing was ever read.
 * @throws nothing: the error is returned, for the caller to throw
 */
export function missing(directory: string, error: unknown): AtlasError {
  return new AtlasError('not-found', `there is no Atlas in directory ${directory} yet: the directory does not exist`, {
    hint: 'run "atlas init" first, or name with --store (or ATLAS_STORE) the directory of an installation',
    cause: error,
  })
}

/** @throws nothing: the error is returned, for the caller to throw */
export function unreachable(directory: string, error: unknown): AtlasError {
  return new AtlasError('unreachable', `cannot read the directory ${directory}: ${messageOf(error)}`, {
    hint: accessHint(error) ?? 'name the directory of an installation',
    cause: error,
  })
}

/** The code of a system's error, such as `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

const FILE_DRAFT = /^\..+\.yaml\.[0-9a-f]{12}$/
const LOCK_DRAFT = /^\.lock-[0-9a-f]{16}$|^\.(commit|serve)\.lock\./

function notWritten(file: string, error: unknown): AtlasError {
  const what = errnoOf(error) === 'EISDIR' ? 'there is a directory of that name' : messageOf(error)
  return new AtlasError('unreachable', `cannot write ${path.basename(file)} to the directory ${path.dirname(file)}: ${what}`, {
    hint: accessHint(error, 'store') ?? 'the store must be writable, with room on its disk; then run the command again',
    cause: error,
  })
}

async function ageOf(file: string): Promise<number> {
  const stat = await lstat(file).catch(() => undefined)
  return stat === undefined ? 0 : Date.now() - stat.mtimeMs
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
