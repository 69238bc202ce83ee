/** The endpoints file of Thanos Query (`--endpoint.sd-config-file`): every replica of every cluster that has an address. */
import {type Cluster, replicasOf} from '../model/cluster.js'
import type {Fleet} from '../model/fleet.js'
import {sidecarName} from '../model/names.js'
import {remember} from '../model/remember.js'
import type {Settings} from '../model/settings.js'
import {clusterText} from './cluster-text.js'
import {tlsKeys} from './secrets.js'
import {renderYaml} from './yaml.js'

/** The key of ConfigMap `atlas-thanos-endpoints`, and so the file's name where it is mounted. */
export const ENDPOINTS_KEY = 'endpoints.yaml'

/**
 * YAML text; byte-stable, sorted by cluster, then replica. An empty list is legal there. Where 10901 is in mutual TLS each endpoint
 * has its TLS settings: a default of Thanos would apply to the endpoints of its flags, too.
 */
export function renderEndpoints(fleet: Fleet): string {
  const {settings} = fleet
  if (settings === undefined) return NONE
  return listOf(fleet, settings)
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
  const endpoints = replicasOf(cluster).map(replica => endpoint(settings, sidecarName(cluster.name, replica)))
  return indented(endpoints, '  ').replaceAll(/^( +tls_config: ).+$/gm, '$1*atlas')
})

const listOf = clusterText(
  (cluster, settings) => blockOf(cluster, settings),
  (blocks, settings) => (blocks.length === 0 ? NONE : `endpoints:\n${withFiles(blocks.join(''), settings)}`),
)

function endpoint(settings: Settings, service: string) {
  const address = endpointOf(settings, service)
  if (!settings.internalTls.includes(10_901)) return {address}
  const name = `${service}.${settings.namespace}.svc.${settings.clusterDomain}`
  // Envoy's certificate and route are for this name: Thanos Query must send it also where it connects to another name.
  return {address, client_config: {tls_config: 'atlas', ...(hostIn(address) !== name && {server_name: name})}}
}

/** Without the resolver in front of it (`dns://HOST:PORT/NAME:PORT`) and the port. */
function hostIn(address: string): string {
  return address.replace(/^.*\//, '').replace(/:[0-9]+$/, '')
}

/** The files of the client's certificate, written once, as an anchor in the first endpoint: a ConfigMap has room for 1 MiB. */
function withFiles(text: string, {clientDirectory}: Settings): string {
  const files = {
    enabled: true,
    cert_file: `${clientDirectory}/${tlsKeys.certificate}`,
    key_file: `${clientDirectory}/${tlsKeys.key}`,
    ca_file: `${clientDirectory}/${tlsKeys.roots}`,
  }
  return text.replace(': *atlas\n', () => `: &atlas\n${indented(files, '        ')}`)
}

function indented(value: unknown, by: string): string {
  return `${renderYaml(value).trimEnd().replaceAll(/^/gm, by)}\n`
}
