/** `atlas demo`: the whole network on this machine with real programs, and proofs that it works. */
import {Flags} from '@oclif/core'
import {BaseCommand} from '../lib/cli/base-command.js'
import {present} from '../lib/cli/flags/common.js'
import {type DemoResult, runDemo} from '../demo/demo.js'
import {INTERRUPTED_EXIT, listenForInterrupt} from '../demo/interrupt.js'
import {openScreen} from '../demo/screen.js'

export default class Demo extends BaseCommand {
  static override summary = 'Run the whole network on this machine with real programs, and prove that it works'
  static override description = `Starts a server, an observability Envoy, several downstream Envoys, each with a Prometheus and a Thanos sidecar, and a Thanos Query that queries them all. It prints one line per proof, and then runs until Ctrl-C.
It finds Envoy, Prometheus and Thanos by ATLAS_ENVOY, ATLAS_PROMETHEUS and ATLAS_THANOS, on PATH, or in Atlas's cache. Without Prometheus and Thanos it proves what Envoy alone can show.`
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
