/** `atlas status`: what the proxies have acknowledged. */
import {Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {fetchReport} from '../lib/cli/server-report.js'
import {renderStatus} from '../lib/cli/text/status.js'
import {type Status as FleetStatus, status} from '../lib/ops/status.js'

export default class Status extends StoreCommand {
  static override summary = 'Show every proxy: its state, what it acknowledged or rejected, and when its certificates end'
  static override description = `One row per connected Envoy, and one per cluster without any. 12/12 means that 12 of 12 resources are acknowledged; IDENTITY and CREDENTIAL are the time left until the certificates end.
STATE is "synced", "not acknowledged" (an update was sent), "rejected" (Envoy keeps its previous configuration), "not updated" (an object that it needs cannot be read), "not connected" or "suspended" (the registration was deleted).
In Kubernetes this combines the latest report of every running server; it may lag by a few seconds.`
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --store ./atlas-state --json']
  static override flags = {
    server: Flags.string({
      description: 'ask only the server with this admin address, such as http://127.0.0.1:6309 (default: all servers of the store)',
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
