/** `atlas cluster restore`: ends the revocation of a cluster, for which certificates are issued again. */
import {Args} from '@oclif/core'
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {dryRunFlag, waitFlags, waitOf} from '../../lib/cli/flags/common.js'
import {commandsInSameStore} from '../../lib/cli/flags/store.js'
import {described, renderChanges} from '../../lib/cli/text/render.js'
import {renderNotRevoked, renderReissued} from '../../lib/cli/text/revoked.js'
import {objectKey, objectNames} from '../../lib/model/names.js'
import {clusterEntry} from '../../lib/ops/cluster/list.js'
import {restoreCluster} from '../../lib/ops/cluster/revoke.js'

export default class ClusterRestore extends StoreCommand {
  static override usage = '<%= command.id %> NAME [FLAGS]'
  static override summary = 'Issue certificates for a revoked cluster again'
  static override description =
    'They are of a new generation: what was revoked stays refused. The Envoy of the cluster needs the new credential. A cluster that was suspended, because its registration was deleted, is restored by its registration instead.'
  static override args = {name: Args.string({description: 'name of the cluster', required: true})}
  static override examples = ['<%= config.bin %> cluster restore paris', '<%= config.bin %> cluster restore paris --store ./atlas-state']
  static override flags = {...dryRunFlag, ...waitFlags}

  async run(): Promise<{restored: string; done: boolean; changes: readonly string[]}> {
    const {args, flags} = await this.parse(ClusterRestore)
    const store = await this.openStore(flags, {work: 'register'})
    const wait = waitOf(flags)
    const restoring = restoreCluster(store, args.name, dependencies, {dryRun: flags['dry-run'], ...wait})
    const {name, changes, before} = await this.waitFor(`the leader to issue the credential of ${args.name}`, restoring)
    const isRevoked = before.records.get(name)?.revokedSince !== undefined
    const isDone = !flags['dry-run'] && (store.signedBy === 'caller' || wait.waitMs !== undefined || !isRevoked)
    const notRevoked = commandsInSameStore(renderNotRevoked(clusterEntry(before, name)), flags)
    if (flags['dry-run']) this.data(isRevoked ? `Cluster ${name} would be restored:\n${renderChanges(changes)}` : notRevoked)
    else if (!isRevoked) this.message(notRevoked)
    else {
      this.message(
        `${isDone ? `Cluster ${name} is restored` : `The leader was asked to restore cluster ${name}`}:\n${renderChanges(changes)}`,
      )
      const mayReadKey = await store.mayRead(objectKey('Secret', objectNames.credential(name)))
      this.message(renderReissued(name, flags, {mayReadKey}))
    }

    return {restored: name, done: isDone, changes: described(changes)}
  }
}
