/** ConfigMap `atlas-fleet` <-> settings: one text per key; absent keys take the default, but for the trust domain. */
import {parseAddresses, parseHostPort, parsePort, renderAddresses, renderHostPort, type HostPort} from '../model/address.js'
import {parseAlertmanagerSelector, renderAlertmanagerSelector} from '../model/alertmanager.js'
import {parseDuration, renderDuration} from '../model/duration.js'
import {AtlasError} from '../model/errors.js'
import {parseExtraEndpoints} from '../model/extra-endpoints.js'
import {
  type InternalClient,
  mergedClients,
  parseInternalClient,
  parseInternalPort,
  renderInternalClient,
  requireClients,
} from '../model/internal-ports.js'
import {
  type Lifetimes,
  type ProxyTimeouts,
  type Settings,
  defaultSettings,
  parseClientDirectory,
  parseClusterDomain,
  parseEndpointTemplate,
  parseGroups,
  parseNamespace,
  parseSwitch,
  parseTrustDomain,
  parseWebDomain,
} from '../model/settings.js'
import {objectNames} from '../model/names.js'
import {type Target, encodeConfigMap, inNamespace} from './layout.js'
import type {Manifest} from './manifest.js'
import {at} from './path.js'
import {parseYaml, renderYaml} from './yaml.js'

/** A field's text in the ConfigMap. */
interface Field<T> {
  readonly parse: (text: string) => T
  readonly render: (value: T) => string
}

/** The key of the groups: the Kubernetes store watches an object for each of them. */
const GROUPS_KEY = 'groups'

const port: Field<number> = {parse: value => parsePort(value), render: String}
const clientList: Field<readonly InternalClient[]> = listOf({parse: text => parseInternalClient(text), render: renderInternalClient})
const hostPorts: Field<readonly HostPort[]> = listOf({parse: text => parseHostPort(text), render: renderHostPort})

const fields: {
  readonly [K in Exclude<keyof Settings, 'lifetimes' | 'namespace' | 'timeouts'>]: Field<Settings[K]> & {readonly key: string}
} = {
  trustDomain: {key: 'trust-domain', parse: parseTrustDomain, render: String},
  addresses: {key: 'addresses', parse: parseAddresses, render: renderAddresses},
  adsPort: {key: 'ads-port', ...port},
  alertsPort: {key: 'alerts-port', ...port},
  adsServers: {key: 'ads-servers', ...hostPorts},
  pagesServers: {key: 'pages-servers', ...hostPorts},
  thanosNamespace: {key: 'thanos-namespace', parse: value => parseNamespace(value), render: String},
  alertmanagers: {key: 'alertmanagers', ...hostPorts},
  alertmanagerSelector: {
    key: 'alertmanager-selector',
    parse: value => parseAlertmanagerSelector(value),
    render: value => (value === undefined ? '' : renderAlertmanagerSelector(value)),
  },
  clusterDomain: {key: 'cluster-domain', parse: value => parseClusterDomain(value), render: String},
  endpointTemplate: {key: 'endpoint-template', parse: value => parseEndpointTemplate(value), render: String},
  extraEndpoints: {
    key: 'extra-endpoints',
    parse: text => parseExtraEndpoints(parseYaml(text)),
    render: value => (value.length === 0 ? '' : renderYaml(value)),
  },
  groups: {key: GROUPS_KEY, ...listOf({parse: String, render: String}), parse: groupsIn},
  internalTls: {key: 'internal-tls', ...listOf({parse: text => parseInternalPort(text), render: String})},
  clients: {key: 'clients', ...clientList, parse: text => mergedClients(clientList.parse(text))},
  clientDirectory: {key: 'client-directory', parse: value => parseClientDirectory(value), render: String},
  webDomain: {key: 'web-domain', parse: value => parseWebDomain(value), render: value => value ?? ''},
  pagesByPath: {key: 'pages-by-path', parse: value => parseSwitch(value, 'pages-by-path'), render: value => (value ? 'true' : '')},
}

/** Every key that settings are written under. */
const settingsKeys: ReadonlySet<string> = new Set([
  ...Object.values(fields).map(field => field.key),
  ...Object.keys(defaultSettings.lifetimes).map(name => durationKey('lifetime', name)),
  ...Object.keys(defaultSettings.timeouts).map(name => durationKey('timeout', name)),
])

