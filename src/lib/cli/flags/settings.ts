/** The flags of `init` that set settings. */
import {readFileSync} from 'node:fs'
import {Flags} from '@oclif/core'
import {parseYaml} from '../../manifest/yaml.js'
import {type Address, type HostPort, parseAddresses, parseHostPort, parsePort, requireReachable} from '../../model/address.js'
import {type AlertmanagerSelector, parseAlertmanagerSelector} from '../../model/alertmanager.js'
import {AtlasError, accessHint, messageOf, quote} from '../../model/errors.js'
import {parseExtraEndpoints} from '../../model/extra-endpoints.js'
import {mergedClients, parseInternalClient, parseInternalPort} from '../../model/internal-ports.js'
import {type SettingName, parseSetting, settingNames} from '../../model/setting-ranges.js'
import {
  defaultSettings,
  parseClientDirectory,
  parseClusterDomain,
  parseEndpointTemplate,
  parseGroups,
  parseNamespace,
  parseTrustDomain,
  parseWebDomain,
} from '../../model/settings.js'
import type {Choices} from '../../ops/init.js'
import {type FlagsOf, joined, parsed, present} from './common.js'

/** The groups of flags that a first installation does not need. */
const THANOS = 'THANOS QUERY'
const ALERTS = 'ALERT'
const PAGES = 'WEB PAGE'
const INTERNAL = 'INTERNAL PORT'

/** In the order of `--help`. */
export const settingsFlags = {
  address: Flags.string({
    description: 'where downstream Envoys connect to the observability Envoy: IP address or DNS name; may be repeated',
    helpValue: 'HOST',
    multiple: true,
  }),
  'ads-port': Flags.string({description: 'port for ADS at --address (default 10900)', helpValue: 'PORT'}),
  'ads-server': Flags.string({
    description:
      'where the observability Envoy connects to "atlas serve"; may be repeated (default atlas-ads.<namespace>.svc.<cluster domain>:6305)',
    helpValue: 'HOST:PORT',
    multiple: true,
  }),
  'trust-domain': Flags.string({
    description: 'SPIFFE trust domain, part of every certificate; cannot be changed later (default atlas.internal)',
    helpValue: 'DOMAIN',
  }),
  'cluster-domain': Flags.string({description: 'DNS domain of the observability cluster (default cluster.local)', helpValue: 'DOMAIN'}),
  set: Flags.string({
    description: `set a lifetime or a timeout, such as identity=30d; may be repeated; names: ${settingNames.join(', ')}`,
    helpValue: 'NAME=DURATION',
    multiple: true,
  }),
  'thanos-namespace': Flags.string({helpGroup: THANOS, description: 'namespace of Thanos Query (default atlas)', helpValue: 'NAMESPACE'}),
  'endpoint-template': Flags.string({
    helpGroup: THANOS,
    description: 'address of a replica for Thanos Query, with {service}, {namespace} and {clusterDomain}',
    helpValue: 'TEMPLATE',
  }),
  'extra-endpoints': Flags.string({
    helpGroup: THANOS,
    description:
      'file with further endpoints of Thanos Query, in the format of its --endpoint.sd-config-file, or the list itself as JSON; copied into the endpoints files; "off" for none',
    helpValue: 'FILE',
  }),
  groups: Flags.string({
    helpGroup: THANOS,
    description:
      'groups of clusters (cluster add --group), each with an endpoints file and a DNS name of its own, such as europe,asia; replaces the current list; "none" for an empty list',
    helpValue: 'GROUP,…',
  }),
  'alerts-port': Flags.string({helpGroup: ALERTS, description: 'port for alerts at --address (default 10903)', helpValue: 'PORT'}),
  alertmanager: Flags.string({
    helpGroup: ALERTS,
    description:
      'an Alertmanager of the observability cluster, to which every downstream Prometheus sends its alerts; may be repeated; "none" for an empty list',
    helpValue: 'HOST:PORT',
    multiple: true,
  }),
  'alertmanager-selector': Flags.string({
    helpGroup: ALERTS,
    description:
      'in Kubernetes, the Alertmanagers by labels of their EndpointSlices, such as monitoring/kubernetes.io/service-name=alertmanager-operated; "off" for none',
    helpValue: 'NAMESPACE/LABEL=VALUE',
  }),
  'web-domain': Flags.string({
    helpGroup: PAGES,
    description:
      'domain of the web pages: Prometheus of cluster paris is then at https://paris.prom.DOMAIN/; needs wildcard names in DNS; "off" for none',
    helpValue: 'DOMAIN',
  }),
  'pages-by-path': Flags.boolean({
    helpGroup: PAGES,
    description:
      'web pages by path too, such as /prom/paris/: one origin, so that the page of a stolen cluster can script those of all others',
    allowNo: true,
  }),
  'pages-server': Flags.string({
    helpGroup: PAGES,
    description:
      'where the observability Envoy asks "atlas serve" for its web pages; may be repeated (default: the next port of each --ads-server, as a rule 6306)',
    helpValue: 'HOST:PORT',
    multiple: true,
  }),
  'internal-tls': Flags.string({
    helpGroup: INTERNAL,
    description:
      'internal port of the observability Envoy that requires mutual TLS: 10901, 10902 or 10904; may be repeated; "off" for none',
    helpValue: 'PORT',
    multiple: true,
  }),
  client: Flags.string({
    helpGroup: INTERNAL,
    description:
      'client allowed on internal ports that speak mutual TLS: thanos (10901 alone) or ingress:10904 (only the ports named, separated by commas); replaces the current list; may be repeated; "none" for an empty list. Its certificate is in Secret atlas-client-<name>',
    helpValue: 'NAME[:PORT,…]',
    multiple: true,
  }),
  'client-directory': Flags.string({
    helpGroup: INTERNAL,
    description: 'where Thanos Query mounts its Secret atlas-client-<name>, for the endpoints file (default /etc/atlas-client)',
    helpValue: 'DIR',
  }),
}

