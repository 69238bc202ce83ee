/** What a reader can open or type while the demo runs. */
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {Network} from './network.js'

/** Prints the addresses of everything with a page. */
export function showAddresses({stage, members, observability}: Network, {hasQuery}: {readonly hasQuery: boolean}): void {
  const {screen, sites} = stage
  screen.step('Open')
  const lines: [string, HostPort, string][] = [
    ...(hasQuery ? [['Thanos Query', {host: sites.query.address, port: sites.query.ports.http}, '/'] as [string, HostPort, string]] : []),
    ['metrics of atlas serve', {host: sites.observability.address, port: sites.observability.ports.serverAdmin}, '/metrics'],
    ['observability Envoy', observability.admin, '/'],
    ...members.map(({name, envoy}): [string, HostPort, string] => [`Envoy of ${name}`, envoy.admin, '/']),
    ...members
      .filter(({backend}) => backend.kind === 'monitored')
      .map(({name, site}): [string, HostPort, string] => [`Prometheus of ${name}`, {host: site.address, port: site.ports.prometheus}, '/']),
  ]
  for (const [title, address, page] of lines) screen.detail(`${title.padEnd(24)}http://${renderHostPort(address)}${page}`)
  screen.step('Try, in another terminal')
  for (const command of ['status', 'cluster list', 'rotate']) screen.command(`atlas ${command} --store ${stage.folder}/store`)
  screen.step('Ctrl-C ends everything and removes its files')
}
