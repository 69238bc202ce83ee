/** `atlas rotate`: new leaf certificates, at once. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {dryRunFlag, waitFlags, waitOf} from '../lib/cli/flags/common.js'
import {sameStore} from '../lib/cli/flags/store.js'
import {described, renderChanges} from '../lib/cli/text/render.js'
import {rotateLeaves} from '../lib/ops/rotate.js'

export default class Rotate extends StoreCommand {
  static override summary = 'Issue new leaf certificates now; running Envoys take them without losing a request'
  static override description =
    'Leaf certificates are renewed automatically at two thirds of their life; this renews them now. It also replaces an identity that cannot be read any more.'
  static override strict = false
  static override args = {
    names: Args.string({description: 'clusters whose identity to renew; "atlas" is the observability Envoy; default: all'}),
  }
  static override examples = ['<%= config.bin %> rotate', '<%= config.bin %> rotate paris --store ./atlas-state']
  static override flags = {...dryRunFlag, ...waitFlags}

  async run(): Promise<{rotated: readonly string[]; done: boolean; changes: readonly string[]}> {
    const {argv, flags} = await this.parse(Rotate)
    const store = await this.openStore(flags, {work: 'register'})
    const options = {dryRun: flags['dry-run'], ...waitOf(flags)}
    const rotation = rotateLeaves(store, argv.map(String), dependencies, options)
    const {owners, changes} = await this.waitFor('the leader to issue them', rotation)
    if (flags['dry-run']) {
      this.message('New certificates would be issued:')
      this.data(renderChanges(changes))
    } else if (store.signedBy === 'caller') this.message(`New certificates are issued:\n${renderChanges(changes)}`)
    else if (options.waitMs === undefined) this.message(`The leader was asked to issue new certificates for ${owners.join(', ')}.`)
    else this.message(`New certificates are issued for ${owners.join(', ')}.`)
    if (!flags['dry-run']) this.next(`atlas status${sameStore(flags)}`)
    const done = !flags['dry-run'] && (store.signedBy === 'caller' || options.waitMs !== undefined)
    return {rotated: owners, done, changes: described(changes)}
  }
}
