/**
 * The files of a directory store, and the objects in them, read once per version. What is known of them: known-files.ts; reading one file:
 * object-file.ts; writing: write.ts.
 */
import type {BigIntStats} from 'node:fs'
import {lstat, readdir} from 'node:fs/promises'
import path from 'node:path'
import type {Manifest} from '../../manifest/manifest.js'
import {UNKNOWN_KIND} from '../../manifest/unreadable.js'
import {renderYaml} from '../../manifest/yaml.js'
import {AtlasError} from '../../model/errors.js'
import {type ObjectKey, objectKey} from '../../model/names.js'
import type {StoredObject} from '../objects.js'
import {type Exposures, openExposures} from './exposed.js'
import {type Follower, type KnownFile, openKnownFiles} from './known-files.js'
import {conventionalName, isUnread, readObjectFile, revisionOf, sourceOf} from './object-file.js'
import {errnoOf, missing, remove, replace, unreachable} from './write.js'

/** A file that was changed less than this before it was read may change again without another time. Milliseconds. */
const RACY_MS = 2000n

/** The objects of one directory, remembered between reads. */
export interface Files {
  /** Every object, from the files as they are now. @throws AtlasError `unreachable` */
  scan(): Promise<readonly StoredObject[]>
  /** Reads some files as they are now, by their names. @throws AtlasError `unreachable` */
  refresh(names: Iterable<string>): Promise<void>
  /**
   * Reads files that are new, and forgets those that are gone, so that an object is found under any name; the others were read less than
   * `maxAgeMs` ago, and `read` reads those of its object again. @returns the hidden files @throws AtlasError `unreachable`
   */
  catchUp(maxAgeMs: number): Promise<readonly string[]>
  /** Whether a file could not be read when it was last tried, for whatever reason. */
  hasUnread(): boolean
  follow(): Follower
  /** The object under `key`, from its file as it is now; in a file of another name only if a scan has seen it there. */
  read(key: ObjectKey): Promise<StoredObject | undefined>
  /** Writes or deletes the object that `read` returned last. @throws AtlasError `conflict` where its file has changed since */
  write(key: ObjectKey, manifest: Manifest | undefined): Promise<string | undefined>
}

/**
 * @param options.create whether a directory that does not exist counts as empty
 * @param options.exposures is told of files with keys that other users could read
 */
