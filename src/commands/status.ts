/** `atlas status`: what the proxies have acknowledged. */
import {Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {fetchReport} from '../lib/cli/server-report.js'
import {renderStatus} from '../lib/cli/text/status.js'
import {type Status as FleetStatus, status} from '../lib/ops/status.js'

export default class Status extends StoreCommand {
  static override summary = 'Show every proxy: connected since when, what it has acknowledged or refused, when its certificates end'
  static override description =
    'One row per connected Envoy, and one for each cluster without any. 12/12 are resources acknowledged of those sent; IDENTITY and CREDENTIAL are the time that is left.\nIn Kubernetes it is told by what all living servers last reported: refusals at once, the rest within seconds.'
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --store ./atlas-state --json']
  static override flags = {
    server: Flags.string({
      description: 'admin address of one server to ask, such as http://127.0.0.1:6309 (default: all that run on the store)',
      helpValue: 'URL',
    }),
  }

  async run(): Promise<FleetStatus> {
    const {flags} = await this.parse(Status)
    const found = await status(await this.openStore(flags), fetchReport, {admin: flags.server, now: dependencies.now()})
    this.data(renderStatus(found, dependencies.now()))
    return found
  }
}
