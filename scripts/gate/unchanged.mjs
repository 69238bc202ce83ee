/** Leaves a step of the gate out where nothing in the checkout has changed since it passed. */
import {createHash} from 'node:crypto'
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

/** What no step reads: what is made from the rest, and packages, which package-lock.json names. */
const made = new Set(['.git', 'coverage', 'dist', 'node_modules'])

/**
 * Does `work`, unless it has succeeded before on the same files.
 * @param {{folder: string, stamp: string}} where the checkout, and the file that keeps on which files the work has succeeded
 * @param {() => Promise<void>} work
 */
export async function unlessUnchanged({folder, stamp}, work) {
  const present = hashOf(folder)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === present) return
  rmSync(stamp, {force: true})
  await work()
  // Files that were changed while the work went on may not have been read by it.
  if (hashOf(folder) !== present) return
  mkdirSync(dirname(stamp), {recursive: true})
  writeFileSync(stamp, present)
}

function hashOf(folder) {
  const sum = createHash('sha256').update(process.version)
  for (const file of filesBelow(folder)) sum.update(`\0${file}\0`).update(contentOf(join(folder, file)))
  return sum.digest('hex')
}

/** An editor's temporary file may be gone since it was listed: then something has changed. */
function contentOf(file) {
  try {
    return readFileSync(file)
  } catch {
    return `gone ${Math.random()}`
  }
}

function filesBelow(folder) {
  const tops = readdirSync(folder, {withFileTypes: true}).filter(({name}) => !made.has(name))
  const below = tops.flatMap(top =>
    top.isDirectory()
      ? readdirSync(join(folder, top.name), {recursive: true, withFileTypes: true})
          .filter(entry => entry.isFile())
          .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
      : [top.name],
  )
  return below.sort()
}
