/** `atlas rotate`: new leaf certificates, at once. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {dryRunFlag, patienceOf, waitFlags} from '../lib/cli/flags/common.js'
import {sameStore} from '../lib/cli/flags/store.js'
import {described, renderChanges} from '../lib/cli/text/render.js'
import {rotateLeaves} from '../lib/ops/rotate.js'

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
  static override examples = ['<%= config.bin %> rotate', '<%= config.bin %> rotate paris --store ./atlas-state']
  static override flags = {...dryRunFlag, ...waitFlags}

  async run(): Promise<{rotated: readonly string[]; changes: readonly string[]}> {
    const {argv, flags} = await this.parse(Rotate)
    const store = await this.openStore(flags)
    const wait = patienceOf(flags)
    const {owners, changes} = await this.patiently(
      'the leader to issue them',
      rotateLeaves(store, argv.map(String), dependencies, {dryRun: flags['dry-run'], ...wait}),
    )
    if (flags['dry-run']) this.data(renderChanges(changes))
    else if (store.signedBy === 'caller') this.words(`New certificates are issued:\n${renderChanges(changes)}`)
    else if (wait.waitMs === undefined) this.words(`The leader is asked for new certificates for ${owners.join(', ')}.`)
    else this.words(`New certificates are issued for ${owners.join(', ')}.`)
    this.next(`atlas status${sameStore(flags)}`)
    return {rotated: owners, changes: described(changes)}
  }
}