export type SettingsFlags = FlagsOf<typeof settingsFlags>

/** @throws AtlasError `invalid` for the first wrong flag */
export function choicesOf(flags: SettingsFlags): Choices {
  const addresses = joined(flags.address, '--address')
  const choices = present({
    addresses: parsed(addresses, parseReachable),
    adsPort: parsed(flags['ads-port'], text => parsePort(text, '--ads-port')),
    alertsPort: parsed(flags['alerts-port'], text => parsePort(text, '--alerts-port')),
    adsServers: flags['ads-server']?.map(text => reachable(parseHostPort(text, '--ads-server'), '--ads-server')),
    pagesServers: flags['pages-server']?.map(text => reachable(parseHostPort(text, '--pages-server'), '--pages-server')),
    alertmanagers: listed(flags.alertmanager, 'none', text => reachable(parseHostPort(text, '--alertmanager'), '--alertmanager')),
    trustDomain: parsed(flags['trust-domain'], parseTrustDomain),
    thanosNamespace: parsed(flags['thanos-namespace'], text => parseNamespace(text, '--thanos-namespace')),
    clusterDomain: parsed(flags['cluster-domain'], text => parseClusterDomain(text, '--cluster-domain')),
    endpointTemplate: parsed(flags['endpoint-template'], text => parseEndpointTemplate(text, '--endpoint-template')),
    extraEndpoints: parsed(flags['extra-endpoints'], extraEndpointsOf),
    groups: parsed(flags.groups, text => (text === 'none' ? [] : parseGroups(text.split(','), '--groups'))),
    clients: parsed(
      listed(flags.client, 'none', text => parseInternalClient(text, '--client')),
      mergedClients,
    ),
    clientDirectory: parsed(flags['client-directory'], text => parseClientDirectory(text, '--client-directory')),
    internalTls: listed(flags['internal-tls'], 'off', text => parseInternalPort(text, '--internal-tls')),
    pagesByPath: flags['pages-by-path'],
    ...durationsOf(flags.set ?? []),
  })
  // With "off" the choice is undefined, which is another thing than no choice.
  return {
    ...choices,
    ...(flags['web-domain'] !== undefined && {webDomain: webDomainOf(flags['web-domain'])}),
    ...(flags['alertmanager-selector'] !== undefined && {alertmanagerSelector: selectorOf(flags['alertmanager-selector'])}),
  }
}

/** @throws AtlasError `invalid` for a file that can't be read, or with an entry that is none */
function extraEndpointsOf(value: string): Choices['extraEndpoints'] {
  if (value === 'off') return []
  const what = '--extra-endpoints'
  if (/^\s*[[{]/.test(value)) return parseExtraEndpoints(parseYaml(value), what)
  try {
    return parseExtraEndpoints(parseYaml(readFileSync(value, 'utf8')), what)
  } catch (error) {
    if (error instanceof AtlasError) throw error
    throw new AtlasError('invalid', `${what}: can not read ${quote(value)}: ${messageOf(error)}`, {hint: accessHint(error), cause: error})
  }
}

function selectorOf(text: string): AlertmanagerSelector | undefined {
  return text === 'off' ? undefined : parseAlertmanagerSelector(text, '--alertmanager-selector')
}

function webDomainOf(text: string): string | undefined {
  return text === 'off' ? undefined : parseWebDomain(text, '--web-domain')
}

/** Stored settings are read without this rule: an upgrade stops no server because of what an earlier release accepted. */
function parseReachable(text: string): readonly Address[] {
  const addresses = parseAddresses(text, port => `set the port on its own, with --ads-port ${port}`)
  for (const {host} of addresses) requireReachable(host, '--address')
  return addresses
}

function reachable(address: HostPort, flag: string): HostPort {
  requireReachable(address.host, flag)
  return address
}

/** @param none the value that means an empty list */
function listed<T>(values: readonly string[] | undefined, none: string, parse: (text: string) => T): readonly T[] | undefined {
  if (values === undefined) return undefined
  return values.length === 1 && values[0] === none ? [] : [...new Set(values)].map(value => parse(value))
}

function durationsOf(entries: readonly string[]): Pick<Choices, 'lifetimes' | 'timeouts'> {
  const lifetimes: Record<string, number> = {}
  const timeouts: Record<string, number> = {}
  for (const entry of entries) {
    const cut = entry.indexOf('=')
    const name = entry.slice(0, Math.max(cut, 0))
    const group = Object.hasOwn(defaultSettings.lifetimes, name)
      ? lifetimes
      : Object.hasOwn(defaultSettings.timeouts, name)
        ? timeouts
        : undefined
    if (group === undefined)
      throw new AtlasError('invalid', `--set takes NAME=DURATION, such as identity=30d; got "${entry.slice(0, 80)}"`, {
        hint: `names: ${settingNames.join(', ')}`,
      })
    group[name] = parseSetting(name as SettingName, entry.slice(cut + 1), `--set ${name}`)
  }

  return {...(Object.keys(lifetimes).length > 0 && {lifetimes}), ...(Object.keys(timeouts).length > 0 && {timeouts})}
}
