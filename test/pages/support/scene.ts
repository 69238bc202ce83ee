/**
 * The network of all tests of this folder: an observability Envoy and two downstream ones. `paris` has two Prometheus 3, of which
 * the first one knows its host name at Atlas, and an Alertmanager; a test puts behind `lyon` what it needs. Started by the first file that uses it, stopped after the last.
 */
import type {Browser} from 'playwright-core'
import {queryInstant} from '../../../src/demo/lab/query-api.js'
import {waitFor} from '../../../src/demo/lab/wait.js'
import {dependencies} from '../../../src/lib/cli/base-command.js'
import type {HostPort} from '../../../src/lib/model/address.js'
import type {ServiceTargets} from '../../../src/lib/model/cluster.js'
import type {PageKind} from '../../../src/lib/model/names.js'
import {defaultPages} from '../../../src/lib/model/page.js'
import {defaultStack, targetsOf} from '../../../src/lib/model/stack.js'
import {type ClusterRequest, addCluster} from '../../../src/lib/ops/cluster/add.js'
import {until} from '../../e2e/look.js'
import {type Network, openNetwork} from '../../e2e/network.js'
import {type RecordingServer, ask, serveRecording} from '../../helpers/http1.js'
import {openBrowser} from './browser.js'
import {ALERT, type Ground, startAlertmanager, startPrometheus} from './programs.js'

export interface Pages {
  readonly network: Network
  readonly browser: Browser
  /** For programs that a test starts itself. */
  readonly ground: Ground
  /** 10904 of the observability Envoy. */
  readonly door: HostPort
  /** The Alertmanager of `paris`. */
  readonly alertmanager: HostPort
  /** An address behind the Envoy of `lyon` that nothing else uses; counted up. */
  spare(port: number): HostPort
  /** Puts services behind `lyon`, and nothing else, and waits until `probe` holds. */
  behindLyon(services: Partial<ServiceTargets>, pages: ClusterRequest['pages'], probe: () => Promise<boolean>): Promise<void>
  /** Puts a server behind `lyon` that answers `recorded`, as its Prometheus. */
  recordedBehindLyon(): Promise<RecordingServer>
}

/** To a browser names below `localhost` are as good as ones with TLS: it allows service workers there, and says which site a request is from. */
const DOMAIN = 'web.localhost'

/** The host name of all pages by path. */
const HOST = 'atlas.localhost'

/** Where the pages of one kind are, by path. */
export function byPath(kind: PageKind, cluster: string): string {
  return `http://${HOST}/${kind}/${cluster}/`
}

/** Where they are by host name. */
export function byHost(kind: PageKind, cluster: string): string {
  return `http://${cluster}.${kind}.${DOMAIN}/`
}

/** Both ways, for tests that do the same with each. */
export const ways = [
  ['by path', byPath],
  ['by host name', byHost],
] as const

/** As `ask`, for an address as a browser shows it. */
export async function askAt({door}: Pages, url: string, request: Parameters<typeof ask>[2] = {}): Promise<Awaited<ReturnType<typeof ask>>> {
  const [, host = '', path = ''] = /^http:\/\/([^/]+)(\/.*)$/.exec(url) ?? []
  return ask(door, path, {...request, headers: {host, ...request.headers}})
}

export async function sharedPages(): Promise<Pages> {
  shared ??= open()
  return shared
}

async function open(): Promise<Pages> {
  const network = await openNetwork({clusters: ['paris', 'lyon'], settings: {webDomain: DOMAIN, pagesByPath: true}})
  try {
    return await fill(network)
  } catch (error) {
    await network.close()
    throw error
  }
}

async function fill(network: Network): Promise<Pages> {
  const door = {host: network.address, port: 10_904}
  const [paris, lyon] = [0, 1].map(index => network.spareAddress(index).replace(/200$/, '')) as [string, string]
  const ground: Ground = {folder: network.folder, crashed: network.crashed, startProcess: network.startProcess}
  const alertmanager = {host: `${paris}200`, port: 9093}
  const replicas = [
    {host: `${paris}10`, port: 9090},
    {host: `${paris}11`, port: 9090},
  ] as const
  const change = async (name: string, request: ClusterRequest): Promise<void> => {
    await addCluster(network.store, name, {request, defaults: targetsOf(defaultStack)}, dependencies)
  }
  const sidecar = {host: `${lyon}1{replica}`, port: 10_901}
  let used = 0

  const [browser] = await Promise.all([
    openBrowser(door),
    startAlertmanager(ground, {name: 'alertmanager-paris', listen: alertmanager}),
    startPrometheus(ground, {
      ...{name: 'prometheus-paris-0', listen: replicas[0], version: 3, alertmanager},
      flags: [`--web.external-url=${byHost('prom', 'paris')}`],
    }),
    startPrometheus(ground, {name: 'prometheus-paris-1', listen: replicas[1], version: 3}),
    change('paris', {
      replicas: 2,
      services: {prometheus: {host: `${paris}1{replica}`, port: 9090}, alertmanager},
      pages: {allowLocalTargets: true},
    }),
  ])
  network.onClose(() => browser.close())

  const pages: Pages = {
    network,
    browser,
    ground,
    door,
    alertmanager,
    spare: port => ({host: `${lyon}${100 + used++}`, port}),
    async behindLyon(services, settings, probe) {
      const paths = {...defaultPages.paths, ...settings?.paths}
      await change('lyon', {
        services: {thanos: sidecar, ...services},
        pages: {...defaultPages, allowLocalTargets: true, ...settings, paths},
      })
      await until(network, 'the pages of lyon', probe)
    },
    async recordedBehindLyon() {
      const listen = pages.spare(9090)
      const server = await serveRecording(listen, 'recorded')
      network.onClose(server.close)
      await pages.behindLyon({prometheus: listen}, {}, async () => (await askAt(pages, byPath('prom', 'lyon'))).body === 'recorded')
      return server
    },
  }

  const options = {signal: network.crashed, timeoutMs: 60_000, everyMs: 100}
  for (const at of replicas)
    await waitFor('the first sample', async () => ((await queryInstant(at, 'up')).length > 0 ? true : undefined), options)
  const alerted = async (): Promise<true | undefined> =>
    (await askAt(pages, `${byPath('alertmanager', 'paris')}api/v2/alerts`)).body.includes(ALERT) ? true : undefined
  await waitFor('the alert at Alertmanager', alerted, options)
  return pages
}

let shared: Promise<Pages> | undefined

// Outside of every describe: a hook of the whole run.
after('the network of the pages ends', async () => {
  const pages = await shared?.catch(() => undefined)
  await pages?.network.close()
})
