/** `atlas cluster list`: every downstream cluster, a line each. */
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {commandsInSameStore, sameStore} from '../../lib/cli/flags/store.js'
import {fetchReport} from '../../lib/cli/server-report.js'
import {type ListedClusterJson, listedClusterJson, renderList} from '../../lib/cli/text/cluster.js'
import {findingsJson, renderFindings, unreadableKeysIn} from '../../lib/cli/text/findings.js'
import {listClusters} from '../../lib/ops/cluster/list.js'
import type {FindingJson} from '../../lib/ops/finding.js'

export default class ClusterList extends StoreCommand {
  static override usage = '<%= command.id %> [FLAGS]'
  static override summary = 'List the downstream clusters'
  static override description = `STATE is what is stored: "registered", "no address" (set one with "cluster add"), "unreadable" (REMARK names the key; the last readable registration stays in effect), "suspended" (the registration was deleted) or "revoked" (until "cluster restore").
CONNECTED is what the running servers report: whether an Envoy of the cluster is connected ("unknown" if no server runs). "atlas status" shows what it acknowledged.
The last lines name Envoys that still use a credential past half of its life, and the command to run next.`
  static override examples = ['<%= config.bin %> cluster list', '<%= config.bin %> cluster list --store ./atlas-state --json']

  async run(): Promise<{clusters: readonly ListedClusterJson[]; findings: readonly FindingJson[]}> {
    const {flags} = await this.parse(ClusterList)
    const store = await this.openStore(flags, {withDerived: false})
    const list = await listClusters(store, fetchReport, dependencies.now())
    const clusters = list.clusters.map(cluster => listedClusterJson(cluster))
    const unreadableKeys = await unreadableKeysIn(list.findings, store)
    const findings = findingsJson(list.findings, {flags, namespace: store.namespace, version: this.config.version, unreadableKeys})
    if (clusters.length === 0) {
      this.message('No cluster is registered.')
      this.next(`atlas cluster add NAME${sameStore(flags)} --address HOST, where HOST is the address of that cluster's Envoy`)
    } else
      this.data(
        [commandsInSameStore(renderList(clusters, this.terminalWidth), flags), renderFindings(findings)]
          .filter(part => part !== '')
          .join('\n\n'),
      )
    return {clusters, findings}
  }
}
