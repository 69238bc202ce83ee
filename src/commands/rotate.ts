/** `atlas rotate`: new leaf certificates at once, a new issuer or root in stages, or how far that is. */
import {Args, Flags} from '@oclif/core'
import {dependencies, StoreCommand} from '../lib/cli/base-command.js'
import {type FlagsOf, confirmFlags, dryRunFlag, joined, refuseEmpty, waitFlags, waitOf} from '../lib/cli/flags/common.js'
import {confirmByName} from '../lib/cli/prompt.js'
import {outsideFlags, outsideOf} from '../lib/cli/flags/outside.js'
import {commandsInSameStore, sameStore} from '../lib/cli/flags/store.js'
import {certificatesAgain, writeRequestsAgain} from '../lib/cli/request-again.js'
import {type WrittenRequests, renderKeysLeft, writeRequests} from '../lib/cli/request-files.js'
import {requireNotStore} from '../lib/cli/own-directory.js'
import {fetchReport} from '../lib/cli/server-report.js'
import {described, renderChanges} from '../lib/cli/text/render.js'
import {haveRootsEnded, renderByHand, renderLeftBehind, renderRotation} from '../lib/cli/text/rotation-progress.js'
import {renderClockWait, renderReplaced, renderRotationStatus, renderStages, renderThief} from '../lib/cli/text/rotation.js'
import {renderTime} from '../lib/model/duration.js'
import {AtlasError, messageOf, quote} from '../lib/model/errors.js'
import type {Fleet} from '../lib/model/fleet.js'
import type {RotationPart} from '../lib/model/rotation.js'
import {revokedClusters, rotateLeaves} from '../lib/ops/rotate.js'
import {type RotationStatus, rotationStatus} from '../lib/ops/rotation/certificates.js'
import {boundSecrets, bringAgain, requireBound} from '../lib/ops/rotation/brought-again.js'
import {followRotation} from '../lib/ops/rotation/follow.js'
import {type RotationChoices, startRotation} from '../lib/ops/rotation/start.js'
import {leaseIn} from '../lib/ops/leases.js'
import {offlineRootsOf} from '../lib/ops/signing.js'
import {hasServer, loadReports} from '../lib/ops/server-reports.js'
import {type IssuerPart, issuerParts} from '../lib/pki/import-issuer.js'
import type {StateStore} from '../lib/store/store.js'
import {loadInstallation} from '../lib/ops/installation.js'

interface Rotated {
  readonly rotated: readonly string[]
  readonly done: boolean
  readonly changes: readonly string[]
}

export default class Rotate extends StoreCommand {
  static override usage = [
    '<%= command.id %> [NAMES...|--cluster NAME] [--ads] [FLAGS]',
    '<%= command.id %> --issuer|--root [FLAGS]',
    '<%= command.id %> --status [FLAGS]',
  ]
  static override summary = 'Issue new certificates now: leaves, ADS credentials, the issuer or the root'
  static override description = `No request fails. Leaf certificates and the issuer are renewed automatically at two thirds of their life; this renews them now. It also replaces an identity that cannot be read any more.
--issuer and --root replace a certificate that signs, in stages. Each stage ends when every connected Envoy and server has shown that it has what the stage brought; a cluster that has not is named, and holds the next stage up. Servers go on with it whatever happens to this command. Run it again to watch it, or see --status.
--ca-cert and --ca-key bring the next root from outside; in Kubernetes you need the right to create Secrets.
Where the key of the root is kept offline, --issuer --request writes what it is to sign, and --issuer --certificate takes the answer. While a rotation of the root waits the same two commands give the issuer a new certificate for its own key.
A new root asks for work in every cluster: twice, its new ADS credential must be applied there. Until the end of a rotation a thief of the former issuer's key can make identities, and one of the former root's key do all that Atlas can; after it, only towards an Envoy that was left behind or has not been connected since. ADS and the clients of the internal ports verify servers by the root: for a thief who can divert their connections the former issuer's key counts until the root is replaced, too.`
  static override strict = false
  static override args = {
    names: Args.string({
      description:
        'clusters whose certificate to renew; "atlas" is the observability Envoy; default: all. Not with --issuer, --root or --status',
    }),
  }
  static override examples = [
    '<%= config.bin %> rotate',
    '<%= config.bin %> rotate paris --store ./atlas-state',
    '<%= config.bin %> rotate --cluster paris',
    '<%= config.bin %> rotate --ads paris',
    '<%= config.bin %> rotate --issuer --dry-run',
    '<%= config.bin %> rotate --root --yes --wait --timeout 24h',
    '<%= config.bin %> rotate --root --yes --skip oslo',
    '<%= config.bin %> rotate --root --yes --ca-cert ./ca.pem --ca-key ./ca-key.pem',
    '<%= config.bin %> rotate --issuer --request ./requests',
    '<%= config.bin %> rotate --issuer --certificate ./requests',
    '<%= config.bin %> rotate --status',
  ]
  static override flags = {
    // oclif aligns the rows of a list where the first one has a short flag.
    ...confirmFlags,
    ads: Flags.boolean({
      description: 'new ADS credentials, to be applied in their clusters; the former ones stay valid',
      exclusive: ['issuer', 'root', 'status'],
    }),
    cluster: Flags.string({
      description: 'the same as NAMES: a cluster whose certificate to renew; may be repeated',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
    }),
    issuer: Flags.boolean({
      description:
        'replace the issuer, in stages; asks nothing, because nothing is to be applied in a cluster: servers do the same at two thirds of its life',
      exclusive: ['ads', 'root', 'status'],
    }),
    root: Flags.boolean({
      description: 'replace the root and both issuers, in stages; asks first, because every cluster needs work (--yes does not ask)',
      exclusive: ['ads', 'issuer', 'status'],
    }),
    skip: Flags.string({
      description:
        'with --issuer or --root: do not wait for this cluster. It is cut off until its Envoy connects again or, with --root, until its new credential is applied there',
      helpValue: 'NAME',
      multiple: true,
    }),
    status: Flags.boolean({
      description: 'show every certificate, and how far a rotation is',
      exclusive: ['ads', 'issuer', 'root', 'skip', 'dry-run'],
    }),
    ...outsideFlags,
    ...dryRunFlag,
    ...waitFlags,
    wait: Flags.boolean({
      allowNo: true,
      description:
        'wait until it is done: in Kubernetes until the leader has issued the certificates, with --issuer or --root until the last stage has ended (default on a terminal)',
    }),
  }

