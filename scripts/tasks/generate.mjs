/**
 * `npm run generate`: writes what is generated and committed: from the compiled commands oclif.manifest.json and docs/reference/commands.md;
 * package-lock.json without addresses and with an entry for every platform's package.
 * With --check it writes nothing and fails where a file is not what it would write.
 */
import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {Config, Help} from '@oclif/core'
import {format, resolveConfig} from 'prettier'
import {completeLock} from '../gate/lockfile.mjs'
import {root} from '../setup/checkout.mjs'

const checking = process.argv.includes('--check')
const config = await loadFreshConfig()
const files = {
  'oclif.manifest.json': await pretty('oclif.manifest.json', renderManifest(config)),
  'docs/reference/commands.md': await pretty('docs/reference/commands.md', renderCommands(config)),
  'package-lock.json': renderLock(),
}

for (const [name, wanted] of Object.entries(files)) {
  const path = join(root, name)
  const actual = existsSync(path) ? readFileSync(path, 'utf8') : undefined
  if (actual === wanted) continue
  if (checking) {
    process.stderr.write(`${name} is ${actual === undefined ? 'missing' : 'out of date'}: npm run generate\n`)
    process.exitCode = 1
  } else {
    writeFileSync(path, wanted)
    process.stderr.write(`${name} written\n`)
  }
}

async function pretty(name, content) {
  const path = join(root, name)
  return format(content, {...(await resolveConfig(path)), filepath: path})
}

function renderLock() {
  return `${JSON.stringify(completeLock(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))), undefined, 2)}\n`
}

async function loadFreshConfig() {
  const fresh = new Config({root, ignoreManifest: true})
  await fresh.load()
  return fresh
}

function renderManifest(loaded) {
  const plugin = loaded.plugins.get(loaded.name)
  const commands = Object.entries(plugin.manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify({...plugin.manifest, commands: Object.fromEntries(commands)})
}

function renderCommands(loaded) {
  const help = new Reference(loaded, {maxWidth: 110, stripAnsi: true})
  const commands = loaded.commands.filter(({hidden}) => hidden !== true).sort((a, b) => (a.id < b.id ? -1 : 1))
  const titles = commands.map(({id}) => `${loaded.bin} ${id.replaceAll(':', ' ')}`)
  return [
    '<!-- Written by npm run generate; change the commands in src/commands instead. -->',
    '# Commands',
    'What `--help` prints, for each command. What `--json` prints is described in [json.md](json.md).',
    titles.map(title => `- [\`${title}\`](#${title.replaceAll(' ', '-')})`).join('\n'),
    ...commands.flatMap((command, index) => [`## ${titles[index]}`, command.summary ?? '', `\`\`\`\n${help.page(command)}\n\`\`\``]),
    '',
  ].join('\n\n')
}

/** oclif's help, as text; the reader sees the same words as at a terminal. */
class Reference extends Help {
  page(command) {
    const lines = this.formatCommand(command).split('\n')
    return lines
      .map(line => line.trimEnd())
      .join('\n')
      .trim()
  }
}
