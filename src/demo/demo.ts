/** The demo from start to end: starts every program, runs the proofs, waits for Ctrl-C, stops every program. Each part has its own file. */
import path from 'node:path'
import {AtlasError} from '../lib/model/errors.js'
import {openDirectory} from '../lib/store/open.js'
import {openAtlasCli} from './atlas-cli.js'
import {programs} from './lab/catalogue.js'
import {type ReservedSites, reserveSites, hasManyLoopbackAddresses} from './lab/free-addresses.js'
import {openFolder} from './lab/folder.js'
import {type Network, joinCluster, openNetwork, startStandIn} from './network.js'
import {openSupervisor} from './lab/processes.js'
import {type Environment, availability} from './lab/programs.js'
import type {Proof} from './proof.js'
import {untilReachable} from './proofs/paths.js'
import {proveWithEnvoyAlone, proveWithMonitoring} from './proofs/run-proofs.js'
import {type MonitoringPrograms, sitesByCluster, startMonitoring, startPrometheuses} from './monitoring.js'
import type {Screen} from './screen.js'
import type {DemoContext} from './context.js'
import {type Shown, showAddresses, showPaths} from './addresses.js'
import {type FinderOptions, awaitShown, showPrograms, warnMissing} from './finder.js'
import {openWeb} from './web.js'

export interface DemoOptions {
  /** Downstream clusters at the start; one more joins later. */
  readonly clusters: number
  /** Run the proofs, stop everything and return, instead of waiting for Ctrl-C. */
  readonly once: boolean
  /** An empty directory for all files, which is not removed at the end; undefined: a temporary one. */
  readonly keep?: string
  readonly oneAddress: boolean
}

export interface DemoResult {
  readonly proofs: readonly Proof[]
  /** Names of proofs that need a program that this machine does not have. */
  readonly leftOut: readonly string[]
}

export interface DemoDependencies {
  readonly env: Environment
  readonly screen: Screen
  /** Aborts on Ctrl-C. */
  readonly interrupted: AbortSignal
}

/**
 * Runs the demo. When it returns or throws, none of its processes runs any more and its temporary folder is removed.
 * @throws AtlasError `not-found` without Envoy, `conflict` for busy ports, `failed` when a program crashes; the reason of `interrupted`
 */
export async function runDemo(options: DemoOptions, dependencies: DemoDependencies): Promise<DemoResult> {
  const envoy = await findEnvoy(dependencies)
  const endings: (() => Promise<void>)[] = []
  try {
    const context = await openContext(options, {...dependencies, envoy}, endings)
    const network = await openNetwork(context)
    endings.push(async () => network.close())
    return await showAndProve(network, options, dependencies)
  } finally {
    for (const end of endings.reverse()) await end()
  }
}

/** @param endings gets a function for each thing opened, in order, which closes it again */
async function openContext(
  options: DemoOptions,
  {envoy, screen, interrupted}: DemoDependencies & {envoy: string},
  endings: (() => Promise<void>)[],
): Promise<DemoContext> {
  const {sites, release} = await reserveAddresses(options, screen)
  endings.push(release)
  const folder = await openFolder(options.keep)
  endings.push(async () => {
    await folder.dispose()
    if (folder.isKept) screen.detail(`Everything is kept in ${folder.path}: store, bootstraps, logs.`)
  })
  const supervisor = await openSupervisor(folder.path, {removeFolder: !folder.isKept})
  endings.push(async () => supervisor.stopAll())
  const signal = AbortSignal.any([supervisor.crashed, interrupted])
  const directory = path.join(folder.path, 'store')
  const onCommand = (text: string): void => {
    screen.command(text)
  }
  return {
    folder: folder.path,
    sites,
    screen,
    supervisor,
    atlas: openAtlasCli({store: directory, supervisor, signal, onCommand}),
    store: openDirectory({directory}),
    envoy,
    signal,
  }
}