  async run(): Promise<Rotated | RotationStatus | WrittenRequests['json']> {
    const {argv, flags} = await this.parse(Rotate)
    const names = namesIn(argv.map(String), flags)
    const part = flags.issuer ? 'issuer' : flags.root ? 'root' : undefined
    requireTogether(part, names, flags)
    const parts = part === 'issuer' ? (['issuer'] as const) : issuerParts
    if (flags.request !== undefined) requireNotStore(flags.request, flags.store)
    const store = await this.openStore(flags, flags.status || flags.request !== undefined ? {} : {work: 'register'})
    if (flags.status) return this.#status(store, flags)
    const asks = part === 'issuer' && (flags.request ?? flags.certificate) !== undefined
    if (asks && (await loadInstallation(store)).fleet.rotation?.part === 'root') return this.#issuerAgain(flags)
    const next = outsideOf(flags, parts)
    if (part !== 'root' && next?.root !== undefined) throw new AtlasError('invalid', '--ca-cert belongs to --root')
    if (flags.request !== undefined) return this.#request(store, flags.request, parts, flags)
    return part === undefined ? this.#leaves(store, names, flags) : this.#authority(store, part, flags, next)
  }

  async #status(store: StateStore, flags: RotateFlags): Promise<RotationStatus> {
    const {fleet} = await loadInstallation(store)
    // Without a server that answers, which proxies have what is not known; what is stored is shown all the same.
    let why: string | undefined
    const reported = await loadReports(store, fleet, fetchReport).catch((error: unknown) => {
      why = messageOf(error)
      return []
    })
    const told = store.isShared ? leaseIn(await store.heartbeats().catch(() => []))?.offlineRoots : offlineRootsOf(fleet)
    const found = rotationStatus(fleet, reported, told)
    this.data(commandsInSameStore(renderRotationStatus(found, dependencies.now(), this.terminalWidth), flags))
    if (found.rotation !== undefined && reported.length === 0)
      this.message(
        `No server was found that goes on with it: ${store.isShared ? 'see "atlas status"' : `start "atlas serve${sameStore(flags)}"`}.`,
      )
    if (reported.length === 0)
      this.message(`Which Envoys have these certificates is not known: ${why ?? `no server has reported on ${store.description}`}.`)
    return found
  }

  async #authority(store: StateStore, part: RotationPart, flags: RotateFlags, next: RotationChoices['next']): Promise<Rotated> {
    const choices = {skip: flags.skip ?? [], next}
    if (flags['dry-run']) {
      const {fleet} = await loadInstallation(store)
      const {changes} = await startRotation(store, part, choices, dependencies, {dryRun: true})
      const hasEnded = part === 'root' && fleet.rotation === undefined && haveRootsEnded(fleet, dependencies.now())
      this.message(`The ${part} would be replaced:\n${renderStages(part, {hasEnded})}`, {isProse: true})
      this.#sayWhatFollows(fleet, part, choices.skip)
      return {rotated: [], done: false, changes: described(changes)}
    }

    const {fleet} = await loadInstallation(store)
    // To watch a rotation that is under way changes nothing; a new root asks for work in every cluster.
    if (part === 'root' && fleet.rotation === undefined) await this.#confirmRoot(fleet, flags)
    const {waitMs} = waitOf(flags)
    const began = performance.now()
    const {changes} = await this.waitFor('the leader to begin', startRotation(store, part, choices, dependencies, {waitMs}))
    if (flags.certificate !== undefined)
      this.message(renderKeysLeft(flags.certificate, {hasBegun: store.signedBy === 'caller' || waitMs !== undefined}))
    const canGoOn = await hasServer(store)
    if (!canGoOn && flags.wait)
      throw new AtlasError(
        'unreachable',
        `the rotation of the ${part} has begun, and no server runs on ${store.description} to go on with it`,
        {hint: `start one with "atlas serve${sameStore(flags)}"; it goes on`},
      )
    this.message(renderThief(part), {isProse: true})
    this.#sayWhatFollows(fleet, part, choices.skip)
    const held = canGoOn ? await this.#untilClockHolds(store) : undefined
    if (held !== undefined) this.message(held)
    if (waitMs === undefined || !canGoOn) {
      this.message(
        canGoOn
          ? `The ${part} is being replaced in stages; the server goes on with it.`
          : `The ${part} is to be replaced in stages. A server goes on with it, and none runs on ${store.description}: start "atlas serve${sameStore(flags)}".`,
      )
      this.next(`atlas rotate --status${sameStore(flags)}`)
      return {rotated: [], done: false, changes: described(changes)}
    }

    const ended = await followRotation(store, {
      waitMs: Math.max(0, waitMs - (performance.now() - began)),
      changed: rotation => {
        this.message(renderRotation(rotation, dependencies.now()))
      },
    })
    this.message(renderReplaced(part, ended?.skipped ?? flags.skip ?? []))
    this.next(`atlas rotate --status${sameStore(flags)}`)
    return {rotated: [], done: true, changes: described(changes)}
  }

  /** What a rotation asks of people, and what it breaks for the clusters that it leaves behind. @param fleet before the command */
  #sayWhatFollows(fleet: Fleet, part: RotationPart, skip: readonly string[]): void {
    if (part === 'root' && fleet.rotation === undefined) this.message(renderByHand(fleet, dependencies.now()))
    if (skip.length > 0) this.message(renderLeftBehind(part, skip))
  }

  /** Told at once: a rotation that has begun would wait for it without a word for minutes. */
  async #untilClockHolds(store: StateStore): Promise<string | undefined> {
    const {fleet} = await loadInstallation(store)
    const reported = await loadReports(store, fleet, fetchReport).catch(() => [])
    return renderClockWait(reported, dependencies.now(), fleet)
  }

  async #request(store: StateStore, directory: string, parts: readonly IssuerPart[], flags: RotateFlags): Promise<WrittenRequests['json']> {
    const {settings} = await loadInstallation(store)
    const then = `atlas rotate ${flags.root ? '--root --ca-cert FILE' : '--issuer'}${sameStore(flags)}`
    const {message, json} = await writeRequests(directory, parts, settings, {...dependencies, then})
    this.message(message)
    return json
  }

  /** While a rotation of the root waits: issuers that stay, below roots whose keys are kept offline. */
  async #issuerAgain(flags: RotateFlags): Promise<Rotated | WrittenRequests['json']> {
    refuseEmpty(flags, ['certificate', 'request'])
    const store = await this.openStore(flags, {work: 'register', secrets: boundSecrets})
    if (flags.request !== undefined) {
      const {fleet, settings} = await loadInstallation(store)
      const then = `atlas rotate --issuer${sameStore(flags)}`
      const {message, json} = await writeRequestsAgain(flags.request, requireBound(fleet), settings, {...dependencies, then})
      this.message(message)
      return json
    }

    const given = certificatesAgain(flags.certificate ?? '', {anyAge: flags.yes})
    const {changes} = await bringAgain(store, given, dependencies, {dryRun: flags['dry-run']})
    const isNothing = changes.length === 0
    if (isNothing) this.message('The issuer has this certificate already; nothing is changed.')
    else if (flags['dry-run']) this.message(`The issuer would get this certificate:\n${renderChanges(changes)}`)
    else this.message('The issuer has its new certificate. Nothing else is replaced; the rotation of the root goes on.')
    this.next(`atlas rotate --status${sameStore(flags)}`)
    return {rotated: [], done: !flags['dry-run'], changes: described(changes)}
  }

  async #confirmRoot(fleet: Fleet, flags: RotateFlags): Promise<void> {
    const [root] = rotationStatus(fleet, []).certificates
    const age = root?.from === undefined ? '' : ` The present root is of ${renderTime(root.from)}.`
    const consequence = `A new root asks for work in every cluster: twice, its new ADS credential must be applied there.${age}`
    await confirmByName(
      'root',
      {action: 'replace the root', consequence},
      {yes: flags.yes, noInput: flags['no-input'] || this.jsonEnabled()},
    )
  }

  #saySkipped(fleet: Fleet): void {
    const revoked = revokedClusters(fleet)
    if (revoked.length === 0) return
    const which = revoked.length === 1 ? 'which is revoked' : 'which are revoked'
    this.message(`Nothing is issued for ${revoked.join(', ')}, ${which}: "atlas cluster restore NAME" ends that.`)
  }

  async #leaves(store: StateStore, names: readonly string[], flags: RotateFlags): Promise<Rotated> {
    const options = {dryRun: flags['dry-run'], ...waitOf(flags), leaves: flags.ads ? 'credentials' : 'identities'} as const
    const {owners, changes, after} = await this.waitFor('the leader to issue them', rotateLeaves(store, names, dependencies, options))
    const what = flags.ads ? 'New ADS credentials' : 'New certificates'
    if (flags['dry-run']) {
      this.message(`${what} would be issued:`)
      this.data(renderChanges(changes))
    } else if (store.signedBy === 'caller') this.message(`${what} are issued:\n${renderChanges(changes)}`)
    else if (options.waitMs === undefined)
      this.message(`The leader was asked to issue ${what.replace('New', 'new')} for ${owners.join(', ')}.`)
    else this.message(`${what} are issued for ${owners.join(', ')}.`)
    if (names.length === 0) this.#saySkipped(after)
    if (!flags['dry-run'])
      this.next(
        flags.ads
          ? `atlas cluster values ${owners.length === 1 ? (owners[0] ?? '') : 'NAME'}${sameStore(flags)} --format ${flags.store === undefined ? 'secret' : 'bootstrap --output DIR'}, and apply it there${flags.store === undefined ? '' : '; where DIR has the present files, their other flags are kept'}`
          : `atlas status${sameStore(flags)}`,
      )
    const done = !flags['dry-run'] && (store.signedBy === 'caller' || options.waitMs !== undefined)
    return {rotated: owners, done, changes: described(changes)}
  }
}

