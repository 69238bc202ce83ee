/** `atlas cluster list`: every downstream cluster, a line each. */
import {StoreCommand} from '../../lib/cli/base-command.js'
import {sameStore} from '../../lib/cli/flags/store.js'
import {type ClusterJson, clusterJson, renderList} from '../../lib/cli/text/cluster.js'
import {listClusters} from '../../lib/ops/cluster/list.js'

export default class ClusterList extends StoreCommand {
  static override summary = 'List the downstream clusters'
  static override description = `STATE is "registered", "no address" (set one with "cluster add"), "unreadable" (REMARK names the key; the last readable registration stays in effect) or "suspended" (the registration was deleted).
"atlas status" shows whether its Envoy is connected.`
  static override examples = ['<%= config.bin %> cluster list', '<%= config.bin %> cluster list --store ./atlas-state --json']

  async run(): Promise<{clusters: readonly ClusterJson[]}> {
    const {flags} = await this.parse(ClusterList)
    const clusters = (await listClusters(await this.openStore(flags))).map(entry => clusterJson(entry))
    if (clusters.length === 0) {
      this.message('No cluster is registered.')
      this.next(`atlas cluster add NAME${sameStore(flags)} --address HOST, where HOST is the address of that cluster's Envoy`)
    } else this.data(renderList(clusters))
    return {clusters}
  }
}
