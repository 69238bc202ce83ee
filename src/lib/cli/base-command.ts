/** What all commands share: `--json`, data on stdout and messages on stderr, errors and exit codes, and the store that flags name. */
import {Command, ux} from '@oclif/core'
import {printableLines} from '../model/printable.js'
import type {OpsDependencies} from '../ops/dependencies.js'
import {cryptoSigner} from '../pki/signer.js'
import type {StateStore} from '../store/store.js'
import {type ErrorReport, exitCodes, renderError, errorReport} from './text/error.js'
import {wrapText} from './text/render.js'
import {type StoreFlags, type StoreNeeds, commandsInSameStore, openStore, storeFlags} from './flags/store.js'

/** The system's clock and node:crypto, for the use cases. */
export const dependencies: OpsDependencies = {now: () => new Date(), signer: cryptoSigner}

/** After this time a command on a terminal shows what it waits for. */
const QUIET_MS = 3000

/** So often, milliseconds, a command looks whether its store has something to say. */
const REPORT_MS = 500

interface MessageOptions {
  readonly isProse?: boolean
  /** Shown with `--json`, too, on stderr: stdout has the result alone. */
  readonly isWarning?: boolean
}

export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true

  /** Columns of the terminal that shows `data`; undefined where that goes into a file or to another program. */
  protected get terminalWidth(): number | undefined {
    return process.stdout.isTTY ? process.stdout.columns || 80 : undefined
  }

  /** Data for stdout; omitted with `--json`, which prints the result instead. */
  protected data(text: string): void {
    if (!this.jsonEnabled()) ux.stdout(printableLines(text.endsWith('\n') ? text.slice(0, -1) : text))
  }

  /**
   * A message for people, on stderr; omitted with `--json`, unless it is a warning that the result does not have.
   * @param isProse its lines are broken at words on a terminal; not for what is to be copied
   */
  protected message(text: string, {isProse = false, isWarning = false}: MessageOptions = {}): void {
    if (this.jsonEnabled() && !isWarning) return
    const width = isProse && process.stderr.isTTY ? process.stderr.columns || 80 : undefined
    process.stderr.write(`${wrapText(printableLines(text), width)}\n`)
  }

  /** The next command to run. */
  protected next(command: string): void {
    this.message(`\nNext: ${command}`)
  }

  /** Waits for `work`; on a terminal, shows after a while what is waited for. */
  protected async waitFor<T>(what: string, work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      if (process.stderr.isTTY) this.message(`Waiting for ${what} …`)
    }, QUIET_MS)
    return work.finally(() => {
      clearTimeout(timer)
    })
  }

  /** As JSON without colours, whose control characters could not be told from those in a value. */
  override logJson(value: unknown): void {
    ux.stdout(printableLines(JSON.stringify(value ?? {}, undefined, 2)))
  }

  protected override toErrorJson(error: unknown): {error: ErrorReport} {
    return {error: this.report(error)}
  }

  protected report(error: unknown): ErrorReport {
    return errorReport(error)
  }

  protected override async catch(error: Error): Promise<void> {
    if ('code' in error && error.code === 'EEXIT') throw error
    const report = this.report(error)
    process.exitCode = exitCodes[report.code]
    if (this.jsonEnabled()) this.logJson(this.toErrorJson(error))
    else this.message(renderError(report))
    if (process.env['ATLAS_DEBUG'] !== undefined) process.stderr.write(`${printableLines(error.stack ?? '')}\n`)
  }
}

/** A command that works on a state store. */
export abstract class StoreCommand extends BaseCommand {
  static override baseFlags = storeFlags

  #flags: Partial<StoreFlags> = {}
  #store: StateStore | undefined
  #reports: NodeJS.Timeout | undefined
  readonly #reported = new Set<string>()

  /** Commands in it that stand in quotes are completed, so that they can be run as they are printed. */
  protected override message(text: string, options: MessageOptions = {}): void {
    super.message(commandsInSameStore(text, this.#flags), options)
  }

  protected override report(error: unknown): ErrorReport {
    const {message, hint, ...report} = errorReport(error)
    const complete = (text: string): string => commandsInSameStore(text, this.#flags)
    return {...report, message: complete(message), ...(hint !== undefined && {hint: complete(hint)})}
  }

  /** The store that the flags name, in place of one that was opened before; closed when the command ends. What the command waits for there is reported. */
  protected async openStore(flags: StoreFlags, needs: StoreNeeds = {}): Promise<StateStore> {
    clearInterval(this.#reports)
    this.#store?.close()
    this.#flags = flags
    this.#store = await openStore(flags, needs)
    // A server reports what it waits for at its admin port.
    if (needs.work !== 'serve')
      this.#reports = setInterval(() => {
        this.#reportWarnings()
      }, REPORT_MS).unref()
    return this.#store
  }

  #reportWarnings(): void {
    for (const warning of this.#store?.warnings() ?? []) {
      if (this.#reported.has(warning)) continue
      this.#reported.add(warning)
      this.message(`Warning: ${warning}`, {isWarning: true})
    }
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    if (this.#reports !== undefined) this.#reportWarnings()
    clearInterval(this.#reports)
    this.#store?.close()
    await super.finally(error)
  }
}
