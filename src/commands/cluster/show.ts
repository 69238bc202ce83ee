/** `atlas cluster show`: one downstream cluster, in full. */
import {Args} from '@oclif/core'
import {StoreCommand} from '../../lib/cli/base-command.js'
import {type ShownCluster, renderShown, shownCluster} from '../../lib/cli/text/cluster.js'
import {wrapText} from '../../lib/cli/text/render.js'
import {showCluster} from '../../lib/ops/cluster/show.js'

export default class ClusterShow extends StoreCommand {
  static override usage = '<%= command.id %> NAME [FLAGS]'
  static override summary = 'Show one downstream cluster: its registration, its certificates, its names'
  static override args = {name: Args.string({description: 'name of the cluster', required: true})}
  static override examples = ['<%= config.bin %> cluster show paris', '<%= config.bin %> cluster show paris --store ./atlas-state --json']

  async run(): Promise<ShownCluster> {
    const {args, flags} = await this.parse(ClusterShow)
    const view = await showCluster(await this.openStore(flags), args.name)
    const shown = shownCluster(view)
    this.data(wrapText(renderShown(shown, view), this.terminalWidth))
    return shown
  }
}
