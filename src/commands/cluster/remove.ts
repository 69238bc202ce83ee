/** `atlas cluster remove`: revokes a downstream cluster and removes what is stored of it. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {confirmFlags, dryRunFlag, patienceOf, waitFlags} from '../../lib/cli/flags/common.js'
import {renderLeaving} from '../../lib/cli/text/joining.js'
import {confirmByName} from '../../lib/cli/prompt.js'
import {described, renderChanges} from '../../lib/cli/text/render.js'
import {parseClusterName} from '../../lib/model/names.js'
import {removeCluster} from '../../lib/ops/cluster/remove.js'

export default class ClusterRemove extends StoreCommand {
  static override summary = 'Remove a downstream cluster for good: its certificates open nothing any more'
  static override description =
    'Its requests are refused within seconds on any connection, old or new. Registered again later under the same name, it needs new values.'
  static override args = {name: Args.string({description: 'name of the cluster', required: true})}
  static override examples = [
    '<%= config.bin %> cluster remove paris',
    '<%= config.bin %> cluster remove paris --store ./atlas-state --yes',
  ]
  static override flags = {...dryRunFlag, ...confirmFlags, ...waitFlags}

  async run(): Promise<{removed: string; changes: readonly string[]}> {
    const {args, flags} = await this.parse(ClusterRemove)
    const store = await this.openStore(flags)
    const plan = await removeCluster(store, args.name, dependencies, {dryRun: true})
    if (flags['dry-run']) {
      this.words(`Cluster ${args.name} would be removed:`)
      this.data(renderChanges(plan.changes))
      return {removed: args.name, changes: described(plan.changes)}
    }

    await confirmByName(args.name, `Cluster ${args.name} will be cut off, and its keys destroyed.`, {
      yes: flags.yes,
      noInput: flags['no-input'] || this.jsonEnabled(),
    })
    const wait = patienceOf(flags)
    const {changes} = await this.patiently(`the leader to remove ${args.name}`, removeCluster(store, args.name, dependencies, wait))
    const isDone = store.signedBy === 'caller' || wait.waitMs !== undefined
    this.words(`Cluster ${args.name} ${isDone ? 'is' : 'is to be'} removed:\n${renderChanges(isDone ? plan.changes : changes)}`)
    if (store.signedBy === 'leader')
      this.words(`\nNext, in cluster ${args.name} (its context may have another name):\n${renderLeaving(parseClusterName(args.name))}`)
    else this.next(`end its Envoy in cluster ${args.name}`)
    return {removed: args.name, changes: described(changes)}
  }
}
