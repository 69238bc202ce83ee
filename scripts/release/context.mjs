/**
 * Makes the image's build context: the Dockerfile and app/, the program as npm would install it, without the files that are not run.
 * It is the same for every architecture, since nothing in it is compiled. The reasons are in docs/decisions/release.md.
 */
import {copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runQuietly} from '../setup/child.mjs'
import {npmCommand, npmFlags} from '../setup/npm.mjs'
import {readImage} from './dockerfile.mjs'
import {filesBelow, prune} from './prune.mjs'
import {makeBillOfMaterials} from './sbom.mjs'

/**
 * Fills `directory` with the context.
 * @param {string} directory
 * @param {{root: string, tarball: string, epoch: number}} from the checkout, the packed npm package, seconds since 1970 as the date of files
 * @returns {Promise<string>} the bill of materials of what was installed, JSON
 * @throws {Error} when npm fails, when a compiled file is left, or when the Dockerfile copies a file that does not exist
 */
export async function makeContext(directory, {root, tarball, epoch}) {
  const app = join(directory, 'app')
  mkdirSync(app, {recursive: true})
  await runQuietly('tar', ['--extract', '--gzip', '--file', tarball, '--directory', app, '--strip-components=1'])
  copyFileSync(join(root, 'Dockerfile'), join(directory, 'Dockerfile'))
  rewrite(join(root, 'package-lock.json'), join(app, 'package-lock.json'), withoutDevelopment)
  rewrite(join(app, 'package.json'), join(app, 'package.json'), ({devDependencies: _, scripts: __, ...rest}) => rest)

  // installed again and not copied from the checkout: npm compares each package with the lock's hash
  const [npm, ...first] = npmCommand()
  await runQuietly(npm, [...first, 'ci', ...npmFlags], {cwd: app})
  const bill = await makeBillOfMaterials(app, epoch)

  prune(app)
  checkSources(directory)
  checkCompiled(app)
  return bill
}

/**
 * The lock without packages for development.
 * @param {{packages: Record<string, object>}} lock
 */
export function withoutDevelopment(lock) {
  const {devDependencies: _, ...main} = lock.packages['']
  const shipped = Object.entries(lock.packages).filter(([path, {dev}]) => path !== '' && dev !== true)
  return {...lock, packages: {'': main, ...Object.fromEntries(shipped)}}
}

function rewrite(from, to, change) {
  writeFileSync(to, `${JSON.stringify(change(JSON.parse(readFileSync(from, 'utf8'))), undefined, 2)}\n`)
}

function checkSources(directory) {
  const {sources} = readImage(readFileSync(join(directory, 'Dockerfile'), 'utf8'))
  const missing = sources.filter(source => !existsSync(join(directory, source)))
  if (missing.length > 0) throw new Error(`the Dockerfile copies files that the context does not have: ${missing.join(', ')}`)
}

/** A package with a binary inside would need a context for each architecture. */
function checkCompiled(app) {
  const compiled = filesBelow(app).filter(file => ['\x7fELF', '\0asm', 'MZ'].some(magic => startsWith(join(app, file), magic)))
  if (compiled.length > 0) throw new Error(`the context is for every architecture, but these are compiled: ${compiled.join(', ')}`)
}

function startsWith(file, magic) {
  return readFileSync(file).subarray(0, magic.length).toString('latin1') === magic
}
