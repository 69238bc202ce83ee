/** `atlas cluster values`: what an Envoy needs to join. */
import path from 'node:path'
import {Args, Flags} from '@oclif/core'
import {StoreCommand} from '../../lib/cli/base-command.js'
import {bootstrapFlags, bootstrapOptions} from '../../lib/cli/flags/bootstrap.js'
import {type Format, formats, refuseMisplaced, releaseFlags, releaseNamespace, releaseOf} from '../../lib/cli/flags/release.js'
import {refuseOther, writeFiles} from '../../lib/cli/write-files.js'
import {bootstrapPaths} from '../../lib/envoy/credential-files.js'
import {renderYaml} from '../../lib/manifest/yaml.js'
import {AtlasError} from '../../lib/model/errors.js'
import {objectNames, parseOwner} from '../../lib/model/names.js'
import {joining} from '../../lib/ops/cluster/values.js'

type ValuesJson =
  | {format: 'bootstrap'; cluster: string; directory: string; files: readonly string[]}
  | {format: 'raw'; cluster: string; values: Readonly<Record<string, unknown>>}
  | {format: Exclude<Format, 'bootstrap' | 'raw'>; cluster: string; manifest: string}

export default class ClusterValues extends StoreCommand {
  static override summary = "Print what a cluster's Envoy needs to join"
  static override description = `raw: Helm values, without any key.
secret: the Kubernetes Secret with the key that they name.
helm-chart, helm-release, argo-application: an object that makes k3s, Flux or Argo CD release the chart with these values; no key in it.
manifest: the Secret with the key, and apart from it a Secret with the values.
bootstrap: an Envoy configuration with its files, with which any Envoy outside Kubernetes joins.
The cluster "atlas" stands for the observability Envoy.`
  static override hiddenAliases = ['cluster-values']
  static override deprecateAliases = true
  static override args = {name: Args.string({description: 'name of the cluster, or "atlas"', required: true})}
  static override examples = [
    {
      description: 'The Secret, straight into the downstream cluster',
      command: '<%= config.bin %> cluster values paris --format secret | kubectl --context paris apply -f -',
    },
    {
      description: 'The values, straight into Helm',
      command:
        '<%= config.bin %> cluster values paris | helm --kube-context paris upgrade --install atlas-envoy oci://ghcr.io/goatlas-io/charts/envoy --version <%= config.version %> --namespace atlas -f -',
    },
    {
      description: 'An object for k3s',
      command: '<%= config.bin %> cluster values paris --format helm-chart > clusters/paris/atlas-envoy.yaml',
    },
    {
      description: 'Objects for Flux, with the chart from a mirror',
      command:
        '<%= config.bin %> cluster values paris --format helm-release --chart oci://registry.example.net/charts/envoy > clusters/paris/atlas-envoy.yaml',
    },
    {
      description: 'An object for an Argo CD that knows the cluster by another name',
      command: '<%= config.bin %> cluster values paris --format argo-application --argo-destination paris-prod > apps/paris-envoy.yaml',
    },
    {
      description: 'Both Secrets, encrypted before they reach a disk',
      command:
        '<%= config.bin %> cluster values paris --format manifest | sops encrypt --filename-override paris.sops.yaml /dev/stdin > paris.sops.yaml',
    },
    {
      description: 'An Envoy without Kubernetes',
      command: '<%= config.bin %> cluster values paris --store ./atlas-state --format bootstrap --output ./envoy-paris',
    },
  ]
  static override flags = {
    format: Flags.option({default: 'raw', description: 'what to print', options: formats})(),
    'show-secrets': Flags.boolean({description: 'print a private key even on a terminal'}),
    ...releaseFlags,
    ...bootstrapFlags,
  }

  async run(): Promise<ValuesJson> {
    const {args, flags} = await this.parse(ClusterValues)
    refuseMisplaced(flags, flags.format)
    const found = await joining(
      await this.openStore(flags, {secrets: needsKey(flags.format) ? [objectNames.credential(parseOwner(args.name))] : []}),
      args.name,
    )
    const cluster = found.owner
    switch (flags.format) {
      case 'bootstrap': {
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

      case 'raw': {
        const values = found.values()
        this.data(renderYaml(values))
        // piped into Helm it would stand in the middle of Helm's own words
        if (process.stdout.isTTY) this.words(`\nThe values name Secret ${String(values['existingSecret'])}; "--format secret" prints it.`)
        return {format: 'raw', cluster, values}
      }

      case 'manifest':
      case 'secret': {
        if (!flags['show-secrets'] && (process.stdout.isTTY || this.jsonEnabled()))
          throw new AtlasError('invalid', 'this would print a private key', {
            hint: 'pipe it where it belongs ("| kubectl apply -f -"), or add --show-secrets',
          })
        const namespace = releaseNamespace(flags, found.namespace)
        const manifest = flags.format === 'secret' ? found.secret(namespace) : found.secrets(namespace)
        this.data(manifest)
        return {format: flags.format, cluster, manifest}
      }

      default: {
        const wanted = releaseOf(flags, flags.format, cluster, {version: this.config.version, namespace: found.namespace})
        const manifest = found.release(wanted)
        this.data(manifest)
        this.words(
          `\nIt names Secret ${objectNames.credential(cluster)} in namespace ${wanted.release.namespace} of that cluster; "--format secret" prints it.`,
        )
        return {format: flags.format, cluster, manifest}
      }
    }
  }
}

/** Who asks for values alone needs no right on any key. */
function needsKey(format: Format): boolean {
  return format === 'bootstrap' || format === 'manifest' || format === 'secret'
}
