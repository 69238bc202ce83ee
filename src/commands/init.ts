/** `atlas init`: settings and root certificate of a new installation. */
import {Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {dryRunFlag} from '../lib/cli/flags/common.js'
import {choicesOf, settingsFlags} from '../lib/cli/flags/settings.js'
import {type InitJson, initJson, renderInit} from '../lib/cli/text/init.js'
import {renderPreview} from '../lib/manifest/preview.js'
import {objectNames} from '../lib/model/names.js'
import {init} from '../lib/ops/init.js'

export default class Init extends StoreCommand {
  static override summary = 'Create an installation: its settings and its certificate authority'
  static override description = `Run again, it changes only the settings that its flags name. The root certificate is created once, and never replaced by this command.
In a namespace of the 2021 program it adopts that installation: its root, with a re-issued certificate, and its clusters, whose Services stay as they are.
--address is where the Envoys of other clusters connect to this installation. You can set it later by running init again.`
  static override examples = [
    {
      description: 'A new installation in namespace atlas of the current kubectl context',
      command: '<%= config.bin %> init --address atlas.example.net',
    },
    {description: 'A new installation in a directory', command: '<%= config.bin %> init --store ./atlas-state --address 203.0.113.7'},
    {description: 'Certificates with a shorter life', command: '<%= config.bin %> init --store ./atlas-state --set identity=7d'},
  ]
  static override flags = {
    ...settingsFlags,
    'if-missing': Flags.boolean({description: 'change nothing if Atlas is already set up; all other flags are then ignored'}),
    ...dryRunFlag,
  }

  async run(): Promise<InitJson> {
    const {flags} = await this.parse(Init)
    const readsRoot = !flags['if-missing']
    const store = await this.openStore(flags, {create: true, work: 'init', secrets: readsRoot ? [objectNames.root] : []})
    const namespace = flags.store !== undefined && flags.namespace !== undefined ? {namespace: flags.namespace} : {}
    const options = {dryRun: flags['dry-run'], ifMissing: flags['if-missing'], readsRoot}
    const result = await init(store, {...choicesOf(flags), ...namespace}, dependencies, options)
    if (flags['dry-run']) this.data(renderPreview(result.before, result.changes))
    this.message(renderInit(result, store, flags))
    return initJson(result, store)
  }
}