/** @throws AtlasError `invalid`, naming the key */
export function decodeSettings(manifest: Manifest): Settings {
  const data = manifest.data ?? {}
  // The trust domain is part of every certificate: if a lost one became the default, every certificate would be replaced.
  at('data.trust-domain', () => requireText(data['trust-domain']))
  const settings: Record<string, unknown> = {...defaultSettings, namespace: manifest.metadata.namespace ?? defaultSettings.namespace}
  for (const [name, field] of Object.entries(fields)) {
    const value = data[field.key]
    if (value !== undefined) settings[name] = at(`data.${field.key}`, () => field.parse(value))
  }

  settings['lifetimes'] = decodeDurations('lifetime', defaultSettings.lifetimes, data)
  settings['timeouts'] = decodeDurations('timeout', defaultSettings.timeouts, data)
  at('data.clients', () => requireClients(settings as unknown as Settings))
  return settings as unknown as Settings
}

/** The groups in the ConfigMap's text; AtlasError `invalid` is thrown for a bad name. */
function groupsIn(text: string): readonly string[] {
  return parseGroups(listOf({parse: String, render: String}).parse(text))
}

/** What a store must know of the settings before it decodes them: Thanos's namespace, and the groups that have endpoints there. */
export function thanosObjectsIn({data}: Manifest): {readonly namespace: string | undefined; readonly groups: readonly string[]} {
  const names = (data?.[GROUPS_KEY] ?? '').split(',').map(name => name.trim())
  return {
    namespace: data?.['thanos-namespace'],
    groups: names.filter(name => objectNames.groupEndpoints.parse(objectNames.groupEndpoints(name)) !== undefined),
  }
}

/** ConfigMap `atlas-fleet`; its namespace is a setting. A key that isn't of these settings stays. */
export function encodeFleet(settings: Settings, target: Target): Manifest {
  const kept = Object.entries(target.existing?.data ?? {}).filter(([key]) => !settingsKeys.has(key))
  const data = {...Object.fromEntries(kept), ...encodeSettings(settings)}
  return {...inNamespace(encodeConfigMap(target, {}), {...target, namespace: settings.namespace}), data}
}

/** The settings as `data` of the ConfigMap; empty lists, and what is off, are left out. */
export function encodeSettings(settings: Settings): Readonly<Record<string, string>> {
  const plain = Object.entries(fields).map(
    ([name, field]) => [field.key, (field.render as (value: unknown) => string)(settings[name as keyof typeof fields])] as const,
  )
  const durations = [...encodeDurations('lifetime', settings.lifetimes), ...encodeDurations('timeout', settings.timeouts)]
  return Object.fromEntries([...plain.filter(([, value]) => value !== ''), ...durations])
}

/** A comma list; blanks and repeats are ignored. */
function listOf<T>({parse, render}: Field<T>): Field<readonly T[]> {
  return {
    parse(value) {
      const parts = value.split(',').map(part => part.trim())
      return [...new Set(parts.filter(part => part !== ''))].map(part => parse(part))
    },
    render: values => values.map(value => render(value)).join(','),
  }
}

function requireText(value: string | undefined): void {
  if (value === undefined) throw new AtlasError('invalid', 'the trust domain must be there; it is part of every certificate')
}

function decodeDurations<T extends Lifetimes | ProxyTimeouts>(prefix: string, defaults: T, data: Readonly<Record<string, string>>): T {
  const entries = Object.entries(defaults).map(([name, standard]) => {
    const key = durationKey(prefix, name)
    const value = data[key]
    return [name, value === undefined ? standard : at(`data.${key}`, () => parseDuration(value))] as const
  })
  return Object.fromEntries(entries) as unknown as T
}

function encodeDurations(prefix: string, durations: Lifetimes | ProxyTimeouts): readonly (readonly [string, string])[] {
  return Object.entries(durations).map(([name, value]) => [durationKey(prefix, name), renderDuration(value as number)] as const)
}

/** `adsConnection` -> `timeout-ads-connection`. */
function durationKey(prefix: string, name: string): string {
  return `${prefix}-${name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}
