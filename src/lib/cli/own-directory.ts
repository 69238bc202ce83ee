/** Directories for private keys, such as that of `--request`: only the user of the command may put files into them. */
import {realpathSync, statSync} from 'node:fs'
import {type FileHandle, open, unlink} from 'node:fs/promises'
import path from 'node:path'
import {AtlasError, accessHint, messageOf, quote} from '../model/errors.js'
import type {OutputFile} from '../ops/cluster/values.js'
import {ignoreKeys} from '../store/directory/gitignore.js'
import {errnoOf, makeFolder} from '../store/directory/write.js'

/**
 * A directory that does not exist is no fault: the caller that reads in it says so.
 * @param flag that names the directory
 * @throws AtlasError `invalid` for a directory of another user, or one that other users may write to; `failed` where it cannot be looked at
 */
export function requireOwn(directory: string, flag: '--certificate' | '--request'): void {
  const user = process.geteuid?.()
  const found = lookAt(directory, flag)
  if (user === undefined || found === undefined) return
  const [place, mode] = [quote(directory), (found.mode & 0o7777).toString(8).padStart(4, '0')]
  const whose = found.uid === user ? undefined : `${place} belongs to another user (uid ${found.uid}; this is uid ${user})`
  const why = whose ?? ((found.mode & WRITTEN_BY_OTHERS) === 0 ? undefined : `other users may write to ${place} (mode ${mode})`)
  if (why === undefined) return
  const repair = whose === undefined ? 'chmod go-w' : `chown ${user}`
  throw new AtlasError('invalid', `${flag}: ${why}, ${whose === undefined ? 'and' : 'who'} could replace the keys and requests in it`, {
    hint:
      flag === '--request'
        ? `name another directory, such as one that does not exist yet; or run "${repair}" on this one`
        : `if no other user has changed a file in it, run "${repair}" on it; otherwise begin again: --request with another directory`,
  })
}

/**
 * Atlas reads every file in its directory, and the rules there that keep its keys out of git do not name these. A copy or backup of the store has
 * what is in the folders below it, too: keys that nothing needs any more once their certificates are in use.
 * @param store the directory of the store; undefined: the store is in Kubernetes
 * @throws AtlasError `invalid` where requests would be written into it, or into a folder below it
 */
export function requireNotStore(directory: string, store: string | undefined): void {
  if (store === undefined) return
  const [place, whole] = [placeOf(directory), placeOf(store)]
  if (place !== whole && !place.startsWith(whole.endsWith(path.sep) ? whole : `${whole}${path.sep}`)) return
  const where = place === whole ? 'is the directory of the store' : `is below ${quote(store)}, the directory of the store`
  throw new AtlasError('invalid', `--request: ${quote(directory)} ${where}, whose copies and backups would hold what is written there`, {
    hint: 'name a directory outside of it, such as one that does not exist yet',
  })
}

/** Without links, as far as it exists. */
function placeOf(directory: string): string {
  try {
    return realpathSync(directory)
  } catch {
    const whole = path.resolve(directory)
    return path.dirname(whole) === whole ? whole : path.join(placeOf(path.dirname(whole)), path.basename(whole))
  }
}

/**
 * Creates files of mode 0600 that were not there before, all or none, in a directory which is made if need be and must be this user's own.
 * @param keys which of the files git must not take
 * @returns as `ignoreKeys`
 * @throws AtlasError `conflict` where there is a file of that name, which stays as it is; `invalid` as `requireOwn`; `failed` where they
 * cannot be written
 */
export async function createInOwn(
  directory: string,
  files: readonly OutputFile[],
  keys: readonly string[] = [],
): Promise<string | undefined> {
  const created: string[] = []
  try {
    await makeFolder(directory)
    requireOwn(directory, '--request')
    const ignored = await ignoreKeys(directory, keys)
    for (const file of files) {
      const target = path.join(directory, file.path)
      const handle = await openNew(target)
      created.push(target)
      try {
        await handle.writeFile(file.text)
        await handle.sync()
      } finally {
        await handle.close()
      }
    }

    return ignored
  } catch (error) {
    for (const file of created) await unlink(file).catch(() => undefined)
    if (error instanceof AtlasError) throw error
    throw new AtlasError('failed', `cannot write into ${directory}: ${messageOf(error)}`, {hint: accessHint(error), cause: error})
  }
}

/** Opens no file that exists, and follows no link. */
async function openNew(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx', 0o600)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw new AtlasError('conflict', `${path.dirname(file)} has ${path.basename(file)} of an earlier request already`, {
      hint: 'take another directory; or delete this one, if no certificate is expected for it',
      cause: error,
    })
  }
}

/** By its group, and by all users. */
const WRITTEN_BY_OTHERS = 0o022

function lookAt(directory: string, flag: string) {
  try {
    return statSync(directory, {throwIfNoEntry: false})
  } catch (error) {
    throw new AtlasError('failed', `${flag}: cannot look at ${quote(directory)}: ${messageOf(error)}`, {
      hint: accessHint(error),
      cause: error,
    })
  }
}
