/** What follows from settings that `init` has changed in an installation that was there: what takes effect automatically, and what a person does. */
import {type Fleet, dialledAddresses} from '../../model/fleet.js'
import type {InternalClient} from '../../model/internal-ports.js'
import {type ClientName, OBSERVABILITY, objectNames, pageKinds} from '../../model/names.js'
import {type Settings, showsPages} from '../../model/settings.js'
import type {InitResult} from '../../ops/init.js'
import {type StoreFlags, sameStore} from '../flags/store.js'

/** A line for each consequence, `- ` before it. */
export function renderFollowing({before, after, settings, changed}: InitResult, flags: StoreFlags & {readonly 'dry-run': boolean}): string {
  const former = before.settings ?? settings
  const isChanged = (...keys: readonly (keyof Settings)[]): boolean => keys.some(key => changed.includes(key))
  const values = `atlas cluster values NAME${sameStore(flags)}`
  const [written, applied] =
    flags.store === undefined
      ? [values, 'apply its output there as before, with Helm or from Git']
      : [`${values} --format bootstrap --output DIR`, 'and restart that Envoy']
  const lines = [
    'Servers apply it within seconds, and pass it on to the Envoys; a server that does not run, when it starts.',
    ...(isChanged('addresses', 'adsPort') && dialledAddresses(before).length > 0 && dialledAddresses(after).length > 0
      ? [
          `Envoys of downstream clusters connect to the former address for their configuration until each has a new bootstrap: ${written}, ${applied}.`,
        ]
      : []),
    ...(isChanged('adsServers')
      ? [
          flags.store === undefined
            ? 'An observability Envoy that chart atlas did not install needs a new bootstrap; that of the chart connects to the servers of its release.'
            : `The observability Envoy needs a new bootstrap: atlas cluster values ${OBSERVABILITY}${sameStore(flags)} --format bootstrap --output DIR, and restart it.`,
        ]
      : []),
    ...(isChanged('clusterDomain', 'endpointTemplate', 'namespace')
      ? [
          'Thanos Query finds the replicas under other names, at its next look at the endpoints file: they must lead to the observability Envoy.',
        ]
      : []),
    ...(isChanged('groups') ? groupsOf(former, settings, flags) : []),
    ...(isChanged('clients') ? clientsOf(former, settings, after.clients, flags) : []),
    ...(isChanged('internalTls') ? portsOf(former, settings) : []),
    ...(isChanged('webDomain', 'pagesByPath') ? pagesOf(settings) : []),
    ...(isChanged('lifetimes')
      ? [
          'Lifetimes count for what is issued from now on; "atlas rotate" issues identities now, "atlas rotate --ads" ADS credentials, "atlas rotate --issuer" the issuer.',
        ]
      : []),
  ]
  return `${flags['dry-run'] ? 'What would follow' : 'What follows'}:\n${lines.map(line => `- ${line}`).join('\n')}`
}

function groupsOf(before: Settings, {groups}: Settings, {store}: StoreFlags): readonly string[] {
  const [added, gone] = apart(before.groups, groups)
  const place = (group: string): string =>
    store === undefined
      ? `ConfigMap ${objectNames.groupEndpoints(group)} (chart atlas: set groups: [${groups.join(', ')}], for the right to write it)`
      : `the file whose name ends with -${group}, beside that of "atlas serve --thanos-endpoints"`
  return [
    ...added.map(
      group => `The endpoints of group ${group} are in ${place(group)}; "atlas cluster add NAME --group ${group}" puts a cluster in it.`,
    ),
    ...gone.map(group => `The endpoints of group ${group} are not kept any more: nothing should read them.`),
  ]
}

function clientsOf(before: Settings, {clients, internalTls}: Settings, issued: Fleet['clients'], {store}: StoreFlags): readonly string[] {
  const names = (of: readonly InternalClient[]): readonly ClientName[] => of.map(({name}) => name)
  const [added, gone] = apart(names(before.clients), names(clients))
  const place = (name: ClientName): string =>
    store !== undefined && issued.has(name)
      ? `the file of Secret ${objectNames.client(name)} in ${store}`
      : `Secret ${objectNames.client(name)}, once a server has issued it`
  const moved = clients.flatMap(({name, ports}) => {
    const former = before.clients.find(each => each.name === name)
    const [opened, closed] = former === undefined ? [[], []] : apart(former.ports, ports)
    return [
      ...opened.map(port =>
        internalTls.includes(port)
          ? `Port ${port} admits client ${name} from now on, with the certificate that it has.`
          : `Port ${port} speaks plaintext; switched to mutual TLS, it admits client ${name}.`,
      ),
      ...closed.map(port =>
        internalTls.includes(port)
          ? `Port ${port} refuses client ${name} from now on.`
          : `Port ${port} speaks plaintext; switched to mutual TLS, it refuses client ${name}.`,
      ),
    ]
  })
  return [
    ...added.map(name => `The certificate of client ${name} is in ${place(name)}.`),
    ...moved,
    ...gone.map(name => `Client ${name} is refused from now on, and its Secret deleted.`),
  ]
}

function portsOf(before: Settings, {internalTls}: Settings): readonly string[] {
  const [added, gone] = apart(before.internalTls, internalTls)
  return [
    ...added.map(port => `Port ${port} of the observability Envoy admits only clients with a certificate: docs/how-to/internal-tls.md.`),
    ...gone.map(port => `Port ${port} of the observability Envoy speaks plaintext, on its local address alone.`),
  ]
}

function pagesOf(settings: Settings): readonly string[] {
  const {webDomain, pagesByPath} = settings
  if (!showsPages(settings)) return ['The observability Envoy shows no page of a downstream cluster.']
  return [
    ...(webDomain === undefined
      ? []
      : [
          `Pages are at names such as https://paris.prom.${webDomain}/: in DNS ${pageKinds.map(kind => `*.${kind}.${webDomain}`).join(', ')} must lead to your login proxy in front of port 10904 (docs/how-to/login-proxy.md).`,
        ]),
    ...(pagesByPath ? ['Pages are at paths such as /prom/paris/ of port 10904, where the pages of all clusters share one origin.'] : []),
  ]
}

/** What `after` has and `before` has not, and the other way round. */
function apart<T>(before: readonly T[], after: readonly T[]): readonly [added: readonly T[], gone: readonly T[]] {
  return [after.filter(each => !before.includes(each)), before.filter(each => !after.includes(each))]
}
