/** `atlas demo`: the whole network on this machine with real programs, and proofs that it works. */
import {Flags} from '@oclif/core'
import {BaseCommand} from '../lib/cli/base-command.js'
import {present} from '../lib/cli/flags/common.js'
import {type DemoResult, runDemo} from '../demo/demo.js'
import {INTERRUPTED_EXIT, listenForInterrupt} from '../demo/interrupt.js'
import {openScreen} from '../demo/screen.js'

export default class Demo extends BaseCommand {
  static override usage = '<%= command.id %> [FLAGS]'
  static override summary = 'Run the whole network on this machine with real programs, and prove it'
  static override description = `Starts a server, an observability Envoy, several downstream Envoys, each with a Prometheus and a Thanos sidecar, a Thanos Query that queries them all, Alertmanagers, and a login proxy in front of the web pages.
It prints one line per proof, then which path each proof took and addresses to open, and runs until Ctrl-C.
It finds its programs by ATLAS_ENVOY, ATLAS_PROMETHEUS, ATLAS_PROMETHEUS_3, ATLAS_THANOS, ATLAS_ALERTMANAGER and ATLAS_OAUTH2_PROXY, on PATH, or in Atlas's cache. Only Envoy is needed: proofs that need another program are skipped without it.`
  static override examples = [
    '<%= config.bin %> demo',
    {description: 'Prove, stop everything, and exit with 0 or 1', command: '<%= config.bin %> demo --once --json'},
  ]
  static override flags = {
    clusters: Flags.integer({default: 3, description: 'number of downstream clusters', helpValue: 'N', max: 30, min: 1}),
    once: Flags.boolean({description: 'prove, stop everything and exit: 0 if every proof succeeds, 1 if one fails'}),
    keep: Flags.string({description: 'keep everything (store, bootstraps, logs) in this empty directory', helpValue: 'DIR'}),
    'one-address': Flags.boolean({description: 'run everything on 127.0.0.1, each program on ports of its own'}),
  }

  async run(): Promise<DemoResult> {
    const {flags} = await this.parse(Demo)
    const screen = openScreen({
      words: process.stderr,
      // with --json stdout holds the result alone
      proofs: this.jsonEnabled() ? process.stderr : process.stdout,
      mayColour: (process.env['NO_COLOR'] ?? '') === '',
      now: () => performance.now(),
    })
    const interrupt = listenForInterrupt(() => {
      screen.step('Stopping everything')
    })
    try {
      const options = {clusters: flags.clusters, once: flags.once, oneAddress: flags['one-address'], ...present({keep: flags.keep})}
      const result = await runDemo(options, {env: process.env, screen, interrupted: interrupt.signal})
      if (result.proofs.some(({ok}) => !ok)) process.exitCode = 1
      return result
    } catch (error) {
      if (error === interrupt.signal.reason) this.exit(INTERRUPTED_EXIT)
      throw error
    } finally {
      interrupt.dispose()
    }
  }
}
