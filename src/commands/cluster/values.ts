/** `atlas cluster values`: what an Envoy needs to join. */
import {Args, Flags} from '@oclif/core'
import {StoreCommand} from '../../lib/cli/base-command.js'
import {bootstrapFlags} from '../../lib/cli/flags/bootstrap.js'
import {formats, hasKey, parseFormat, refuseMisplaced, releaseFlags} from '../../lib/cli/flags/release.js'
import {type ValuesJson, renderClusterValues} from '../../lib/cli/text/values.js'
import {writeBootstrap} from '../../lib/cli/bootstrap-files.js'
import {objectNames, parseOwner} from '../../lib/model/names.js'
import {joining} from '../../lib/ops/cluster/values.js'

const values = '<%= config.bin %> cluster values paris'
const helm = 'helm --kube-context paris upgrade --install atlas-envoy oci://ghcr.io/goatlas-io/charts/envoy'

export default class ClusterValues extends StoreCommand {
  static override usage = '<%= command.id %> NAME [--format FORMAT] [FLAGS]'
  static override summary = "Print what a cluster's Envoy needs to join"
  static override description = `raw: Helm values. They hold no key.
secret: the Kubernetes Secret with the key, to which the values refer.
helm-chart, helm-release, argo-application: an object that makes k3s, Flux or Argo CD release the chart with these values. It holds no key.
manifest: the Secret with the key, and a second Secret with the values.
bootstrap: an Envoy bootstrap with its files, for an Envoy outside Kubernetes. Written again into the same directory, it keeps the flags that are not named, and prints them; where the directory has moved, the paths in the files follow.
The name "atlas" is the observability Envoy.`
  static override hiddenAliases = ['cluster-values']
  static override deprecateAliases = true
  static override args = {name: Args.string({description: 'name of the cluster, or "atlas"', required: true})}
  static override examples = [
    {
      description: 'Apply the Secret to the downstream cluster',
      command: `${values} --format secret | kubectl --context paris apply --server-side -f -`,
    },
    {description: 'Install with Helm', command: `${values} | ${helm} --version <%= config.version %> --namespace atlas -f -`},
    {description: 'An object for k3s', command: `${values} --format helm-chart > clusters/paris/atlas-envoy.yaml`},
    {
      description: 'Objects for Flux, with the chart from a mirror',
      command: `${values} --format helm-release --chart oci://registry.example.net/charts/envoy > clusters/paris/atlas-envoy.yaml`,
    },
    {
      description: 'An object for an Argo CD in which the cluster has another name',
      command: `${values} --format argo-application --argo-destination paris-prod > apps/paris-envoy.yaml`,
    },
    {
      description: 'Both Secrets, encrypted before they are written to disk',
      command: `${values} --format manifest | sops encrypt --filename-override paris.sops.yaml /dev/stdin > paris.sops.yaml`,
    },
    {description: 'An Envoy without Kubernetes', command: `${values} --store ./atlas-state --format bootstrap --output ./envoy-paris`},
    {
      description: 'The same, with its admin socket at another path, and statistics for a Prometheus on another machine',
      command: `${values} --store ./atlas-state --format bootstrap --output ./envoy-paris --admin /run/atlas/admin.sock --stats 10.0.0.7:9902`,
    },
    {
      description: 'The same files again, without the certificates for Thanos endpoints that they had',
      command: `${values} --store ./atlas-state --format bootstrap --output ./envoy-paris --upstream-tls off`,
    },
    {
      description: 'The observability Envoy of 10,000 clusters, with a heap of 4 GiB',
      command: `<%= config.bin %> cluster values atlas --store ./atlas-state --format bootstrap --output ./envoy-atlas --max-heap-bytes 4294967296`,
    },
  ]
  static override flags = {
    // oclif would print its options as one word, broken anywhere.
    format: Flags.string({default: 'raw', description: `what to print: ${formats.join(', ')}`, helpValue: 'FORMAT'}),
    'show-secrets': Flags.boolean({description: 'print a private key even to a terminal or as JSON'}),
    ...releaseFlags,
    ...bootstrapFlags,
  }

  async run(): Promise<ValuesJson> {
    const {args, flags} = await this.parse(ClusterValues)
    const format = parseFormat(flags.format)
    refuseMisplaced(flags, format)
    const secrets = hasKey(format) ? [objectNames.credential(parseOwner(args.name))] : []
    const found = await joining(await this.openStore(flags, {secrets}), args.name)
    const shown = process.stdout.isTTY || this.jsonEnabled()
    const {data, message, json} =
      format === 'bootstrap'
        ? await writeBootstrap(found, flags)
        : renderClusterValues(found, format, flags, {version: this.config.version, shown})
    if (data !== undefined) this.data(data)
    if (message !== undefined) this.message(message)
    return json
  }
}
