/** Files with keys that a directory store found open to other users of the machine: what a person is told. Their mode is set by object-file.ts. */
import {byText, someOf} from '../../model/listing.js'
import {OBSERVABILITY, type ObjectKey, objectNames, parseObjectKey} from '../../model/names.js'

/** A file with a key, as it was found. */
export interface ExposedFile {
  /** For messages. */
  readonly source: string
  readonly key: ObjectKey
  /** The permissions that it had. */
  readonly mode: number
  /** Whether it has mode 0600 now. */
  readonly isClosed: boolean
}

export interface Exposures {
  add(file: ExposedFile): void
  /** Those that were added are told now: after a read of many files in one sentence. */
  tell(): void
  /** Calls `told` with each sentence, until `signal` aborts. */
  follow(told: (message: string) => void, signal: AbortSignal): void
  /** What was found within the last day. */
  warnings(): readonly string[]
}

/** A server repeats what it has found for so long, milliseconds: long enough to be read the next morning. */
const WARNED_MS = 24 * 3_600_000

/** So many sentences are kept: something that opens a file again and again must not fill the memory. */
const KEPT = 5

/** So many files are named in a sentence; the others are counted. */
const NAMED = 3

/** @param directory its full path, for messages */
export function openExposures(directory: string): Exposures {
  const followers = new Set<(message: string) => void>()
  let found: ExposedFile[] = []
  let kept: {readonly message: string; readonly at: number}[] = []
  return {
    add(file) {
      found.push(file)
    },
    tell() {
      if (found.length === 0) return
      const message = renderExposed(directory, found)
      found = []
      // A file that can not be closed is found at each read.
      kept = [...kept.filter(each => each.message !== message), {message, at: performance.now()}].slice(-KEPT)
      for (const told of followers) told(message)
    },
    follow(told, signal) {
      followers.add(told)
      signal.addEventListener('abort', () => followers.delete(told), {once: true})
    },
    warnings: () => kept.filter(({at}) => performance.now() - at < WARNED_MS).map(({message}) => message),
  }
}

function renderExposed(directory: string, files: readonly ExposedFile[]): string {
  const sorted = [...files].sort((a, b) => byText(a.source, b.source))
  const names = sorted.map(({source, mode}) => `${source} (${mode.toString(8).padStart(4, '0')})`)
  const open = sorted.find(({isClosed}) => !isClosed)
  const now = open === undefined ? 'the mode is 0600 again' : `the mode of ${open.source} could not be changed: its owner sets it to 0600`
  return `files with keys in ${directory} had a mode for other users of this machine, too: ${someOf(names, NAMED)}; ${now}. If another user could enter the directory and may have read them, ${remedyOf(sorted)} (docs/how-to/rotate.md, "When a key was stolen")`
}

/**
 * Another root replaces every key, another issuer the keys of all certificates below it. What is verified by the root alone believes a server
 * below a former issuer until the root is replaced (docs/explanation/security.md), so that for the keys of issuer and servers only that helps.
 */
function remedyOf(files: readonly ExposedFile[]): string {
  const [first = '', ...others] = new Set(files.map(({key}) => commandFor(key)))
  if (others.length === 0) return `replace the keys: "${first}"`
  return 'replace all keys: "atlas rotate --root"'
}

function commandFor(key: ObjectKey): string {
  const {kind, name} = parseObjectKey(key)
  if (kind !== 'Secret') return 'atlas rotate --root'
  const owner = objectNames.credential.parse(name)
  // The generation of the observability Envoy is never raised.
  if (owner !== undefined && owner !== OBSERVABILITY) return `atlas cluster revoke ${owner} --reissue`
  return isRefusedLater(name) ? 'atlas rotate --issuer' : 'atlas rotate --root'
}

/** Whether all that verifies such a certificate refuses it once the issuer was replaced. */
function isRefusedLater(name: string): boolean {
  const isIdentity = name.startsWith(objectNames.identities(0).slice(0, -2))
  return isIdentity || objectNames.client.parse(name) !== undefined
}
