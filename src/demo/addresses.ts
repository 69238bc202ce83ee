/** The pages that a user can open and the commands to try while the demo runs. */
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {PROGRAM} from './atlas-cli.js'
import type {Network} from './network.js'

/** Prints the address of every program that has a page. @param query the address of Thanos Query, if it runs */
export function showAddresses({context, members, observability}: Network, query: HostPort | undefined): void {
  const {screen, sites} = context
  const {address, ports} = sites.observability
  screen.step('Open')
  const lines: [title: string, address: HostPort, page: string][] = []
  if (query !== undefined) lines.push(['Thanos Query', query, '/'])
  lines.push(
    ['metrics of atlas serve', {host: address, port: ports.serverAdmin}, '/metrics'],
    ['observability Envoy', observability.stats, '/stats/prometheus'],
  )
  for (const {name, envoy, site, backend} of members) {
    lines.push([`Envoy of ${name}`, envoy.stats, '/stats/prometheus'])
    if (backend.kind === 'sidecar') lines.push([`Prometheus of ${name}`, {host: site.address, port: site.ports.prometheus}, '/'])
  }

  for (const [title, address, page] of lines) screen.detail(`${title.padEnd(24)}http://${renderHostPort(address)}${page}`)
  screen.step('Try, in another terminal')
  screen.command(`export ATLAS_STORE=${context.folder}/store`)
  for (const command of ['status', 'cluster list', 'rotate']) screen.command(`${PROGRAM} ${command}`)
  screen.command(`curl --unix-socket ${observability.admin.socketPath} http://envoy/clusters`)
  screen.step('Ctrl-C ends everything and removes its files')
}
