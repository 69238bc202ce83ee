/** Generates oclif's manifest and the reference page from the compiled commands. */
import {Config, Help} from '@oclif/core'

/** oclif's help as text, the same as in a terminal. */
class Reference extends Help {
  page(command) {
    const lines = this.formatCommand(command).split('\n')
    return lines
      .map(line => line.trimEnd())
      .join('\n')
      .trim()
  }
}

/**
 * The compiled commands; the manifest is ignored.
 * @param {string} root of the package
 * @returns {Promise<Config>}
 */
export async function loadCommands(root) {
  const config = new Config({root, ignoreManifest: true})
  await config.load()
  return config
}

/** @param {Config} config */
export function renderManifest(config) {
  const {manifest} = config.plugins.get(config.name)
  const commands = Object.entries(manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify({...manifest, commands: Object.fromEntries(commands)})
}

/** @param {Config} config */
export function renderCommands(config) {
  const help = new Reference(config, {maxWidth: 110, stripAnsi: true})
  const aliases = new Set(config.commands.flatMap(command => command.aliases))
  const commands = config.commands.filter(({id, hidden}) => hidden !== true && !aliases.has(id)).sort((a, b) => (a.id < b.id ? -1 : 1))
  const titles = commands.map(({id}) => `${config.bin} ${id.replaceAll(':', ' ')}`)
  return [
    '<!-- Written by npm run generate; change the commands in src/commands instead. -->',
    '# Commands',
    'What `--help` prints, for each command. What `--json` prints is described in [json.md](json.md).',
    titles.map(title => `- [\`${title}\`](#${title.replaceAll(' ', '-')})`).join('\n'),
    ...commands.flatMap((command, index) => [`## ${titles[index]}`, `\`\`\`\n${help.page(command)}\n\`\`\``]),
    '',
  ].join('\n\n')
}
