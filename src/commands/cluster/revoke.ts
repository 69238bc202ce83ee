/** `atlas cluster revoke`: cuts a lost or stolen cluster off until it is restored, or refuses one of its credentials. */
import {Args, Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../../lib/cli/base-command.js'
import {confirmFlags, dryRunFlag, waitFlags, waitOf} from '../../lib/cli/flags/common.js'
import {confirmByName} from '../../lib/cli/prompt.js'
import {sameStore} from '../../lib/cli/flags/store.js'
import {described} from '../../lib/cli/text/render.js'
import {nextAfterRevocation, renderReissued, renderRevoked, revocationQuestion} from '../../lib/cli/text/revoked.js'
import {objectKey, objectNames} from '../../lib/model/names.js'
import {revokeCluster} from '../../lib/ops/cluster/revoke.js'
import {hasServer} from '../../lib/ops/server-reports.js'

export default class ClusterRevoke extends StoreCommand {
  static override usage = '<%= command.id %> NAME [FLAGS]'
  static override summary = 'Cut off a lost or stolen cluster, or refuse one of its ADS credentials'
  static override description = `Within 10 s every request with its identity or ADS credential is refused, on open connections too, and its ADS streams end. Idle connections close within a minute; the command prints when the last open stream ends.
Its keys are deleted. Its registration stays, and nothing is issued for it before "atlas cluster restore", even if the registration is deleted and made again.
A pipeline that copies the Secret of the credential gives a new one to the thief of the cluster: use --reissue only where no thief can read what the pipeline writes.`
  static override args = {name: Args.string({description: 'name of the cluster', required: true})}
  static override examples = [
    {description: 'The machines of a cluster were stolen', command: '<%= config.bin %> cluster revoke paris'},
    {
      description: 'Its key has leaked, and its machines are safe: the old certificates are refused, and new ones issued at once',
      command: '<%= config.bin %> cluster revoke paris --reissue',
    },
    {
      description: 'An old credential was found in a backup, unused',
      command: '<%= config.bin %> cluster revoke paris --credential 3f9ac1d27be04581',
    },
  ]
  static override flags = {
    // oclif aligns the rows of a list where the first one has a short flag.
    ...confirmFlags,
    reissue: Flags.boolean({
      default: false,
      description: 'issue new certificates at once, also for a thief who can read the Secret of the credential',
    }),
    credential: Flags.string({
      description:
        'revoke this ADS credential alone: the SHA-256 of its certificate, or at least its first 16 hex digits. For the newest one add --reissue',
      helpValue: 'SHA256',
    }),
    ...dryRunFlag,
    ...waitFlags,
  }

  async run(): Promise<{
    revoked: string
    credential?: string
    reissued: boolean
    done: boolean
    streamLimitSeconds: number
    changes: readonly string[]
  }> {
    const {args, flags} = await this.parse(ClusterRevoke)
    const {reissue} = flags
    const store = await this.openStore(flags, {work: 'register'})
    const revoke = async (options: {dryRun?: boolean; waitMs?: number | undefined}) =>
      revokeCluster(store, args.name, {reissue, credential: flags.credential}, dependencies, options)
    const plan = await revoke({dryRun: true})
    const {name, credential} = plan
    const result = (done: boolean, changes = described(plan.changes)) => ({
      ...{
        revoked: name,
        ...(credential !== undefined && {credential}),
        reissued: reissue,
        done,
        streamLimitSeconds: plan.streamLimit,
        changes,
      },
    })
    if (flags['dry-run']) {
      this.data(renderRevoked(plan, {flags, reissue, progress: 'would be'}))
      return result(false)
    }

    await confirmByName(name, revocationQuestion(plan, {reissue}), {yes: flags.yes, noInput: flags['no-input'] || this.jsonEnabled()})
    const wait = waitOf(flags)
    const committed = await this.waitFor(`the leader to revoke ${name}`, revoke(wait))
    const isDone = store.signedBy === 'caller' || wait.waitMs !== undefined
    if (!(await hasServer(store)))
      this.message(
        `Warning: no server runs on ${store.description}, so nothing is refused yet: start "atlas serve${sameStore(flags)}". The times below begin then.`,
      )
    this.message(
      renderRevoked(
        {...committed, changes: isDone ? plan.changes : committed.changes},
        {flags, reissue, progress: isDone ? 'done' : 'asked'},
      ),
    )
    const mayReadKey = await store.mayRead(objectKey('Secret', objectNames.credential(name)))
    if (reissue) this.message(renderReissued(name, flags, {mayReadKey}))
    else this.next(nextAfterRevocation(name, {credential, flags}))
    return result(isDone, described(committed.changes))
  }
}
