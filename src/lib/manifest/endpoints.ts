/** The endpoints file of Thanos Query (`--endpoint.sd-config-file`): every replica of every cluster that has an address. */
import {type Cluster, isPending} from '../model/cluster.js'
import {type Fleet, clusterOf} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import {remember} from '../model/remember.js'
import type {Settings} from '../model/settings.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import {byGroup, clusterText} from './cluster-text.js'
import {tlsKeys} from './secrets.js'
import {renderYaml} from './yaml.js'

/** The key of ConfigMap `atlas-thanos-endpoints`, and so the file's name where it is mounted. */
export const ENDPOINTS_KEY = 'endpoints.yaml'

/**
 * YAML text; byte-stable, sorted by cluster, then replica. An empty list is legal there. Where 10901 is in mutual TLS each endpoint
 * has its TLS settings: a default of Thanos would apply to the endpoints of its flags, too.
 * @param group whose clusters are listed; without it, all are
 */
export function renderEndpoints(fleet: Fleet, group?: string): string {
  const {settings} = fleet
  if (settings === undefined) return NONE
  return listOf(group)(fleet, settings)
}

/** Renders the parts of these owners, so that `renderEndpoints` only joins them: for 1,000 clusters they take 35 ms in one piece. */
export function renderEndpointsAhead(fleet: Fleet, owners: readonly Owner[]): void {
  const {settings} = fleet
  if (settings === undefined) return
  for (const owner of owners) {
    const cluster = owner === OBSERVABILITY ? undefined : clusterOf(fleet, owner)
    if (cluster !== undefined && !isPending(cluster)) blockOf(cluster, settings)
  }
}

/** The address of one replica for Thanos Query. */
export function endpointOf(settings: Settings, service: string): string {
  return settings.endpointTemplate
    .replaceAll('{service}', service)
    .replaceAll('{namespace}', settings.namespace)
    .replaceAll('{clusterDomain}', settings.clusterDomain)
}

const NONE = renderYaml({endpoints: []})

/** A cluster's part of the list; remembered, since one change among a thousand clusters leaves all others as they were. */
const blockOf = remember((cluster: Cluster, settings: Settings): string => {
  const endpoints = thanosEndpointsOf(cluster).map(({name}) => endpoint(settings, name))
  return renderYaml(endpoints).replaceAll(/^( +(?:client|tls)_config: )(tls|files)$/gm, '$1*$2')
})

const listOf = byGroup(group => clusterText(blockOf, wholeOf, group))

/** The user's own endpoints come after Atlas's. */
function wholeOf(blocks: readonly string[], settings: Settings): string {
  const extra = settings.extraEndpoints.length === 0 ? '' : renderYaml(settings.extraEndpoints)
  return blocks.length === 0 && extra === '' ? NONE : `endpoints:\n${withFiles(blocks.join(''), settings)}${extra}`
}

function endpoint(settings: Settings, service: string) {
  const address = endpointOf(settings, service)
  if (!settings.internalTls.includes(10_901)) return {address}
  const name = `${service}.${settings.namespace}.svc.${settings.clusterDomain}`
  // Envoy's certificate and route are for this name: Thanos Query must send it also where it connects to another name.
  return {address, client_config: hostIn(address) === name ? 'tls' : {tls_config: 'files', server_name: name}}
}

/** Without the resolver in front of it (`dns://HOST:PORT/NAME:PORT`) and the port. */
function hostIn(address: string): string {
  return address.replace(/^.*\//, '').replace(/:[0-9]+$/, '')
}

/** The files of the client's certificate, written once, as an anchor in the first endpoint: a ConfigMap has room for 1 MiB (text-limits.ts). */
function withFiles(text: string, {clientDirectory}: Settings): string {
  const files = {
    enabled: true,
    cert_file: `${clientDirectory}/${tlsKeys.certificate}`,
    key_file: `${clientDirectory}/${tlsKeys.key}`,
    ca_file: `${clientDirectory}/${tlsKeys.roots}`,
  }
  return text
    .replace(': *tls\n', () => `: &tls\n${indented({tls_config: files}, '    ')}`)
    .replace(': *files\n', () => `: &files\n${indented(files, '      ')}`)
}

function indented(value: unknown, by: string): string {
  return `${renderYaml(value).trimEnd().replaceAll(/^/gm, by)}\n`
}
