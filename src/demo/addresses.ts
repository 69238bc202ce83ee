/** The closing screen: which path the proofs took, the pages that a user can open, and the commands to try while the demo runs. */
import path from 'node:path'
import {shellWord} from '../lib/cli/text/shell.js'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {PROGRAM} from './atlas-cli.js'
import {LOGIN} from './login-proxy.js'
import {cacheFolder} from './lab/programs.js'
import {type Network, alertmanagerAddress, pagesAddress} from './network.js'
import type {Proof} from './proof.js'
import {pathOf} from './proofs/pages.js'
import type {Screen} from './screen.js'
import type {ShownWeb} from './web.js'

/** What runs beside the Envoys. */
export interface Shown {
  /** The address of Thanos Query, if it runs. */
  readonly query: HostPort | undefined
  readonly web: ShownWeb
}

/** Prints the ways through the network, each with the proofs that took it. */
export function showPaths(screen: Screen, proofs: readonly Proof[]): void {
  const passed = new Set(proofs.filter(({ok}) => ok).map(({name}) => name))
  screen.step('Their paths; what passes between Envoys, and to atlas serve, is mutual TLS')
  for (const {title, path: way, names} of ways) {
    const taken = names.filter(name => passed.has(name))
    if (taken.length === 0) continue
    screen.detail(`${title.padEnd(INDENT)}${way}`)
    for (const line of wrapped(taken)) screen.detail(`${' '.repeat(INDENT)}${line}`)
  }
}

/** Prints the address of every page that is there. */
export function showAddresses({context, members, observability, startPage}: Network, {query, web}: Shown): void {
  const {screen, sites} = context
  const pages = pagesAddress(context)
  const lines: (readonly [title: string, address: HostPort, page: string])[] = [['Every cluster', {...startPage, host: 'localhost'}, '/']]
  const [first, ...others] = members
  if (first !== undefined && web.prometheusPages) lines.push([`Prometheus of ${first.name}`, pages, pathOf('prom', first.name)])
  if (first !== undefined && web.alertmanager) lines.push([`Alertmanager of ${first.name}`, pages, pathOf('alertmanager', first.name)])
  if (web.login !== undefined) lines.push(['With a login*', web.login, first === undefined ? '/' : pathOf('prom', first.name)])
  if (web.alertmanager) lines.push(['All alerts', alertmanagerAddress(context), '/'])
  if (query !== undefined) lines.push(['Thanos Query', query, '/'])
  lines.push(
    ['Metrics of atlas serve', {host: sites.observability.address, port: sites.observability.ports.serverAdmin}, '/metrics'],
    ['Observability Envoy', observability.stats, '/stats/prometheus'],
  )
  if (first !== undefined) lines.push([`Envoy of ${first.name}`, first.envoy.stats, '/stats/prometheus'])
  screen.step('Open')
  for (const [title, address, page] of lines) screen.detail(`${title.padEnd(24)}http://${renderHostPort(address)}${page}`)
  if (web.login !== undefined) screen.detail(`* user ${LOGIN.user}, password ${LOGIN.password}`)
  if (others.length > 0) screen.detail(`The pages of ${others.map(({name}) => name).join(', ')} are linked from the first.`)
  screen.step('Try, in another terminal')
  for (const command of commandsToTry(PROGRAM, {folder: process.cwd(), store: `${context.folder}/store${nodeOnPath()}`}))
    screen.command(command)
  screen.command(`curl --unix-socket ${observability.admin.socketPath} http://envoy/clusters`)
  screen.step('Ctrl-C ends everything and removes its files')
}

/**
 * As they can be pasted into another terminal, which is in another folder.
 * @param program by name, or by a path that may begin in `folder`
 */
export function commandsToTry(program: string, {folder, store}: {readonly folder: string; readonly store: string}): readonly string[] {
  const isRelative = program.includes(path.sep) && !path.isAbsolute(program)
  return [
    ...(isRelative ? [`cd ${shellWord(folder)}`] : []),
    `export ATLAS_STORE=${store}`,
    ...['status', 'cluster list', 'rotate'].map(command => `${shellWord(program)} ${command}`),
  ]
}

/** `npm run demo` may have fetched this Node, and the user's own be too old for the commands. */
function nodeOnPath(): string {
  const folder = path.dirname(process.execPath)
  return folder.startsWith(cacheFolder(process.env) + path.sep) ? ` PATH=${shellWord(folder)}:"$PATH"` : ''
}

const ways: readonly {readonly title: string; readonly path: string; readonly names: readonly string[]}[] = [
  {
    title: 'queries',
    path: "Thanos Query → 10901 observability Envoy → 11901 cluster's Envoy → sidecar",
    names: ['envoy-path', 'thanos-query', 'replica-dies'],
  },
  {
    title: 'pages',
    path: "browser → login → 10904 observability Envoy → 11904 cluster's Envoy → page",
    names: ['prometheus-page', 'alertmanager-page', 'login-proxy'],
  },
  {title: 'alerts', path: "Prometheus → 10903 cluster's Envoy → 10903 observability Envoy → Alertmanager", names: ['alert-arrives']},
  {
    title: 'configuration',
    path: "cluster's Envoy → 10900 observability Envoy → 6305 atlas serve",
    names: ['add-while-running', 'rotate-under-load', 'server-killed-under-load'],
  },
  {
    title: 'refused',
    path: 'on each: no certificate, a foreign one, that of another or a removed cluster',
    names: [
      'no-certificate-refused',
      'foreign-certificate-refused',
      'other-cluster-refused',
      'ads-wrong-node-refused',
      'remove-cuts-off',
      'cluster-revoked',
    ],
  },
]

/** The width of the titles. */
const INDENT = 15
/** Of the names' lines, so that a terminal of 100 columns does not break them. */
const WIDTH = 80

function wrapped(names: readonly string[]): readonly string[] {
  const lines: string[] = []
  for (const name of names) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + name.length + 2 <= WIDTH) lines[lines.length - 1] = `${last}, ${name}`
    else lines.push(name)
  }

  return lines
}