async function showAndProve(network: Network, options: DemoOptions, {env, screen, interrupted}: DemoDependencies): Promise<DemoResult> {
  const {context} = network
  const finder = {env, screen, signal: context.signal}
  await joinAll(network, options.clusters)
  const thief = await thiefIn(network)
  const prometheus = await prometheusThere(env)
  if (prometheus !== undefined) await startPrometheuses(network, prometheus)
  screen.step('Proofs with Envoy alone')
  const first = await proveWithEnvoyAlone(network, thief)
  const web = openWeb(network, finder)
  screen.step('Proofs of web pages, alerts and a login')
  await web.proveWhatIsThere()
  const early = [...web.result().proofs]
  const monitoring = await findMonitoring(finder)
  const query = monitoring === undefined ? undefined : await startMonitoring(network, monitoring)
  screen.step(query === undefined ? 'Proofs on the running network, without Thanos' : 'Proofs on the running network, with Thanos Query')
  const second = await proveWithMonitoring(network, {query, programs: monitoring})
  await web.proveRest()
  const {proofs, leftOut, shown} = web.result()
  const result = {
    proofs: [...first, ...early, ...second, ...proofs.slice(early.length)],
    leftOut: [...(query === undefined ? ['thanos-query'] : []), ...leftOut],
  }
  summarise(result, screen)
  showPaths(screen, result.proofs)
  if (!options.once) await waitForCtrlC(network, {query, web: shown}, interrupted)
  return result
}

async function joinAll(network: Network, clusters: number): Promise<void> {
  const {context} = network
  for (const {name, site} of sitesByCluster(context.sites).slice(0, clusters)) {
    context.screen.step(`Downstream cluster ${name}, at ${site.address}`)
    await joinCluster(network, name, site, await startStandIn(name, site))
  }

  await Promise.all(network.members.map(async member => untilReachable(network, member)))
}

/** The cluster whose keys the proofs treat as stolen: the last one; with a single cluster, one that is registered and never started. */
async function thiefIn({members, context}: Network): Promise<string> {
  const last = members.length > 1 ? members.at(-1)?.name : undefined
  if (last !== undefined) return last
  context.screen.step('Another cluster, only registered: the proofs treat its keys as stolen')
  await context.atlas.run('cluster', 'add', 'guest')
  return 'guest'
}

/** One more address than clusters: for the cluster that is added while the network runs. */
async function reserveAddresses({oneAddress, clusters}: DemoOptions, screen: Screen): Promise<ReservedSites> {
  const isSpacious = oneAddress || (await hasManyLoopbackAddresses())
  if (!isSpacious) screen.warn('this machine has only the loopback address 127.0.0.1 (as macOS does): continuing as with --one-address')
  return reserveSites(oneAddress || !isSpacious ? 'one' : 'own', clusters + 1)
}

async function findEnvoy({env, screen, interrupted}: DemoDependencies): Promise<string> {
  const finder = {env, screen, signal: interrupted}
  screen.step('Programs')
  const found = await awaitShown('envoy', finder)
  if (found.kind === 'missing') throw new AtlasError('not-found', `the demo needs Envoy: ${found.why}`, {hint: programs.envoy.remedy})
  await showPrograms(
    Object.values(programs).map(({name}) => name),
    finder,
  )
  return found.path
}

/** Prometheus 3 where it is there already, else whichever Prometheus is. */
async function prometheusThere(env: Environment): Promise<string | undefined> {
  for (const name of ['prometheus-3', 'prometheus'] as const) {
    const state = await availability(programs[name], env)
    if (state.kind === 'found') return state.path
  }
  return undefined
}

/** Finds Prometheus and Thanos, and waits while they are being downloaded; warns and returns undefined where one is missing. */
async function findMonitoring(finder: FinderOptions): Promise<MonitoringPrograms | undefined> {
  const paths = {prometheus: '', thanos: ''}
  for (const name of ['prometheus', 'thanos'] as const) {
    const state = await awaitShown(name, finder)
    if (state.kind === 'missing') {
      warnMissing(name, state.why, finder.screen)
      finder.screen.warn('the proofs on the running network use Envoy alone; the proof thanos-query is skipped')
      return undefined
    }
    paths[name] = state.path
  }

  return {...paths, prometheus: (await prometheusThere(finder.env)) ?? paths.prometheus}
}

function summarise({proofs, leftOut}: DemoResult, screen: Screen): void {
  const failed = proofs.filter(({ok}) => !ok)
  const left = leftOut.length === 0 ? '' : `; skipped: ${leftOut.join(', ')}`
  if (failed.length === 0) screen.step(`All ${proofs.length} proofs passed${left}`)
  else screen.warn(`${failed.length} of ${proofs.length} proofs failed: ${failed.map(({name}) => name).join(', ')}${left}`)
}

/** Returns on Ctrl-C. @throws the crash's error when a program crashes */
async function waitForCtrlC(network: Network, shown: Shown, interrupted: AbortSignal): Promise<void> {
  const {signal} = network.context
  showAddresses(network, shown)
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => {
      resolve()
    })
  })
  if (!interrupted.aborted) signal.throwIfAborted()
}
