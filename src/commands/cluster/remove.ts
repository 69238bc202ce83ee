/** `atlas cluster remove`: revokes a downstream cluster and deletes what is stored of it. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {confirmFlags, dryRunFlag, waitFlags, waitOf} from '../../lib/cli/flags/common.js'
import {confirmByName} from '../../lib/cli/prompt.js'
import {renderLeaving} from '../../lib/cli/text/joining.js'
import {described, renderChanges} from '../../lib/cli/text/render.js'
import {parseClusterName} from '../../lib/model/names.js'
import {removeCluster} from '../../lib/ops/cluster/remove.js'

export default class ClusterRemove extends StoreCommand {
  static override usage = '<%= command.id %> NAME [FLAGS]'
  static override summary = 'Remove a downstream cluster for good and revoke its certificates'
  static override description =
    'Within seconds every request with its certificates is refused, on new and on open connections. If you register the cluster again later, its Envoy needs new values.'
  static override args = {name: Args.string({description: 'name of the cluster', required: true})}
  static override examples = [
    '<%= config.bin %> cluster remove paris',
    '<%= config.bin %> cluster remove paris --store ./atlas-state --yes',
  ]
  static override flags = {...confirmFlags, ...dryRunFlag, ...waitFlags}

  async run(): Promise<{removed: string; done: boolean; changes: readonly string[]}> {
    const {args, flags} = await this.parse(ClusterRemove)
    const {name} = args
    const store = await this.openStore(flags, {work: 'register'})
    const plan = await removeCluster(store, name, dependencies, {dryRun: true})
    if (flags['dry-run']) {
      this.message(`Cluster ${name} would be removed:`)
      this.data(renderChanges(plan.changes))
      return {removed: name, done: false, changes: described(plan.changes)}
    }

    const question = {action: `remove cluster ${name}`, consequence: `Cluster ${name} will be cut off, and its keys deleted.`}
    await confirmByName(name, question, {yes: flags.yes, noInput: flags['no-input'] || this.jsonEnabled()})
    const wait = waitOf(flags)
    const {changes} = await this.waitFor(`the leader to remove ${name}`, removeCluster(store, name, dependencies, wait))
    const isDone = store.signedBy === 'caller' || wait.waitMs !== undefined
    if (isDone) this.message(`Cluster ${name} is removed:\n${renderChanges(plan.changes)}`)
    else this.message(`The leader was asked to remove cluster ${name}:\n${renderChanges(changes)}`)
    if (store.signedBy === 'leader') this.message(`\n${renderLeaving(parseClusterName(name))}`)
    else this.next(`stop the Envoy of cluster ${name}`)
    return {removed: name, done: isDone, changes: described(changes)}
  }
}
