/** `atlas init`: settings and root certificate of a new installation. */
import {Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {type FlagsOf, dryRunFlag, refuseEmpty} from '../lib/cli/flags/common.js'
import {outsideFlags, outsideOf} from '../lib/cli/flags/outside.js'
import {choicesOf, settingsFlags} from '../lib/cli/flags/settings.js'
import {sameStore} from '../lib/cli/flags/store.js'
import {requireNotStore} from '../lib/cli/own-directory.js'
import {type WrittenRequests, renderKeysLeft, writeRequests} from '../lib/cli/request-files.js'
import {type InitJson, initJson, renderInit} from '../lib/cli/text/init.js'
import {renderPreview} from '../lib/manifest/preview.js'
import {objectNames} from '../lib/model/names.js'
import {defaultSettings} from '../lib/model/settings.js'
import {init} from '../lib/ops/init.js'
import {issuerParts} from '../lib/pki/import-issuer.js'

export default class Init extends StoreCommand {
  static override usage = '<%= command.id %> [FLAGS]'
  static override summary = 'Create an installation: its settings and its certificate authority'
  static override description = `Run again, it changes only the settings that its flags name. The root certificate is created once, and never replaced by this command.
In a namespace of the 2021 program it adopts that installation: its root, with a re-issued certificate, and its clusters, whose Services stay as they are.
--ca-cert and --ca-key bring the root of a new installation from outside: Envoys then trust this very certificate, and nothing above it.
Without --ca-key its key stays offline: --request writes what it is to sign, and --ca-cert with --certificate takes the answers.
--address is where the Envoys of other clusters connect to this installation. You can set it later by running init again.`
  static override examples = [
    {
      description: 'A new installation in namespace atlas of the current kubectl context',
      command: '<%= config.bin %> init --address atlas.example.net',
    },
    {description: 'A new installation in a directory', command: '<%= config.bin %> init --store ./atlas-state --address 203.0.113.7'},
    {
      description: 'A client of the web pages on 10904, beside that of Thanos Query on 10901',
      command: '<%= config.bin %> init --client thanos --client ingress:10904',
    },
    {
      description: 'The root is an intermediate of your company',
      command: '<%= config.bin %> init --ca-cert ./atlas-ca.pem --ca-key ./atlas-ca-key.pem --trust-domain thanos.example.com',
    },
    {
      description: 'The key of the root stays offline: requests for both issuers, which it signs',
      command: '<%= config.bin %> init --request ./requests',
    },
    {
      description: 'Then, with the signed certificates in that directory',
      command: '<%= config.bin %> init --ca-cert ./root.pem --certificate ./requests',
    },
    {description: 'Certificates with a shorter life', command: '<%= config.bin %> init --store ./atlas-state --set identity=7d'},
  ]
  static override flags = {
    ...settingsFlags,
    'if-missing': Flags.boolean({description: 'change nothing if Atlas is already set up; all other flags are then ignored'}),
    ...dryRunFlag,
    ...outsideFlags,
    yes: Flags.boolean({
      helpGroup: 'OUTSIDE CERTIFICATE',
      char: 'y',
      description: 'take certificates from files, such as --ca-cert or --issuer-cert, even if they end soon',
    }),
    'ca-secret': Flags.string({
      helpGroup: 'OUTSIDE CERTIFICATE',
      description:
        'Secret, such as one of cert-manager, with label goatlas.io/authority=root, whose certificate becomes the root; it is watched later',
      helpValue: 'NAME',
      exclusive: ['ca-cert', 'request', 'certificate', 'issuer-cert', 'credential-issuer-cert'],
    }),
  }

  async run(): Promise<InitJson | WrittenRequests['json']> {
    const {flags} = await this.parse(Init)
    const outside = outsideOf(flags, issuerParts)
    refuseEmpty(flags, ['ca-secret'])
    if (flags.request !== undefined) return this.#request(flags.request, flags)
    const secrets = flags['ca-secret'] === undefined ? [] : [flags['ca-secret']]
    const readsRoot = !flags['if-missing']
    const brought = issuerParts.filter(part => outside?.[part] !== undefined).map(part => objectNames[part])
    const store = await this.openStore(flags, {
      create: true,
      work: 'init',
      secrets: [...(readsRoot ? [objectNames.root] : []), ...secrets, ...brought],
    })
    const namespace = flags.store !== undefined && flags.namespace !== undefined ? {namespace: flags.namespace} : {}
    const options = {dryRun: flags['dry-run'], ifMissing: flags['if-missing'], readsRoot, outside, rootSecret: flags['ca-secret']}
    const result = await init(store, {...choicesOf(flags), ...namespace}, dependencies, options)
    if (flags['dry-run']) this.data(renderPreview(result.before, result.changes))
    this.message(renderInit(result, store, flags))
    const isTaken = !flags['dry-run'] && (result.created || !flags['if-missing'])
    if (flags.certificate !== undefined && isTaken) this.message(`\n${renderKeysLeft(flags.certificate, {hasBegun: true})}`)
    return initJson(result, store)
  }

  async #request(directory: string, flags: InitFlags): Promise<WrittenRequests['json']> {
    requireNotStore(directory, flags.store)
    const lifetimes = {...defaultSettings.lifetimes, ...choicesOf(flags).lifetimes}
    const then = `atlas init${sameStore(flags)} --ca-cert FILE`
    const {message, json} = await writeRequests(directory, issuerParts, {...defaultSettings, lifetimes}, {...dependencies, then})
    this.message(message)
    return json
  }
}

type InitFlags = FlagsOf<typeof Init.flags> & FlagsOf<typeof Init.baseFlags>
