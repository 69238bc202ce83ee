/** `atlas cluster values`: what an Envoy needs to join. */
import path from 'node:path'
import {Args, Flags} from '@oclif/core'
import {StoreCommand} from '../../lib/cli/base-command.js'
import {bootstrapFlags, bootstrapOptions} from '../../lib/cli/bootstrap-flags.js'
import {refuseOther, writeFiles} from '../../lib/cli/write-files.js'
import {bootstrapPaths} from '../../lib/envoy/credential-files.js'
import {renderYaml} from '../../lib/manifest/yaml.js'
import {AtlasError} from '../../lib/model/errors.js'
import {joining} from '../../lib/ops/cluster/values.js'
import {openStore} from '../../lib/store/open.js'

type ValuesJson =
  | {format: 'bootstrap'; cluster: string; directory: string; files: readonly string[]}
  | {format: 'raw'; cluster: string; values: Readonly<Record<string, unknown>>}
  | {format: 'secret'; cluster: string; manifest: string}

export default class ClusterValues extends StoreCommand {
  static override summary = "Print what a cluster's Envoy needs to join"
  static override description = `raw: Helm values, without any key. secret: the Kubernetes Secret with the key that they name. bootstrap: an Envoy configuration with its files, with which any Envoy outside Kubernetes joins.
The cluster "atlas" stands for the observability Envoy.`
  static override hiddenAliases = ['cluster-values']
  static override deprecateAliases = true
  static override args = {name: Args.string({description: 'name of the cluster, or "atlas"', required: true})}
  static override examples = [
    '<%= config.bin %> cluster values paris --store ./atlas-state',
    {
      description: 'The Secret, straight into the downstream cluster',
      command: '<%= config.bin %> cluster values paris --store ./atlas-state --format secret | kubectl apply -f -',
    },
    {
      description: 'An Envoy without Kubernetes',
      command: '<%= config.bin %> cluster values paris --store ./atlas-state --format bootstrap --output ./envoy-paris',
    },
  ]
  static override flags = {
    format: Flags.string({default: 'raw', description: 'what to print', options: ['raw', 'secret', 'bootstrap']}),
    'show-secrets': Flags.boolean({description: 'print a private key even on a terminal'}),
    ...bootstrapFlags,
  }

  async run(): Promise<ValuesJson> {
    const {args, flags} = await this.parse(ClusterValues)
    const found = await joining(openStore({directory: flags.store}), args.name)
    const cluster = found.owner
    if (flags.format === 'bootstrap') {
      if (flags.output === undefined)
        throw new AtlasError('invalid', '--format bootstrap needs --output DIR: it writes several files, a private key among them')
      const directory = path.resolve(flags.output)
      const options = bootstrapOptions(flags, cluster, flags['envoy-directory'] ?? directory)
      const files = found.bootstrap(options)
      await refuseOther(directory, bootstrapPaths.bootstrap, {cluster, id: options.nodeId})
      await writeFiles(directory, files)
      this.words(`Written to ${directory}, mode 0600, a private key among them:\n${files.map(file => `  ${file.path}`).join('\n')}`)
      this.next(
        `envoy -c ${path.join(flags['envoy-directory'] ?? directory, bootstrapPaths.bootstrap)} --drain-time-s 20 --disable-hot-restart`,
      )
      return {format: 'bootstrap', cluster, directory, files: files.map(file => file.path)}
    }

    const misplaced = Object.keys(bootstrapFlags).find(name => flags[name as keyof typeof bootstrapFlags] !== undefined)
    if (misplaced !== undefined) throw new AtlasError('invalid', `--${misplaced} goes with --format bootstrap`)
    if (flags.format === 'secret') {
      if (!flags['show-secrets'] && (process.stdout.isTTY || this.jsonEnabled()))
        throw new AtlasError('invalid', 'this would print a private key', {
          hint: 'pipe it where it belongs ("| kubectl apply -f -"), or add --show-secrets',
        })
      const manifest = found.secret()
      this.data(manifest)
      return {format: 'secret', cluster, manifest}
    }

    const values = found.values()
    this.data(renderYaml(values))
    this.words(`\nThe values name Secret ${String(values['existingSecret'])}; "--format secret" prints it.`)
    return {format: 'raw', cluster, values}
  }
}
