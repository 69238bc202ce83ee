/** `atlas cluster list`: every downstream cluster, a line each. */
import {StoreCommand} from '../../lib/cli/base-command.js'
import {type ClusterJson, clusterJson} from '../../lib/cli/text/cluster.js'
import {renderTable} from '../../lib/cli/text/render.js'
import {sameStore} from '../../lib/cli/flags/store.js'
import {listClusters} from '../../lib/ops/cluster/list.js'

export default class ClusterList extends StoreCommand {
  static override summary = 'List the downstream clusters'
  static override examples = ['<%= config.bin %> cluster list', '<%= config.bin %> cluster list --store ./atlas-state --json']

  async run(): Promise<{clusters: readonly ClusterJson[]}> {
    const {flags} = await this.parse(ClusterList)
    const clusters = (await listClusters(await this.openStore(flags))).map(entry => clusterJson(entry))
    const rows = clusters.map(({name, state, addresses, replicas, fault}) => [
      name,
      state,
      addresses?.join(',') ?? '-',
      String(replicas ?? '-'),
      fault === undefined ? '' : `${fault.object}: ${fault.message}`,
    ])
    if (rows.length === 0) {
      this.words('No cluster is registered.')
      this.next(`atlas cluster add NAME --address HOST${sameStore(flags)}`)
    } else this.data(renderTable(['NAME', 'STATE', 'ADDRESS', 'REPLICAS', 'REMARK'], rows))
    return {clusters}
  }
}
