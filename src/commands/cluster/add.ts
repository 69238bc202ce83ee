/** `atlas cluster add`: registers a downstream cluster, or changes its registration. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {clusterFlags, requestOf, stackOf} from '../../lib/cli/flags/cluster.js'
import {dryRunFlag, waitFlags, waitOf} from '../../lib/cli/flags/common.js'
import {type ClusterJson, clusterJson, renderAdded} from '../../lib/cli/text/cluster.js'
import {described} from '../../lib/cli/text/render.js'
import {renderPreview} from '../../lib/manifest/preview.js'
import {objectKey, objectNames} from '../../lib/model/names.js'
import {targetsOf} from '../../lib/model/stack.js'
import {addCluster} from '../../lib/ops/cluster/add.js'
import {clusterEntry} from '../../lib/ops/cluster/list.js'

export default class ClusterAdd extends StoreCommand {
  static override usage = '<%= command.id %> NAME [FLAGS]'
  static override summary = 'Register a downstream cluster, or change its registration'
  static override description = `Without --address the cluster is registered, and its Envoy can be installed, but the observability Envoy does not connect to it yet. Run the same command with --address later.
The addresses of the sidecars are those of the monitoring stack (--stack), unless --thanos, --prometheus or --alertmanager sets them.`
  static override hiddenAliases = ['cluster-add']
  static override deprecateAliases = true
  static override args = {name: Args.string({description: 'name of the cluster: lower-case letters, digits and "-"', required: true})}
  static override examples = [
    {description: 'A cluster with kube-prometheus-stack; its address can be set later', command: '<%= config.bin %> cluster add paris'},
    {
      description: 'Its address, and that Prometheus has two replicas',
      command: '<%= config.bin %> cluster add paris --address 198.51.100.4 --replicas 2',
    },
    {
      description: 'A cluster in which the sidecar has another address',
      command: '<%= config.bin %> cluster add lyon --store ./atlas-state --address lyon.example.net --thanos thanos.metrics.svc:10901',
    },
    {
      description: 'A cluster whose Ruler and two Store gateways Thanos Query reaches, too',
      command:
        '<%= config.bin %> cluster add oslo --address 198.51.100.9 --thanos ruler=thanos-ruler.monitoring.svc:10901 --thanos "store*2=thanos-store-{replica}.thanos-store.monitoring.svc:10901"',
    },
    {
      description: 'A cluster of OpenShift, whose sidecars insist on TLS',
      command:
        '<%= config.bin %> cluster add nice --address 198.51.100.12 --stack kube-prometheus --stack-namespace openshift-monitoring --thanos-tls openshift:prometheus-grpc',
    },
  ]
  static override flags = {...clusterFlags, ...dryRunFlag, ...waitFlags}

  async run(): Promise<{cluster: ClusterJson; created: boolean; changes: readonly string[]}> {
    const {args, flags} = await this.parse(ClusterAdd)
    const store = await this.openStore(flags, {work: 'register'})
    const input = {request: requestOf(flags, args.name), defaults: targetsOf(stackOf(flags))}
    const added = addCluster(store, args.name, input, dependencies, {dryRun: flags['dry-run'], ...waitOf(flags)})
    const result = await this.waitFor(`the leader to issue the credential of ${args.name}`, added)
    if (flags['dry-run']) this.data(renderPreview(result.before, result.changes))
    const mayReadKey = await store.mayRead(objectKey('Secret', objectNames.credential(result.cluster.name)))
    this.message(renderAdded(result, flags, {version: this.config.version, mayReadKey}))
    return {
      cluster: clusterJson(clusterEntry(result.after, result.cluster.name)),
      created: result.previous === undefined,
      changes: described(result.changes),
    }
  }
}