export function openFiles(
  directory: string,
  {create, exposures = openExposures(directory)}: {readonly create: boolean; readonly exposures?: Pick<Exposures, 'add' | 'tell'>},
): Files {
  const known = openKnownFiles()
  /** When the last complete scan began. */
  let scannedAt = Number.NEGATIVE_INFINITY
  /** A directory that has existed and does not any more is lost, not empty. */
  let wasSeen = false

  async function scan(): Promise<readonly StoredObject[]> {
    const began = performance.now()
    const names = (await listing()).filter(isObjectFile).sort()
    await refresh(names)
    forgetOthers(names)
    scannedAt = began
    return distinct(names.flatMap(name => known.get(name)?.object ?? []))
  }

  async function refresh(names: Iterable<string>): Promise<void> {
    await inBatches([...names], async name => known.set(name, await look(name))).finally(exposures.tell)
  }

  async function catchUp(maxAgeMs: number): Promise<readonly string[]> {
    if (performance.now() - scannedAt > maxAgeMs) await scan()
    const [names, hidden]: [string[], string[]] = [[], []]
    for (const name of await listing())
      if (name.startsWith('.')) hidden.push(name)
      else if (isObjectFile(name)) names.push(name)
    const fresh = names.filter(name => known.get(name) === undefined)
    await refresh(fresh)
    if (known.size() > names.length) forgetOthers(names)
    return hidden
  }

  function forgetOthers(names: readonly string[]): void {
    const present = new Set(names)
    for (const name of known.names()) if (!present.has(name)) known.set(name, undefined)
  }

  async function listing(): Promise<readonly string[]> {
    try {
      const names = await readdir(directory)
      wasSeen = true
      return names
    } catch (error) {
      if (wasSeen || errnoOf(error) !== 'ENOENT') throw unreachable(directory, error)
      if (create) return []
      throw missing(directory, error)
    }
  }

  async function look(name: string): Promise<KnownFile | undefined> {
    const file = path.join(directory, name)
    let stat: BigIntStats
    try {
      stat = await lstat(file, {bigint: true})
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return name.includes('\uFFFD') ? unnamed(name) : undefined
      throw unreachable(directory, error)
    }

    const before = known.get(name)
    const stamp = stampOf(stat)
    if (before?.stamp === stamp) return before
    const now = BigInt(Date.now())
    const object = await readObjectFile(file, stat, before?.object, exposures.add)
    // A file that could not be read is read again each time: too many open files, or a server of files that is away, change no time of it.
    return {stamp: isUnread(object) || now - stat.ctimeMs < RACY_MS ? '' : stamp, object}
  }

  /** The files that hold an object, of those in which it was seen last. */
  async function filesOf(key: ObjectKey): Promise<readonly string[]> {
    await refresh(new Set([...known.namesOf(key), conventionalName(key)]))
    return known.namesOf(key)
  }

  /** A name that no other object's file has. */
  async function freeName(key: ObjectKey): Promise<string> {
    for (let count = 1; ; count += 1) {
      const name = count === 1 ? conventionalName(key) : conventionalName(key).replace(/yaml$/, `${count}.yaml`)
      if ((await look(name)) === undefined) return name
    }
  }

  return {
    scan,
    refresh,
    catchUp,
    hasUnread: known.hasUnread,
    follow: known.follow,
    async read(key) {
      const objects = (await filesOf(key)).map(name => known.get(name)?.object)
      return distinct(objects.filter(object => object !== undefined)).find(object => object.key === key)
    },
    async write(key, manifest) {
      const name = known.namesOf(key)[0] ?? (await freeName(key))
      const file = path.join(directory, name)
      const expected = known.get(name)?.object.revision
      const check = async (): Promise<void> => {
        if ((await look(name))?.object.revision !== expected)
          throw new AtlasError('conflict', `${name} in ${directory} was changed by another process at the same time`, {
            hint: 'run the command again',
          })
      }

      if (manifest === undefined) {
        await check()
        await remove(file)
        known.set(name, undefined)
        return undefined
      }

      const text = renderYaml(manifest)
      await replace(file, text, manifest.kind === 'Secret' ? 0o600 : 0o644, check)
      const source = sourceOf(name)
      const revision = revisionOf(Buffer.from(text))
      known.set(name, {stamp: '', object: {key, revision, manifest, source}})
      return revision
    },
  }
}

/** Whether a name in the directory counts: hidden files are drafts, locks, and editors'. */
export function isObjectFile(name: string): boolean {
  return name.endsWith('.yaml') && !name.startsWith('.')
}

function stampOf(stat: BigIntStats): string {
  return [stat.ino, stat.mtimeNs, stat.ctimeNs, stat.size, stat.mode].join(':')
}

function unnamed(name: string): KnownFile {
  const why = 'its name must be in UTF-8; it holds other bytes'
  return {stamp: '', object: {key: objectKey(UNKNOWN_KIND, sourceOf(name)), revision: 'unnamed', manifest: undefined, broken: why}}
}

/**
 * The same object in two files is an error that names both: neither is used. A file that can't be read counts as the object of its
 * name, or that it held before, only where no readable file holds that object.
 */
function distinct(objects: readonly StoredObject[]): readonly StoredObject[] {
  const readable = new Set(objects.filter(object => object.manifest !== undefined).map(object => object.key))
  const byKey = new Map<ObjectKey, StoredObject[]>()
  for (const object of objects) {
    const isSure = object.manifest !== undefined || !readable.has(object.key)
    const key = isSure ? object.key : objectKey(UNKNOWN_KIND, object.source ?? '')
    byKey.set(key, [...(byKey.get(key) ?? []), isSure ? object : {...object, key}])
  }

  return [...byKey.values()].map(same => merged(same))
}

function merged(same: readonly StoredObject[]): StoredObject {
  const [first] = same
  if (same.length === 1 && first !== undefined) return first
  const joined = (texts: readonly string[], by: string): string => [...texts].sort().join(by)
  const source = joined(
    same.map(object => object.source ?? ''),
    ' and ',
  )
  return {
    key: first?.key ?? '',
    revision: joined(
      same.map(object => object.revision),
      '+',
    ),
    manifest: undefined,
    broken: `it is in more than one file, ${source}; remove all but one`,
    sealed: true,
    source,
  }
}

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += 64) await Promise.all(items.slice(from, from + 64).map(async item => work(item)))
}
