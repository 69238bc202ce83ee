/** One file of a directory store: the object that it holds, or why it can't be read; and its name. */
import {createHash} from 'node:crypto'
import {type BigIntStats, constants} from 'node:fs'
import {type FileHandle, open} from 'node:fs/promises'
import path from 'node:path'
import {keyOf, parseManifest} from '../../manifest/manifest.js'
import {UNKNOWN_KIND} from '../../manifest/unreadable.js'
import {parseYaml} from '../../manifest/yaml.js'
import {AtlasError, messageOf, quote} from '../../model/errors.js'
import {type ObjectKey, objectKey, parseObjectKey} from '../../model/names.js'
import type {StoredObject} from '../objects.js'
import type {ExposedFile} from './exposed.js'
import {errnoOf} from './write.js'

/** Larger files are refused; Kubernetes refuses objects above about 1.5 MiB. */
const SIZE_MAX = 4 << 20

/** The name that Atlas gives to an object's file. */
export function conventionalName(key: ObjectKey): string {
  const {kind, name} = parseObjectKey(key)
  return `${kind.toLowerCase()}-${name}.yaml`
}

/** A file's name for messages and keys: an odd one is quoted, so that it can't forge a line. */
export function sourceOf(name: string): string {
  return /^[\w.@+-]{1,120}$/.test(name) ? name : quote(name)
}

/** SHA-256 of a file's bytes, lower-case hex. */
export function revisionOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The revision of a file that could not be opened or read begins with this. */
const UNREAD = 'unreadable:'

/** Whether a file could not be opened or read; what it holds is unknown, and may be good. */
export function isUnread({revision}: StoredObject): boolean {
  return revision.startsWith(UNREAD)
}

/** The permissions of users other than the owner to read a file or to write it. */
const OTHERS = 0o066n

/**
 * The object in a file, or why it can't be read. A file with a key is closed to other users.
 * @param before what the file held when last seen
 * @param exposed called with a file with a key that others could read or write
 */
export async function readObjectFile(
  file: string,
  stat: BigIntStats,
  before: StoredObject | undefined,
  exposed: (found: ExposedFile) => void,
): Promise<StoredObject> {
  const name = path.basename(file)
  const broken = (revision: string, why: string): StoredObject => ({
    key: before?.key ?? guessKey(name),
    revision,
    manifest: undefined,
    broken: why,
    source: sourceOf(name),
  })
  if (!stat.isFile())
    return broken(
      `no-file:${stat.mode}`,
      stat.isSymbolicLink() ? 'it must be a file; it is a symbolic link' : 'it must be a file; it is something else',
    )
  if (stat.size > BigInt(SIZE_MAX))
    return broken(`too-large:${stat.size}`, `it must have at most ${SIZE_MAX >> 20} MiB; it has ${stat.size} bytes`)
  let handle: FileHandle | undefined
  try {
    // If it has become a link or a pipe, it is neither followed nor waited for.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const bytes = await handle.readFile()
    const object = parseObject(bytes, before, broken)
    if (isSecret(object, bytes) && (stat.mode & 0o077n) !== 0n) {
      const isClosed = await handle.chmod(0o600).then(
        () => true,
        () => false,
      )
      if ((stat.mode & OTHERS) !== 0n) exposed({source: sourceOf(name), key: object.key, mode: Number(stat.mode & 0o777n), isClosed})
    }

    return object
  } catch (error) {
    return broken(`${UNREAD}${stat.ino}:${stat.ctimeNs}`, `it can't be read: ${errnoOf(error) ?? messageOf(error)}`)
  } finally {
    await handle?.close()
  }
}

function parseObject(
  bytes: Buffer,
  before: StoredObject | undefined,
  broken: (revision: string, why: string) => StoredObject,
): StoredObject {
  const revision = revisionOf(bytes)
  if (before?.revision === revision) return before
  const source = broken('', '').source ?? ''
  try {
    const manifest = parseManifest(parseYaml(decodeUtf8(bytes)))
    if (manifest.kind === 'Secret' && /^(configmap|service)-/.test(source))
      throw new AtlasError(
        'invalid',
        `a Secret in a file of this name would be committed to git; rename it to ${conventionalName(keyOf(manifest))}`,
      )
    return {key: keyOf(manifest), revision, manifest, source}
  } catch (error) {
    return broken(revision, messageOf(error))
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes)
  } catch {
    throw new AtlasError('invalid', 'it must be text in UTF-8; it holds other bytes')
  }
}

/** Whether only the owner may read the file; for an object that can't be decoded its text shows that. */
function isSecret(object: StoredObject, bytes: Buffer): boolean {
  return (
    parseObjectKey(object.key).kind === 'Secret' ||
    (object.manifest === undefined && /^kind: *Secret|PRIVATE KEY-----/m.test(bytes.toString('latin1')))
  )
}

/** The object that a file's name stands for, where the file can't be read: `service-paris.yaml` -> `Service/paris`. */
function guessKey(file: string): ObjectKey {
  const match = /^(service|secret|configmap)-([a-z0-9][-a-z0-9]*)\.yaml$/.exec(file)
  const kind = {service: 'Service', secret: 'Secret', configmap: 'ConfigMap'}[match?.[1] ?? '']
  return kind === undefined || match?.[2] === undefined ? objectKey(UNKNOWN_KIND, sourceOf(file)) : objectKey(kind, match[2])
}
