/** `atlas serve`: the discovery service and the controller, until it is told to stop. */
import path from 'node:path'
import {Flags} from '@oclif/core'
import {StoreCommand} from '../lib/cli/base-command.js'
import {parseTimes} from '../lib/cli/serve-flags.js'
import {present} from '../lib/cli/flags.js'
import {world} from '../lib/cli/world.js'
import {parseListen} from '../lib/model/address.js'
import {openStore} from '../lib/store/open.js'
import {defaultDirectoryTimes} from '../lib/store/directory/times.js'
import {defaultTimes, serve} from '../server/serve.js'

export default class Serve extends StoreCommand {
  static override summary = 'Run the server: configures every Envoy, renews certificates, tells Thanos Query whom to ask'
  static override description = `Envoys connect to --listen with mutual TLS 1.3. The admin port answers /healthz, /readyz, /metrics and /status, and is meant for this machine alone.
Logs are JSON lines on stderr. SIGTERM and Ctrl-C let the Envoys go one by one; they keep their configuration.
Time limits that --time sets are listed in docs/reference/settings.md.`
  static override hiddenAliases = ['controller', 'envoy-ads']
  static override deprecateAliases = true
  static override examples = [
    '<%= config.bin %> serve --store ./atlas-state',
    {
      description: 'With the endpoints file of a Thanos Query on this machine',
      command: '<%= config.bin %> serve --store ./atlas-state --thanos-endpoints /etc/thanos/endpoints.yaml',
    },
  ]
  static override enableJsonFlag = false
  static override flags = {
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
    const times = parseTimes(flags.time ?? [], {...defaultTimes, ...defaultDirectoryTimes})
    // Listened for from the beginning: a signal while the store is still being read is obeyed, too.
    const told = signalled()
    const server = await serve({
      store: openStore({directory: flags.store, times}),
      world,
      listen: parseListen(flags.listen, '--listen'),
      admin: parseListen(flags.admin, '--admin'),
      times,
      log: flags['log-level'] as 'debug' | 'error' | 'info' | 'warn',
      ...present({endpointsFile: flags['thanos-endpoints'] === undefined ? undefined : path.resolve(flags['thanos-endpoints'])}),
    })
    await told
    await server.stop()
  }
}

/** Resolves when the process is told to end. */
async function signalled(): Promise<void> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}
