/** The files of a directory store: which object stands in which, read once per version, written so that a crash leaves old or new. */
import {createHash, randomBytes} from 'node:crypto'
import {type BigIntStats} from 'node:fs'
import {chmod, lstat, open, readFile, readdir, rename, unlink} from 'node:fs/promises'
import path from 'node:path'
import {type Manifest, keyOf, parseManifest} from '../../manifest/manifest.js'
import {parseYaml, renderYaml} from '../../manifest/yaml.js'
import {AtlasError, messageOf, quote} from '../../model/errors.js'
import type {ObjectKey} from '../../model/fleet.js'
import type {StoredObject} from '../objects.js'

/** Larger files are refused: Kubernetes takes objects up to about 1.5 MiB. */
const SIZE_MAX = 4 << 20

export interface Files {
  /** Every object, from the files as they are now. @throws AtlasError `unreachable` */
  scan(): Promise<readonly StoredObject[]>
  /** The object under `key`, from its file as it is now; in a file of another name only if a scan has seen it there. */
  read(key: ObjectKey): Promise<StoredObject | undefined>
  write(key: ObjectKey, manifest: Manifest | undefined): Promise<string | undefined>
}

interface KnownFile {
  /** Differs whenever the file was touched. */
  readonly stamp: string
  readonly object: StoredObject
}

/** The files of a directory as stored objects; reads again only those that have changed. */
export function openFiles(directory: string, {create}: {readonly create: boolean}): Files {
  let known = new Map<string, KnownFile>()

  async function scan(): Promise<readonly StoredObject[]> {
    const names = (await listing(directory, {create})).filter(name => name.endsWith('.yaml') && !name.startsWith('.'))
    const found = await inBatches(names, async name => [name, await look(name)] as const)
    known = new Map(found.filter((entry): entry is readonly [string, KnownFile] => entry[1] !== undefined))
    return withoutDoubles([...known.values()].map(file => file.object))
  }

  async function look(name: string): Promise<KnownFile | undefined> {
    const file = path.join(directory, name)
    const stat = await lstat(file, {bigint: true}).catch(() => undefined)
    if (stat === undefined) return undefined
    const stamp = [stat.ino, stat.mtimeNs, stat.ctimeNs, stat.size, stat.mode].join(':')
    const before = known.get(name)
    if (before?.stamp === stamp) return before
    const object = await readObject(file, stat, before?.object.key ?? guessKey(name))
    // A Secret that others can read is put right as soon as it is seen; the changed mode makes a new stamp, looked at next time.
    if (object.key.startsWith('Secret/') && (stat.mode & 0o077n) !== 0n) await chmod(file, 0o600).catch(() => undefined)
    return {stamp, object}
  }

  /** The files in which an object was seen last, those that are gone or hold another one by now left out. */
  async function filesOf(key: ObjectKey): Promise<readonly (readonly [name: string, file: KnownFile])[]> {
    const names = [...known].filter(([, file]) => file.object.key === key).map(([name]) => name)
    const fresh = new Set([...names, conventional(key)])
    const found: (readonly [string, KnownFile])[] = []
    for (const name of fresh) {
      const file = await look(name)
      if (file === undefined) known.delete(name)
      else known.set(name, file)
      if (file?.object.key === key) found.push([name, file])
    }

    return found
  }

  return {
    scan,
    async read(key) {
      const [object] = withoutDoubles((await filesOf(key)).map(([, file]) => file.object))
      return object
    },
    async write(key, manifest) {
      const [name = conventional(key)] = [...known].find(([, file]) => file.object.key === key) ?? []
      const file = path.join(directory, name)
      known.delete(name)
      if (manifest === undefined) {
        await unlink(file)
        await syncDirectory(directory)
        return undefined
      }

      const text = renderYaml(manifest)
      await replace(file, text, manifest.kind === 'Secret' ? 0o600 : 0o644)
      const written = await look(name)
      if (written !== undefined) known.set(name, written)
      return revisionOf(Buffer.from(text))
    },
  }
}

/** What an object's file is called where nobody has called it otherwise. */
function conventional(key: ObjectKey): string {
  const [kind = '', name = ''] = key.split('/')
  return `${kind.toLowerCase()}-${name}.yaml`
}

/** Writes beside the file, syncs, renames over it, syncs the directory: after a crash the old or the new file stands there, whole. */
export async function replace(file: string, text: string, mode: number): Promise<void> {
  const draft = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`)
  const handle = await open(draft, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }

  await rename(draft, file)
  await syncDirectory(path.dirname(file))
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function listing(directory: string, {create}: {readonly create: boolean}): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (create && error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new AtlasError('unreachable', `the directory ${directory} can't be read: ${messageOf(error)}`, {
      hint: 'name the directory that "atlas init" was run on',
      cause: error,
    })
  }
}

async function readObject(file: string, stat: BigIntStats, key: ObjectKey): Promise<StoredObject> {
  const source = path.basename(file)
  const broken = (revision: string, why: string): StoredObject => ({key, revision, manifest: undefined, broken: why, source})
  if (!stat.isFile())
    return broken(
      `no-file:${stat.mode}`,
      stat.isSymbolicLink() ? 'wanted a file; it is a symbolic link' : 'wanted a file; it is something else',
    )
  if (stat.size > BigInt(SIZE_MAX))
    return broken(`too-large:${stat.size}`, `wanted at most ${SIZE_MAX >> 20} MiB; the file has ${stat.size} bytes`)
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (error) {
    return broken(`unreadable:${stat.ino}:${stat.ctimeNs}`, `it can't be read: ${messageOf(error)}`)
  }

  const revision = revisionOf(bytes)
  try {
    const manifest = parseManifest(parseYaml(decodeUtf8(bytes)))
    return {key: keyOf(manifest), revision, manifest, source}
  } catch (error) {
    return broken(revision, messageOf(error))
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes)
  } catch {
    throw new AtlasError('invalid', 'wanted text in UTF-8; it holds other bytes')
  }
}

/** The object that a file's name speaks of, for one that can't be read: `service-paris.yaml` -> `Service/paris`. */
function guessKey(file: string): ObjectKey {
  const match = /^(service|secret|configmap)-([a-z0-9][-a-z0-9.]*)\.yaml$/.exec(file)
  const kind = {service: 'Service', secret: 'Secret', configmap: 'ConfigMap'}[match?.[1] ?? '']
  return kind === undefined || match?.[2] === undefined ? `File/${quote(file).slice(1, -1)}` : `${kind}/${match[2]}`
}

/** The same object in two files is an error that names both: neither is believed. */
function withoutDoubles(objects: readonly StoredObject[]): readonly StoredObject[] {
  const byKey = new Map<ObjectKey, StoredObject[]>()
  for (const object of objects) byKey.set(object.key, [...(byKey.get(object.key) ?? []), object])
  return [...byKey.values()].map(same => {
    const [first] = same
    if (same.length === 1 && first !== undefined) return first
    const sources = same
      .map(object => object.source ?? '')
      .sort()
      .join(' and ')
    const revision = same
      .map(object => object.revision)
      .sort()
      .join('+')
    return {
      key: first?.key ?? '',
      revision,
      manifest: undefined,
      broken: `it stands in two files, ${sources}; wanted one of them`,
      source: sources,
    }
  })
}

async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = []
  for (let from = 0; from < items.length; from += 64)
    results.push(...(await Promise.all(items.slice(from, from + 64).map(async item => work(item)))))
  return results
}

function revisionOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
