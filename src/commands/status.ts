/** `atlas status`: what the proxies have acknowledged. */
import {Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {parseServer} from '../lib/cli/flags/server.js'
import {parsed} from '../lib/cli/flags/common.js'
import {commandsInSameStore} from '../lib/cli/flags/store.js'
import {fetchReport} from '../lib/cli/server-report.js'
import {NEEDS_ATTENTION} from '../lib/cli/text/error.js'
import {findingsJson, unreadableKeysIn} from '../lib/cli/text/findings.js'
import {renderStatus} from '../lib/cli/text/status.js'
import {type ShownStatus, status} from '../lib/ops/status.js'

export default class Status extends StoreCommand {
  static override usage = '<%= command.id %> [FLAGS]'
  static override summary = 'Show every proxy: its state, what it rejected, when its certificates end'
  static override description = `One row per connected Envoy, and one per cluster without any. 12/12 means that 12 of 12 resources are acknowledged; IDENTITY and CREDENTIAL are the time left until the certificates end.
STATE is "synced", "not acknowledged" (an update was sent), "rejected" (Envoy keeps its previous configuration), "not updated" (an object that it needs cannot be read), "not connected", "suspended" (the registration was deleted) or "revoked" ("cluster revoke").
Exit code 6: the network runs, but something needs a person. The last lines name it, and the command to run next: a registered cluster has had a credential for an hour and no Envoy is connected with it (one that was revoked does not count), an Envoy rejected a resource, still uses a credential past half of its life or has known security faults, a stored object cannot be read, a cluster is revoked, there is no leader, or a server warns. A cluster without an address does not count.
All of this is what the Envoys have acknowledged. Whether Thanos answers behind them is not seen from here: page Stores of Thanos Query shows it, and the statistics of each downstream Envoy (docs/how-to/troubleshoot.md).
In Kubernetes this combines the latest report of every running server; it may lag by a few seconds.`
  static override examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status --store ./atlas-state --json',
    '<%= config.bin %> status || echo "exit code $?"',
  ]
  static override flags = {
    server: Flags.string({
      description: 'ask only the server with this admin address, such as 127.0.0.1:6309 (default: all servers of the store)',
      helpValue: 'HOST:PORT',
    }),
  }

  async run(): Promise<ShownStatus> {
    const {flags} = await this.parse(Status)
    const admin = parsed(flags.server, parseServer)
    const store = await this.openStore(flags)
    const now = dependencies.now()
    const found = await status(store, fetchReport, {admin, now})
    const unreadableKeys = await unreadableKeysIn(found.findings, store)
    const context = {flags, namespace: store.namespace, version: this.config.version, unreadableKeys}
    const shown = {...found, findings: findingsJson(found.findings, context)}
    this.data(commandsInSameStore(renderStatus(shown, now, this.terminalWidth), flags))
    if (shown.findings.length > 0) process.exitCode = NEEDS_ATTENTION
    return shown
  }
}
