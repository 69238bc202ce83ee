/** `atlas init`: settings and root of a new installation. */
import {Flags} from '@oclif/core'
import {renderAdoption} from '../lib/cli/text/adoption.js'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {dryRunFlag} from '../lib/cli/flags/common.js'
import {described, renderChanges, renderSettingsDifference} from '../lib/cli/text/render.js'
import {choicesOf, settingsFlags} from '../lib/cli/flags/settings.js'
import {type StoreFlags, sameStore} from '../lib/cli/flags/store.js'
import {renderThanosQuery} from '../lib/cli/text/thanos-query.js'
import {dialledAddresses} from '../lib/model/fleet.js'
import {objectNames} from '../lib/model/names.js'
import {renderAddresses} from '../lib/model/address.js'
import {renderPreview} from '../lib/manifest/preview.js'
import type {Adoption} from '../lib/ops/goatlas/adopt.js'
import {type InitResult, init} from '../lib/ops/init.js'

export default class Init extends StoreCommand {
  static override summary = 'Create an installation: its settings and its certificate authority'
  static override description = `Run again, it changes only the settings that are named; the root certificate is made once and never replaced here.
Where the 2021 program ran, it is taken over: its root, with a certificate issued anew, and its clusters, whose Services stay as they are.
--address is where the Envoys of other clusters will dial this installation; it can be given later, by running init again.`
  static override examples = [
    {
      description: 'A new installation in namespace atlas of the cluster that kubectl speaks to',
      command: '<%= config.bin %> init --address atlas.example.net',
    },
    {description: 'A new installation in a directory', command: '<%= config.bin %> init --store ./atlas-state --address 203.0.113.7'},
    {description: 'Shorter-lived certificates', command: '<%= config.bin %> init --store ./atlas-state --set identity=7d'},
  ]
  static override flags = {
    ...settingsFlags,
    'if-missing': Flags.boolean({description: 'change nothing where Atlas is set up already, whatever else is said here'}),
    ...dryRunFlag,
  }

  async run(): Promise<{
    created: boolean
    changed: readonly string[]
    changes: readonly string[]
    trustDomain: string
    addresses: readonly string[]
    adopted?: Adoption
  }> {
    const {flags} = await this.parse(Init)
    const readsRoot = !flags['if-missing']
    const store = await this.openStore(flags, {create: true, secrets: readsRoot ? [objectNames.root] : []})
    const chosen = {...choicesOf(flags), ...(flags.store !== undefined && flags.namespace !== undefined && {namespace: flags.namespace})}
    const result = await init(store, chosen, dependencies, {dryRun: flags['dry-run'], ifMissing: flags['if-missing'], readsRoot})
    const {settings} = result
    if (flags['dry-run']) this.data(renderPreview(result.before, result.changes))
    else if (result.changes.length === 0) this.words(`Atlas is here already (${store.description}); nothing to change.`)
    else
      this.words(
        `${result.created || result.adopted !== undefined ? 'Atlas is set up' : 'Atlas was here already; written'} in ${store.description}:\n${renderChanges(result.changes)}`,
      )
    if (result.adopted !== undefined) this.words(renderAdoption(result.adopted, {dryRun: flags['dry-run']}))
    if (result.changed.length > 0) this.words(`Changed settings:\n${renderSettingsDifference(result.before.settings, settings)}`)
    if (!flags['dry-run']) this.words(`\n${renderThanosQuery(store, settings, flags)}`)
    this.#sayNext(result, flags)
    return {
      created: result.created,
      changed: result.changed,
      changes: described(result.changes),
      trustDomain: settings.trustDomain,
      addresses: settings.addresses.map(address => address.host),
      ...(result.adopted !== undefined && {adopted: result.adopted}),
    }
  }

  /** Where downstream Envoys dial: said, known from the load balancer, or not known yet. */
  #sayNext({after, settings}: InitResult, flags: StoreFlags): void {
    const addresses = dialledAddresses(after)
    if (addresses.length > 0) {
      this.words(`\nDownstream Envoys dial ${renderAddresses(addresses)}, port ${settings.adsPort}.`)
      this.next(`atlas cluster add NAME${sameStore(flags)} --address HOST, where HOST is the address of that cluster's Envoy`)
      return
    }

    if (flags.store === undefined)
      this.words('\nDownstream Envoys will dial the load balancer of chart atlas, once it has an address; --address says another.')
    this.next(`atlas init${sameStore(flags)} --address HOST, with the address at which other clusters reach the observability Envoy`)
  }
}
