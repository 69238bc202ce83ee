/** Writes an Envoy's bootstrap and its files, which hold a key: mode 0600 in folders of mode 0700, each whole or not at all. */
import {lstat, readFile, rmdir, unlink} from 'node:fs/promises'
import path from 'node:path'
import {UPSTREAM_DIRECTORY, bootstrapPaths} from '../envoy/credential-files.js'
import {type WrittenBootstrap, readBootstrap} from '../envoy/read-bootstrap.js'
import {AtlasError, accessHint, messageOf} from '../model/errors.js'
import type {Joining, OutputFile} from '../ops/cluster/values.js'
import {ignoreKeys} from '../store/directory/gitignore.js'
import {errnoOf, makeFolder, replace} from '../store/directory/write.js'
import {type BootstrapFlags, bootstrapOptions, requireMeant} from './flags/bootstrap.js'
import {refuseEmpty} from './flags/common.js'
import {flagsOf, withKept} from './flags/kept-bootstrap.js'
import {envoyCommand} from './text/shell.js'
import type {PrintedValues} from './text/values.js'

/**
 * `cluster values --format bootstrap`. Where the directory has the files of the same Envoy, flags that are not named keep what they were.
 * @throws AtlasError `invalid` without `--output` or for a wrong flag, `conflict` where the directory has the files of another Envoy
 */
export async function writeBootstrap({owner, bootstrap}: Joining, named: BootstrapFlags): Promise<PrintedValues> {
  if (named.output === undefined)
    throw new AtlasError('invalid', '--format bootstrap writes several files, one of them a private key, and needs a directory', {
      hint: 'name it with --output DIR',
    })
  refuseEmpty(named, ['output', 'envoy-directory'])
  requireMeant(named, owner)
  const directory = path.resolve(named.output)
  const present = await presentIn(directory)
  const before = present === 'unknown' || present?.node.cluster !== owner ? undefined : present
  const {flags, kept} = withKept(named, before === undefined ? {} : flagsOf(before, directory))
  const envoyDirectory = flags['envoy-directory'] ?? directory
  const options = {...bootstrapOptions(flags, owner, envoyDirectory), isWrittenInPlace: envoyDirectory === directory}
  refuseOther(directory, present, {cluster: owner, id: options.nodeId})
  const files = bootstrap(options)
  const ignored = await writeFiles(directory, files, KEYS)
  const paths = files.map(file => file.path)
  const lines = [
    `Written to ${directory} with mode 0600 (${bootstrapPaths.key} is a private key):`,
    ...paths.map(file => `  ${file}`),
    ...(ignored === undefined ? [] : [`  ${ignored}`]),
    ...(kept.length === 0 ? [] : [`Kept from the files that were there: ${kept.join(' ')}. Name a flag to change it.`]),
    ...(named['envoy-directory'] === undefined && envoyDirectory !== directory
      ? ['Name --envoy-directory if the files have moved on the machine that Envoy runs on.']
      : []),
  ]
  const command = envoyCommand(path.join(envoyDirectory, bootstrapPaths.bootstrap), ' --drain-time-s 20 --disable-hot-restart')
  const limit = `"atlas status" takes this Envoy's limit of open files for ${options.openFiles}. Where "ulimit -Hn" shows less, run this again with --open-files and what it shows.`
  return {
    message: `${lines.join('\n')}\n\nNext: ${command}\n${limit}\nEnvoy must run as this user, whose files these are; its image runs as uid 101: docker run --user "$(id -u)", or chown -R 101 the folder.`,
    json: {format: 'bootstrap', cluster: owner, directory, files: paths, kept},
  }
}

/** Of the credential, and of client certificates that the user puts beside it. */
const KEYS = [bootstrapPaths.key, `${UPSTREAM_DIRECTORY}/*/tls.key`] as const

/**
 * Where that fails, the files and folders that were not there before are removed again.
 * @param keys which of the files git must not take
 * @returns what was written for git, for a person; undefined: nothing
 * @throws AtlasError `failed` where the directory cannot be written, `invalid` where it is none
 */
export async function writeFiles(
  directory: string,
  files: readonly OutputFile[],
  keys: readonly string[] = [],
): Promise<string | undefined> {
  const targets = files.map(file => path.join(directory, file.path))
  const added = await absentOf([...targets, path.join(directory, '.gitignore')])
  const folders = await absentOf([...new Set([...targets.map(target => path.dirname(target)), ...withParents(directory)])])
  try {
    await makeFolder(directory)
    const ignored = await ignoreKeys(directory, keys)
    for (const file of files) {
      const target = path.join(directory, file.path)
      await makeFolder(path.dirname(target))
      await replace(target, file.text, 0o600)
    }

    return ignored
  } catch (error) {
    if (error instanceof AtlasError && error.code === 'invalid') throw error
    for (const file of added) await unlink(file).catch(() => undefined)
    // The longest path first: a folder can be removed once it is empty, and one that has anything else in it stays.
    for (const folder of folders.sort((a, b) => b.length - a.length)) await rmdir(folder).catch(() => undefined)
    const hint = hintOfWriting(error instanceof AtlasError ? error.cause : error)
    throw new AtlasError('failed', `cannot write into ${directory}: ${messageOf(error)}`, {hint, cause: error})
  }
}

/** What to do where the system refuses to write a file. */
export function hintOfWriting(error: unknown): string | undefined {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '') ? NO_ROOM : accessHint(error)
}

const NO_ROOM =
  'the directory must be writable, with room on its disk; then run the command again. What it has written into a new directory is removed again'

function withParents(folder: string): readonly string[] {
  const parent = path.dirname(folder)
  return parent === folder ? [folder] : [folder, ...withParents(parent)]
}

/** Those of these paths at which there is nothing. */
async function absentOf(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async each =>
      lstat(each).then(
        () => true,
        () => false,
      ),
    ),
  )
  return paths.filter((_, index) => found[index] === false)
}

/** Undefined: there is no bootstrap; `unknown`: what is there in its place is none. */
async function presentIn(directory: string): Promise<WrittenBootstrap | 'unknown' | undefined> {
  const text = await readFile(path.join(directory, bootstrapPaths.bootstrap), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (readBootstrap(text) ?? 'unknown')
}

function refuseOther(
  directory: string,
  present: WrittenBootstrap | 'unknown' | undefined,
  wanted: {readonly cluster: string; readonly id: string},
): void {
  if (present === undefined) return
  const node = present === 'unknown' ? undefined : present.node
  if (node?.cluster === wanted.cluster && node.id === wanted.id) return
  const owner = node === undefined ? 'something else' : `node ${node.id} of ${node.cluster}`
  throw new AtlasError('conflict', `refusing to overwrite ${directory}, which has the files of ${owner}`, {
    hint: `set another --output for node ${wanted.id} of ${wanted.cluster}, or delete that directory first`,
  })
}
