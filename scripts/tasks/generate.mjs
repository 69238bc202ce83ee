/**
 * `npm run generate`: writes what is generated and committed: from the compiled commands oclif.manifest.json and docs/reference/commands.md;
 * package-lock.json without addresses and with an entry for every platform's package; in chart atlas, the templates that it shares with
 * chart envoy, because either chart must install from its folder alone.
 * With --check it writes nothing and fails where a file is not what it would write.
 */
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {format, resolveConfig} from 'prettier'
import {completeLock, withoutHash} from '../gate/lockfile.mjs'
import {loadCommands, renderCommands, renderManifest} from '../gate/reference.mjs'
import {root} from '../setup/checkout.mjs'

// A command that does not load is only a warning of oclif's.
process.on('warning', warning => {
  process.stderr.write(`${warning.message}\n`)
  process.exitCode = 1
})

const config = await loadCommands(root)
const files = {
  'oclif.manifest.json': await pretty('oclif.manifest.json', renderManifest(config)),
  'docs/reference/commands.md': await pretty('docs/reference/commands.md', renderCommands(config)),
  'package-lock.json': renderLock(),
  ...Object.fromEntries(
    ['_bootstrap.tpl', '_envoy.tpl'].map(name => [`charts/atlas/templates/${name}`, contentOf(`charts/envoy/templates/${name}`)]),
  ),
}

for (const [name, wanted] of Object.entries(files)) {
  const path = join(root, name)
  const actual = existsSync(path) ? contentOf(name) : undefined
  if (actual === wanted) continue
  if (process.argv.includes('--check')) {
    process.stderr.write(`${name} is ${actual === undefined ? 'missing' : 'out of date'}: npm run generate\n`)
    process.exitCode = 1
  } else {
    writeFileSync(path, wanted)
    process.stderr.write(`${name} written\n`)
  }
}

const unhashed = withoutHash(JSON.parse(files['package-lock.json']))
if (unhashed.length > 0) {
  process.stderr.write(
    `package-lock.json has no hash for ${unhashed.join(', ')}: delete these entries, and run "npm install --package-lock-only --ignore-scripts", then "npm run generate"\n`,
  )
  process.exitCode = 1
}

async function pretty(name, content) {
  const path = join(root, name)
  return format(content, {...(await resolveConfig(path)), filepath: path})
}

function renderLock() {
  const lock = JSON.parse(contentOf('package-lock.json'))
  return `${JSON.stringify(completeLock(lock), undefined, 2)}\n`
}

function contentOf(name) {
  return readFileSync(join(root, name), 'utf8')
}
