/** Finds and reads the kubeconfig files, and merges them. select.ts decides which entries are used. */
import {readFileSync} from 'node:fs'
import {homedir} from 'node:os'
import path from 'node:path'
import {AtlasError} from '../../../model/errors.js'
import {type Kubeconfig, decodeKubeconfig} from './format.js'
import {reasonOf, unusable} from './unusable.js'

/** All files, merged. */
export interface KubeconfigFiles {
  readonly kubeconfig: Kubeconfig
  /** Undefined where a file was read; else why none was, as the beginning of a sentence. */
  readonly missing: string | undefined
}

/**
 * As in kubectl: the named file, else those of KUBECONFIG, of which some may be missing, else ~/.kube/config.
 * @throws AtlasError `unreachable` where the named file is missing, or one of the others can't be read
 */
export function readFiles(named: string | undefined): KubeconfigFiles {
  const files = named === undefined ? defaultFiles() : [named]
  const read = files.map(file => readOne(file)).filter(each => each !== undefined)
  if (read.length === 0 && named !== undefined)
    throw unusable(`the kubeconfig ${named} can't be read: it does not exist`, {
      hint: 'check the path of --kubeconfig, or name a directory of manifests with --store or ATLAS_STORE',
    })
  return {kubeconfig: mergeKubeconfigs(read), missing: read.length === 0 ? missing() : undefined}
}

/** For each name, and for the current context, the first file that has it counts; two entries with one name are not mixed. */
export function mergeKubeconfigs(kubeconfigs: readonly Kubeconfig[]): Kubeconfig {
  const firstOf = <T>(maps: readonly ReadonlyMap<string, T>[]): ReadonlyMap<string, T> =>
    new Map(maps.toReversed().flatMap(map => [...map]))
  return {
    currentContext: kubeconfigs.map(({currentContext}) => currentContext).find(name => name !== '') ?? '',
    contexts: firstOf(kubeconfigs.map(({contexts}) => contexts)),
    clusters: firstOf(kubeconfigs.map(({clusters}) => clusters)),
    users: firstOf(kubeconfigs.map(({users}) => users)),
  }
}

function defaultFiles(): readonly string[] {
  const list = process.env['KUBECONFIG'] ?? ''
  if (list !== '') return [...new Set(list.split(path.delimiter).filter(file => file !== ''))]
  const standard = standardFile()
  return standard === undefined ? [] : [standard]
}

/** A container's user may have no home. */
function standardFile(): string | undefined {
  try {
    return path.join(homedir(), '.kube', 'config')
  } catch {
    return undefined
  }
}

const REPAIR = 'repair it, or name another one with --kubeconfig'

function missing(): string {
  const list = process.env['KUBECONFIG'] ?? ''
  return list === '' ? 'there is no --kubeconfig, no KUBECONFIG, no ~/.kube/config' : `no file exists that KUBECONFIG names (${list})`
}

/** Undefined where it does not exist. */
function readOne(file: string): Kubeconfig | undefined {
  const directory = path.dirname(absolute(file))
  let content
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw unusable(`the kubeconfig ${file} can't be read: ${reasonOf(error)}`, {hint: REPAIR, cause: error})
  }

  try {
    return decodeKubeconfig(content, directory)
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    throw unusable(`the kubeconfig ${file} can't be read: ${error.message}`, {hint: error.hint ?? REPAIR, cause: error})
  }
}

/** A relative path needs a working directory, which may have been deleted. */
function absolute(file: string): string {
  if (path.isAbsolute(file)) return file
  try {
    return path.resolve(file)
  } catch (error) {
    throw unusable(`the kubeconfig ${file} can't be read: the working directory does not exist any more`, {
      hint: 'change to another directory, or give the absolute path',
      cause: error,
    })
  }
}