type RotateFlags = FlagsOf<typeof Rotate.flags> & FlagsOf<typeof Rotate.baseFlags>

/** @throws AtlasError `invalid` where arguments and `--cluster` name different clusters, and for `--cluster` without a name */
function namesIn(args: readonly string[], {cluster}: RotateFlags): readonly string[] {
  // An unset shell variable would rotate every cluster.
  const named = joined(cluster, '--cluster')?.split(',') ?? []
  const names = [...new Set([...args, ...named])]
  if (args.length > 0 && named.length > 0 && names.some(name => !args.includes(name) || !named.includes(name)))
    throw new AtlasError('invalid', `the arguments name ${quote(args.join(' '))}, and --cluster names ${quote(named.join(' '))}`, {
      hint: 'name each cluster once, as an argument or by --cluster',
    })
  return names
}

/** @throws AtlasError `invalid` for flags that belong to another work than that of the command */
function requireTogether(part: RotationPart | undefined, names: readonly string[], flags: RotateFlags): void {
  if ((part !== undefined || flags.status) && names.length > 0)
    throw new AtlasError(
      'invalid',
      `--issuer, --root and --status are about every cluster, and take no name; got ${quote(names.join(' '))}`,
    )
  if (part !== undefined) return
  if (flags.skip !== undefined) throw new AtlasError('invalid', '--skip belongs to --issuer or --root')
  if ((flags.request ?? flags.certificate ?? flags['issuer-cert']) !== undefined)
    throw new AtlasError('invalid', '--request, --certificate and --issuer-cert belong to --issuer or --root')
}
