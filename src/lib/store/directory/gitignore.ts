/** The `.gitignore` of a directory: it keeps keys, and the record of what is revoked, out of git. A person's own rules stay. */
import {lstat, readFile, readdir} from 'node:fs/promises'
import path from 'node:path'
import {errnoOf, replace} from './write.js'

/**
 * Writes `.gitignore`, or adds to it, unless the rules are there. In a directory of Atlas's own git takes nothing but what Atlas lists. In
 * any other, such as a git repository, only Atlas's own files are named: what else git takes there is not Atlas's to decide.
 * @returns what was written, for a person; undefined: nothing
 * @throws AtlasError `unreachable` where the directory can't be written to
 */
export async function writeGitignore(directory: string): Promise<string | undefined> {
  const file = path.join(directory, '.gitignore')
  const {text: present, mode = 0o644} = (await rulesIn(file)) ?? {}
  if (present === undefined) return LEFT
  if (present.includes(OWN_DIRECTORY) || present.includes(SHARED_DIRECTORY)) return undefined
  const isOwn = (await readdir(directory)).every(name => ATLAS_FILE.test(name))
  if (isOwn) {
    await replace(file, OWN_DIRECTORY, mode)
    return '.gitignore: git takes no other files than registrations and settings'
  }

  await replace(file, `${closed(present)}${SHARED_DIRECTORY}`, mode)
  return `.gitignore: ${present === '' ? 'rules' : 'rules were added'} for the files of Atlas that git must not take`
}

/**
 * Writes `.gitignore`, or adds to it, where it has no rule for a private key. Call it before the keys are written.
 * @param keys paths of the keys below the directory, perhaps with `*`
 * @returns what was written, for a person; undefined: nothing
 * @throws AtlasError `unreachable` where the directory can't be written to
 */
export async function ignoreKeys(directory: string, keys: readonly string[]): Promise<string | undefined> {
  const file = path.join(directory, '.gitignore')
  const {text: present, mode = 0o600} = (await rulesIn(file)) ?? {}
  if (present === undefined) return LEFT
  const rules = keys
    .flatMap(key => [key, draftsOf(key)])
    .filter(each => !isIgnored(each, present))
    .map(each => `/${each}`)
  if (rules.length === 0) return undefined
  await replace(file, `${closed(present)}# written by atlas: private keys, and drafts of them\n${rules.join('\n')}\n`, mode)
  return `.gitignore: ${present === '' ? 'rules' : 'rules were added'} for the private keys, which git must not take`
}

/** Git follows no link of this name. */
const LEFT = '.gitignore: it is a link, or cannot be read, and stays as it is; keep the private keys out of git yourself'

/** Undefined: what is there is a link or a directory, or this user may not read it, and is not Atlas's to replace. */
async function rulesIn(file: string): Promise<{readonly text: string; readonly mode?: number} | undefined> {
  try {
    const found = await lstat(file)
    return found.isFile() ? {text: await readFile(file, 'utf8'), mode: found.mode & 0o777} : undefined
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? {text: ''} : undefined
  }
}

/** A key is written to a draft beside it first, which a rule for the key alone does not cover. */
function draftsOf(key: string): string {
  return path.posix.join(path.posix.dirname(key), `.${path.posix.basename(key)}.*`)
}

function closed(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}

/** Whether rules in their plain forms cover the key, or its drafts, or a folder that it is in: those behind the last exception, which nothing lifts again. */
function isIgnored(key: string, rules: string): boolean {
  const name = path.posix.basename(key)
  const all = rules.split('\n').map(line => line.trim())
  const lines = all.slice(all.findLastIndex(line => line.startsWith('!')) + 1)
  const folders = key.split('/').slice(0, -1)
  const above = folders.map((_, index) => folders.slice(0, index + 1).join('/'))
  const covering = new Set([
    ...['*', '/*', '**', name, `*${path.posix.extname(key)}`, ...(name.startsWith('.') ? ['.*'] : [])],
    ...[key, ...above.flatMap(folder => [folder, `${folder}/`, `${folder}/*`, `${folder}/**`])].flatMap(rule => [rule, `/${rule}`]),
  ])
  return lines.some(line => covering.has(line))
}

/** The objects under the names that Atlas gives them, locks and drafts. */
const ATLAS_FILE = /^(?:(?:service|configmap|secret)-.*\.yaml|\.(?:commit|serve)\.lock.*|\.lock-.*|\.(?:service|configmap|secret)-.*)$/

/**
 * Lists what git may take, not what it must not: a Secret may be in a file of any name, and its keys in another program's copy of it.
 * Records hold what is revoked: checking out an older commit must not make a stolen credential valid again.
 */
const OWN_DIRECTORY = `# written by atlas: Secrets hold private keys, so git takes nothing but these
*
!.gitignore
!service-*.yaml
!configmap-*.yaml
configmap-atlas-records-*.yaml
`

const SHARED_DIRECTORY = `# written by atlas: private keys, what is revoked, locks and drafts
/secret-*.yaml
/configmap-atlas-records-*.yaml
/.secret-*
/.configmap-*
/.service-*
/.lock-*
/.commit.lock*
/.serve.lock*
`
