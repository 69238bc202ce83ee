/** `atlas rotate`: new leaf certificates, at once. */
import {Args} from '@oclif/core'
import {StoreCommand} from '../lib/cli/base-command.js'
import {dryRunFlag} from '../lib/cli/flags.js'
import {described, renderChanges} from '../lib/cli/render.js'
import {world} from '../lib/cli/world.js'
import {rotateLeaves} from '../lib/ops/rotate.js'
import {openStore} from '../lib/store/open.js'

export default class Rotate extends StoreCommand {
  static override summary = 'Issue leaf certificates anew; running Envoys take them without losing a request'
  static override description =
    'Leaves renew by themselves at two thirds of their life; this does it now. It also mends an identity that can not be read any more.'
  static override strict = false
  static override args = {
    names: Args.string({
      description: 'clusters whose identity to renew, "atlas" for the observability Envoy; all of them where none is named',
    }),
  }
  static override examples = ['<%= config.bin %> rotate --store ./atlas-state', '<%= config.bin %> rotate paris --store ./atlas-state']
  static override flags = {...dryRunFlag}

  async run(): Promise<{rotated: readonly string[]; changes: readonly string[]}> {
    const {argv, flags} = await this.parse(Rotate)
    const store = openStore({directory: flags.store})
    const {owners, changes} = await rotateLeaves(store, argv.map(String), world, {dryRun: flags['dry-run']})
    if (flags['dry-run']) this.data(renderChanges(changes))
    else this.words(`New certificates are issued:\n${renderChanges(changes)}`)
    this.next(`atlas status --store ${flags.store}`)
    return {rotated: owners, changes: described(changes)}
  }
}
