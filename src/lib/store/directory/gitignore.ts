/** The `.gitignore` of a directory: it keeps keys, and the record of what is revoked, out of git. */
import {readFile, readdir} from 'node:fs/promises'
import path from 'node:path'
import {replace} from './write.js'

/**
 * Writes `.gitignore`, or adds to it, unless the rules are there. In a directory of Atlas's own git takes nothing but what Atlas lists. In
 * any other, such as a git repository, only Atlas's own files are named: what else git takes there is not Atlas's to decide.
 * @returns what was written, for a person; undefined: nothing
 * @throws AtlasError `unreachable` where the directory can't be written to
 */
export async function writeGitignore(directory: string): Promise<string | undefined> {
  const file = path.join(directory, '.gitignore')
  const present = await readFile(file, 'utf8').catch(() => '')
  if (present.includes(OWN_DIRECTORY) || present.includes(SHARED_DIRECTORY)) return undefined
  const isOwn = (await readdir(directory)).every(name => ATLAS_FILE.test(name))
  if (isOwn) {
    await replace(file, OWN_DIRECTORY, 0o644)
    return '.gitignore: git takes no other files than registrations and settings'
  }

  const before = present === '' || present.endsWith('\n') ? present : `${present}\n`
  await replace(file, before + SHARED_DIRECTORY, 0o644)
  return `.gitignore: ${present === '' ? 'rules' : 'rules were added'} for the files of Atlas that git must not take`
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
