/** `atlas serve`: the discovery service and the controller, until it is told to stop. */
import {hostname} from 'node:os'
import path from 'node:path'
import {Flags} from '@oclif/core'
import type {ServerRole} from '../lib/store/store.js'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {parseTimes} from '../lib/cli/flags/times.js'
import {present} from '../lib/cli/flags/common.js'
import {parseListen} from '../lib/model/address.js'
import {defaultDirectoryTimes} from '../lib/store/directory/times.js'
import {defaultKubernetesTimes} from '../lib/store/kubernetes/times.js'
import {servedSecrets} from '../lib/store/open.js'
import {parseReplicaName} from '../lib/model/names.js'
import {defaultTimes, serve} from '../server/serve.js'

export default class Serve extends StoreCommand {
  static override summary = 'Run the server: configures every Envoy, renews certificates, tells Thanos Query whom to ask'
  static override description = `Envoys connect to --listen with mutual TLS 1.3. The admin port answers /healthz, /readyz and /metrics; /status, which names every proxy, only to this machine.
In Kubernetes (without --store) several servers share a namespace: all of them serve Envoys, one leads, signs and writes.
Logs are JSON lines on stderr. SIGTERM and Ctrl-C let the Envoys go one by one; they keep their configuration.
Time limits that --time sets are listed in docs/reference/settings.md.`
  static override hiddenAliases = ['controller', 'envoy-ads']
  static override deprecateAliases = true
  static override examples = [
    '<%= config.bin %> serve --store ./atlas-state',
    {
      description: 'In a pod: one of several that serve Envoys, without the right to any signing key',
      command: '<%= config.bin %> serve --role ads --admin [::]:6309',
    },
    {
      description: 'With the endpoints file of a Thanos Query on this machine',
      command: '<%= config.bin %> serve --store ./atlas-state --thanos-endpoints /etc/thanos/endpoints.yaml',
    },
  ]
  static override enableJsonFlag = false
  static override flags = {
    role: Flags.string({
      default: 'all',
      description: 'ads: serve Envoys; controller: elect a leader, which signs and writes; all: both, as on a single machine',
      options: ['ads', 'controller', 'all'],
    }),
    replica: Flags.string({
      description: "this server's name among those that share the store (default: the host's name)",
      env: 'POD_NAME',
      helpValue: 'NAME',
    }),
    listen: Flags.string({default: '[::]:6305', description: 'where Envoys connect', helpValue: 'IP:PORT'}),
    admin: Flags.string({default: '127.0.0.1:6309', description: 'where health, metrics and status are answered', helpValue: 'IP:PORT'}),
    'thanos-endpoints': Flags.string({description: 'file to keep for Thanos Query (--endpoint.sd-config-file)', helpValue: 'FILE'}),
    'log-level': Flags.string({default: 'info', description: 'how much to log', options: ['error', 'warn', 'info', 'debug']}),
    time: Flags.string({
      description: 'a time limit of the server, such as max-age=1h; may be repeated',
      helpValue: 'NAME=DURATION',
      multiple: true,
    }),
  }

  async run(): Promise<void> {
    const {flags} = await this.parse(Serve)
    const times = parseTimes(flags.time ?? [], {...defaultTimes, ...defaultDirectoryTimes, ...defaultKubernetesTimes})
    // Listened for from the beginning: a signal while the store is still being read is obeyed, too.
    const told = signalled()
    const stopping = new AbortController()
    told.addEventListener('abort', () => stopping.abort(), {once: true})
    const role = flags.role as ServerRole
    const store = await this.openStore(flags, {secrets: role === 'ads' ? servedSecrets : 'all', times})
    const server = await serve(
      {
        store,
        dependencies,
        role,
        replica: parseReplicaName(flags.replica ?? hostname().toLowerCase()),
        listen: parseListen(flags.listen, '--listen'),
        admin: parseListen(flags.admin, '--admin'),
        times,
        log: flags['log-level'] as 'debug' | 'error' | 'info' | 'warn',
        ...present({endpointsFile: flags['thanos-endpoints'] === undefined ? undefined : path.resolve(flags['thanos-endpoints'])}),
      },
      stopping,
    ).catch((error: unknown) => {
      // Told to end while it was still waiting for the store: nothing was served, nothing is wrong.
      if (told.aborted) return undefined
      throw error
    })
    if (server === undefined) return
    await new Promise<void>(resolve => {
      if (told.aborted) resolve()
      else told.addEventListener('abort', () => resolve(), {once: true})
    })
    await server.stop()
  }
}

/** Aborts when the process is told to end. */
function signalled(): AbortSignal {
  const told = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => told.abort())
  return told.signal
}
