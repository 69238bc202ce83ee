/** `atlas cluster add`: registers a downstream cluster, or changes its registration. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {clusterFlags, requestOf, stackOf} from '../../lib/cli/flags/cluster.js'
import {type ClusterJson, clusterJson} from '../../lib/cli/text/cluster.js'
import {dryRunFlag, patienceOf, waitFlags} from '../../lib/cli/flags/common.js'
import {renderJoining} from '../../lib/cli/text/joining.js'
import {type StoreFlags, sameStore} from '../../lib/cli/flags/store.js'
import type {ClusterName} from '../../lib/model/names.js'
import {described, clusterFields, renderDifference} from '../../lib/cli/text/render.js'
import {renderPreview} from '../../lib/manifest/preview.js'
import {addCluster} from '../../lib/ops/cluster/add.js'
import {dialledAddresses} from '../../lib/model/fleet.js'
import {clusterEntry} from '../../lib/ops/cluster/list.js'
import {targetsOf} from '../../lib/model/stack.js'

export default class ClusterAdd extends StoreCommand {
  static override summary = 'Register a downstream cluster, or change its registration'
  static override description = `Without --address the cluster is pending: its values can be handed out, and the same command completes it later.
Where the sidecars are is taken from the monitoring stack (--stack) unless it is said (--thanos, --prometheus, --alertmanager).`
  static override hiddenAliases = ['cluster-add']
  static override deprecateAliases = true
  static override args = {name: Args.string({description: 'name of the cluster: lower-case letters, digits and "-"', required: true})}
  static override examples = [
    {
      description: 'A cluster that runs kube-prometheus-stack, two replicas',
      command: '<%= config.bin %> cluster add paris --address 198.51.100.4 --replicas 2',
    },
    {
      description: 'A cluster with names of its own',
      command:
        '<%= config.bin %> cluster add lyon --store ./atlas-state --address lyon.example.net --thanos thanos.metrics.svc.cluster.local:10901',
    },
  ]
  static override flags = {...clusterFlags, ...dryRunFlag, ...waitFlags}

  async run(): Promise<{cluster: ClusterJson; created: boolean; changes: readonly string[]}> {
    const {args, flags} = await this.parse(ClusterAdd)
    const store = await this.openStore(flags)
    const stack = stackOf(flags)
    const input = {request: requestOf(flags), defaults: targetsOf(stack)}
    const added = addCluster(store, args.name, input, dependencies, {dryRun: flags['dry-run'], ...patienceOf(flags)})
    const result = await this.patiently(`the leader to issue the credential of ${args.name}`, added)
    const {cluster, previous, restored} = result
    if (flags['dry-run']) this.data(renderPreview(result.before, result.changes))
    if (previous === undefined)
      this.words(
        `Cluster ${cluster.name} ${flags['dry-run'] ? 'would be' : 'is'} ${restored ? 'restored, with the certificates that it had' : 'registered'}:\n${listed(clusterFields(cluster))}`,
      )
    else
      this.words(
        renderDifference(previous, cluster) === ''
          ? `Cluster ${cluster.name} is registered just so already.`
          : `Cluster ${cluster.name} ${flags['dry-run'] ? 'would be' : 'is'} changed:\n${renderDifference(previous, cluster)}`,
      )
    const assumed = (['thanos', 'prometheus', 'alertmanager'] as const).filter(
      service => previous === undefined && !restored && flags[service] === undefined,
    )
    if (assumed.length > 0)
      this.words(
        `Assumed, from ${stack.name} in namespace ${stack.namespace}: ${assumed.map(service => `--${service}`).join(', ')}. Name them if they are others.`,
      )
    if (cluster.addresses.length === 0)
      this.words(`It is pending: run "atlas cluster add ${cluster.name} --address HOST" when its Envoy can be reached.`)
    if (dialledAddresses(result.after).length === 0)
      this.words(
        `Nobody has said yet where its Envoy dials the observability Envoy: run "atlas init${sameStore(flags)} --address HOST" first.`,
      )
    const isAsked = previous === undefined ? !restored : renderDifference(previous, cluster) === ''
    if (!flags['dry-run'] && isAsked) this.#sayNext(cluster.name, flags)
    else if (!flags['dry-run']) this.next(`atlas status${sameStore(flags)}`)
    return {
      cluster: clusterJson(clusterEntry(result.after, cluster.name)),
      created: previous === undefined,
      changes: described(result.changes),
    }
  }

  /** The pair to paste, with the names that the contexts of a kubeconfig have as a rule. */
  #sayNext(name: ClusterName, flags: StoreFlags): void {
    this.words(`\nNext, in cluster ${name} (its context may have another name):\n${renderJoining(name, flags, this.config.version)}`)
    this.words(`An Envoy outside Kubernetes joins with: atlas cluster values ${name}${sameStore(flags)} --format bootstrap --output DIR`)
  }
}

function listed(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([key, value]) => `  ${key.padEnd(12)}  ${value}`)
    .join('\n')
}
