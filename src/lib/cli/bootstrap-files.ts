/** Writes an Envoy's bootstrap and its files, which hold a key: mode 0600 in folders of mode 0700, each whole or not at all. */
import {readFile} from 'node:fs/promises'
import path from 'node:path'
import {bootstrapPaths} from '../envoy/credential-files.js'
import {AtlasError, accessHint, messageOf} from '../model/errors.js'
import type {Joining, OutputFile} from '../ops/cluster/values.js'
import {makeFolder, replace} from '../store/directory/write.js'
import {type BootstrapFlags, bootstrapOptions} from './flags/bootstrap.js'
import {refuseEmpty} from './flags/common.js'
import {envoyCommand} from './text/shell.js'
import type {PrintedValues} from './text/values.js'

/**
 * `cluster values --format bootstrap`.
 * @throws AtlasError `invalid` without `--output` or for a wrong flag, `conflict` where the directory has the files of another Envoy
 */
export async function writeBootstrap({owner, bootstrap}: Joining, flags: BootstrapFlags): Promise<PrintedValues> {
  if (flags.output === undefined)
    throw new AtlasError('invalid', '--format bootstrap writes several files, one of them a private key, and needs a directory', {
      hint: 'name it with --output DIR',
    })
  refuseEmpty(flags, ['output', 'envoy-directory'])
  const directory = path.resolve(flags.output)
  const envoyDirectory = flags['envoy-directory'] ?? directory
  const options = bootstrapOptions(flags, owner, envoyDirectory)
  const files = bootstrap(options)
  await refuseOther(directory, {cluster: owner, id: options.nodeId})
  await writeFiles(directory, files)
  const paths = files.map(file => file.path)
  const command = envoyCommand(path.join(envoyDirectory, bootstrapPaths.bootstrap), ' --drain-time-s 20 --disable-hot-restart')
  const limit = `"atlas status" takes this Envoy's limit of open files for ${options.openFiles}. Where "ulimit -Hn" shows less, run this again with --open-files and what it shows.`
  return {
    message: `Written to ${directory} with mode 0600 (${bootstrapPaths.key} is a private key):\n${paths.map(file => `  ${file}`).join('\n')}\n\nNext: ${command}\n${limit}\nEnvoy must run as this user, whose files these are; its image runs as uid 101: docker run --user "$(id -u)", or chown -R 101 the folder.`,
    json: {format: 'bootstrap', cluster: owner, directory, files: paths},
  }
}

/** @throws AtlasError `failed` where the directory cannot be written */
export async function writeFiles(directory: string, files: readonly OutputFile[]): Promise<void> {
  try {
    for (const file of files) {
      const target = path.join(directory, file.path)
      await makeFolder(path.dirname(target))
      await replace(target, file.text, 0o600)
    }
  } catch (error) {
    const hint = accessHint(error instanceof AtlasError ? error.cause : error)
    throw new AtlasError('failed', `cannot write into ${directory}: ${messageOf(error)}`, {hint, cause: error})
  }
}

async function refuseOther(directory: string, wanted: {readonly cluster: string; readonly id: string}): Promise<void> {
  const text = await readFile(path.join(directory, bootstrapPaths.bootstrap), 'utf8').catch(() => undefined)
  if (text === undefined) return
  const present = nodeOf(text)
  if (present?.cluster === wanted.cluster && present.id === wanted.id) return
  const owner = present === undefined ? 'something else' : `node ${present.id} of ${present.cluster}`
  throw new AtlasError('conflict', `refusing to overwrite ${directory}, which has the files of ${owner}`, {
    hint: `set another --output for node ${wanted.id} of ${wanted.cluster}, or delete that directory first`,
  })
}

function nodeOf(bootstrap: string): {readonly cluster: string; readonly id: string} | undefined {
  try {
    const {node} = JSON.parse(bootstrap) as {node?: {cluster?: unknown; id?: unknown}}
    return typeof node?.cluster === 'string' && typeof node.id === 'string' ? {cluster: node.cluster, id: node.id} : undefined
  } catch {
    return undefined
  }
}
