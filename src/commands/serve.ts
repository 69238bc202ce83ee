/** `atlas serve`: the ADS server and the controller, until a signal ends it. */
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {parseTimes, requireEndpointsFolder, serveFlags, serveOptions} from '../lib/cli/flags/serve.js'
import {inSameStore} from '../lib/cli/flags/store.js'
import {aborted, terminationSignal} from '../lib/cli/signals.js'
import {nextStepOf} from '../lib/cli/text/findings.js'
import {defaultDirectoryTimes} from '../lib/store/directory/times.js'
import {defaultKubernetesTimes} from '../lib/store/kubernetes/times.js'
import type {Owner} from '../lib/model/names.js'
import type {Finding} from '../lib/ops/finding.js'
import {servedSecrets} from '../lib/store/open.js'
import {defaultTimes} from '../server/options.js'
import {serve} from '../server/serve.js'

export default class Serve extends StoreCommand {
  static override usage = '<%= command.id %> [FLAGS]'
  static override summary = 'Run the server: configure Envoys, renew certificates, list endpoints'
  static override description = `Envoys connect to --listen with mutual TLS 1.3. Web pages at --pages-listen are for the observability Envoy alone, which shows them at / on its port 10904. The admin port serves /healthz, /readyz and /metrics. It serves /status, which names every proxy, to this machine only.
In Kubernetes (without --store) several servers share a namespace: all of them serve Envoys, and one of them, the leader, signs and writes.
Logs are JSON lines on stderr. On SIGTERM or Ctrl-C the server closes its streams one by one; Envoys keep their configuration.
The time limits that --time sets are listed in docs/reference/settings.md.`
  static override hiddenAliases = ['controller', 'envoy-ads']
  static override deprecateAliases = true
  static override examples = [
    '<%= config.bin %> serve --store ./atlas-state',
    {
      description: 'In a pod: one of several servers for Envoys, without access to any signing key',
      command: '<%= config.bin %> serve --role ads --admin [::]:6309',
    },
    {
      description: 'With an endpoints file for a Thanos Query on this machine',
      command: '<%= config.bin %> serve --store ./atlas-state --thanos-endpoints /etc/thanos/endpoints.yaml',
    },
    {
      description: 'In a pod: a controller where nothing reads the DNS zone, since Thanos Query has the endpoints file',
      command: '<%= config.bin %> serve --role controller --no-dns-zone',
    },
    {
      description: 'For clusters with up to 100 Envoys each, twice that during a rolling update',
      command: '<%= config.bin %> serve --store ./atlas-state --streams-per-cluster 200',
    },
  ]
  static override enableJsonFlag = false
  static override flags = serveFlags

  async run(): Promise<void> {
    const {flags} = await this.parse(Serve)
    const times = parseTimes(flags.time ?? [], {...defaultTimes, ...defaultDirectoryTimes, ...defaultKubernetesTimes})
    // Before the store is read, so that a signal meanwhile ends the command too.
    const terminated = terminationSignal()
    const stopping = new AbortController()
    terminated.addEventListener('abort', () => stopping.abort(), {once: true})
    const store = await this.openStore(flags, {secrets: flags.role === 'ads' ? servedSecrets : 'all', work: 'serve', times})
    // What this process reads the store with, such as its kubeconfig file, is not at hand where the page is read.
    const named = {...flags, namespace: store.namespace, kubeconfig: undefined, context: undefined}
    const context = {flags: named, namespace: store.namespace, version: this.config.version, unreadableKeys: new Set<Owner>()}
    const ofFlags = serveOptions(flags)
    await requireEndpointsFolder(ofFlags.endpointsFile)
    const options = {
      ...ofFlags,
      nextStep: (finding: Finding) => nextStepOf(finding, context),
      inStore: (command: string) => inSameStore(command, named),
    }
    const server = await serve({store, dependencies, times, ...options}, stopping).catch((error: unknown) => {
      // Ended while it waited for the store: nothing was served, and nothing is wrong.
      if (terminated.aborted) return undefined
      throw error
    })
    await aborted(terminated)
    await server?.stop()
  }
}
