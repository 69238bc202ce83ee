/**
 * `npm run release [-- --dry-run] [--output DIR]`: makes all that is published, and leaves it in dist/release. It never publishes:
 * without --dry-run it also prints what prevents publishing, or the commands that do it.
 */
import {copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join, relative, resolve} from 'node:path'
import {parseArgs} from 'node:util'
import {programNamed} from '../programs/catalogue.mjs'
import {ensurePrograms} from '../programs/ensure.mjs'
import {checksums, pack, writeChecksums} from '../release/archive.mjs'
import {chartsOf, packageCharts} from '../release/charts.mjs'
import {makeContext} from '../release/context.mjs'
import {contextName, obstacles, publishCommands, readCheckout, tarballName, textOf} from '../release/publishing.mjs'
import {root} from '../setup/checkout.mjs'
import {runQuietly} from '../setup/child.mjs'
import {npmCommand} from '../setup/npm.mjs'

const tell = text => process.stderr.write(`${text}\n`)

// Without a listener a signal would leave the work folder behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

try {
  const {values} = parseArgs({options: {'dry-run': {type: 'boolean', default: false}, output: {type: 'string', default: 'dist/release'}}})
  process.exitCode = await release({isDryRun: values['dry-run'], target: resolve(root, values.output)})
} catch (error) {
  tell(`release: ${error.message}`)
  process.exitCode = 1
}

async function release({isDryRun, target}) {
  const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const checkout = await readCheckout(root)
  const epoch = Number(process.env.SOURCE_DATE_EPOCH || checkout.time)
  clear(target)
  const made = await make({version, epoch, commit: checkout.commit, changed: checkout.changed.length > 0})
  try {
    copyWhole(made, target)
  } finally {
    rmSync(made, {recursive: true, force: true})
  }
  show(target)
  if (isDryRun) return 0

  const against = obstacles({version, changelog: textOf(root, 'CHANGELOG.md'), readme: textOf(root, 'README.md'), ...checkout})
  if (against.length > 0) {
    tell(['\nNothing was published, and this release can not be published yet:', ...against.map(what => `- ${what}`)].join('\n'))
    return 1
  }
  tell('\nNothing was published. To publish it, log in at npm, at ghcr.io with docker and helm, and at GitHub with gh, then run:\n')
  const parts = {tarball: tarballName(root), charts: chartsOf(root)}
  const commands = publishCommands({directory: relative(root, target), ...parts, version, commit: checkout.commit, epoch})
  process.stdout.write(`${commands.join('\n')}\n`)
  return 0
}

/** Removes an earlier release, so that the folder never mixes two. A folder with other files is refused. */
function clear(target) {
  if (existsSync(target) && readdirSync(target).length > 0 && !existsSync(join(target, checksums)) && target !== join(root, 'dist/release'))
    throw new Error(`--output needs an empty folder or an earlier release; ${target} has other files`)
  rmSync(target, {recursive: true, force: true})
}

/** Makes all files in a temporary folder. @returns {Promise<string>} its path */
async function make({version, epoch, commit, changed}) {
  const [work, made] = ['work', 'made'].map(name => mkdtempSync(join(tmpdir(), `atlas-release-${name}-`)))
  process.once('exit', () => [work, made].forEach(folder => rmSync(folder, {recursive: true, force: true})))
  const folder = name => {
    mkdirSync(join(work, name))
    return join(work, name)
  }

  tell('release: the npm package')
  const [npm, ...first] = npmCommand()
  const npmVersion = (await runQuietly(npm, [...first, '--version'])).trim()
  // The launcher has compiled dist already, so prepack is skipped.
  await runQuietly(npm, [...first, 'pack', '--ignore-scripts', '--silent', '--pack-destination', made], {cwd: root})

  tell('release: the image context and its bill of materials')
  const context = folder('context')
  const bill = await makeContext(context, {root, tarball: join(made, tarballName(root)), epoch})
  writeFileSync(join(made, `atlas-${version}.cdx.json`), bill)
  await pack(context, join(made, contextName(version)), epoch)

  tell('release: the charts')
  const {found, failed} = await ensurePrograms([programNamed('helm')])
  if (found.helm === undefined) throw new Error(failed.helm)
  const helmVersion = (await runQuietly(found.helm, ['version', '--short'])).trim()
  await packageCharts(made, {root, helm: found.helm, version, epoch, work: folder('charts')})

  const madeWith = {node: process.version, npm: npmVersion, helm: helmVersion}
  writeFileSync(
    join(made, 'release.json'),
    `${JSON.stringify({version, commit, changed, sourceDateEpoch: epoch, madeWith}, undefined, 2)}\n`,
  )
  writeChecksums(made)
  return made
}

/** The checksums are copied last: a release without them is incomplete. */
function copyWhole(from, target) {
  mkdirSync(target, {recursive: true})
  for (const name of readdirSync(from).filter(entry => entry !== checksums)) copyFileSync(join(from, name), join(target, name))
  copyFileSync(join(from, checksums), join(target, checksums))
}

function show(target) {
  const place = relative(process.cwd(), target) || '.'
  tell(`\n${place.startsWith('..') ? target : place}:`)
  for (const name of readdirSync(target)) tell(`${(statSync(join(target, name)).size / 1024).toFixed(0).padStart(8)} kB  ${name}`)
}
