/** The flags of `init` that set settings. */
import {Flags} from '@oclif/core'
import {type Address, type HostPort, parseAddresses, parseHostPort, parsePort, requireReachable} from '../../model/address.js'
import {AtlasError} from '../../model/errors.js'
import {parseClientName} from '../../model/names.js'
import {type SettingName, parseSetting, settingNames} from '../../model/setting-ranges.js'
import {
  defaultSettings,
  parseClientDirectory,
  parseClusterDomain,
  parseEndpointTemplate,
  parseInternalPort,
  parseNamespace,
  parseTrustDomain,
} from '../../model/settings.js'
import type {Choices} from '../../ops/init.js'
import {type FlagsOf, joined, parsed, present} from './common.js'

export const settingsFlags = {
  address: Flags.string({
    description: 'where downstream Envoys connect to the observability Envoy: IP address or DNS name; may be repeated',
    helpValue: 'HOST',
    multiple: true,
  }),
  'ads-port': Flags.string({description: 'port for ADS at --address (default 10900)', helpValue: 'PORT'}),
  'alerts-port': Flags.string({description: 'port for alerts at --address (default 10903)', helpValue: 'PORT'}),
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
  'thanos-namespace': Flags.string({description: 'namespace of Thanos Query (default atlas)', helpValue: 'NAMESPACE'}),
  'cluster-domain': Flags.string({description: 'DNS domain of the observability cluster (default cluster.local)', helpValue: 'DOMAIN'}),
  'endpoint-template': Flags.string({
    description: 'address of a replica for Thanos Query, with {service}, {namespace} and {clusterDomain}',
    helpValue: 'TEMPLATE',
  }),
  client: Flags.string({
    description:
      'client allowed on the mutual-TLS internal ports, e.g. thanos; replaces the current list; may be repeated; "none" for an empty list. Its certificate is in Secret atlas-client-<name>',
    helpValue: 'NAME',
    multiple: true,
  }),
  'client-directory': Flags.string({
    description: 'where Thanos Query mounts its Secret atlas-client-<name>, for the endpoints file (default /etc/atlas-client)',
    helpValue: 'DIR',
  }),
  'internal-tls': Flags.string({
    description: 'internal port of the observability Envoy that requires mutual TLS: 10901; "off" for none',
    helpValue: 'PORT',
    multiple: true,
  }),
  set: Flags.string({
    description: `set a lifetime or a timeout, such as identity=30d; may be repeated; names: ${settingNames.join(', ')}`,
    helpValue: 'NAME=DURATION',
    multiple: true,
  }),
}

export type SettingsFlags = FlagsOf<typeof settingsFlags>

/** @throws AtlasError `invalid` for the first wrong flag */
export function choicesOf(flags: SettingsFlags): Choices {
  const addresses = joined(flags.address, '--address')
  return present({
    addresses: parsed(addresses, parseReachable),
    adsPort: parsed(flags['ads-port'], text => parsePort(text, '--ads-port')),
    alertsPort: parsed(flags['alerts-port'], text => parsePort(text, '--alerts-port')),
    adsServers: flags['ads-server']?.map(text => reachable(parseHostPort(text, '--ads-server'), '--ads-server')),
    trustDomain: parsed(flags['trust-domain'], parseTrustDomain),
    thanosNamespace: parsed(flags['thanos-namespace'], text => parseNamespace(text, '--thanos-namespace')),
    clusterDomain: parsed(flags['cluster-domain'], text => parseClusterDomain(text, '--cluster-domain')),
    endpointTemplate: parsed(flags['endpoint-template'], text => parseEndpointTemplate(text, '--endpoint-template')),
    clients: listed(flags.client, 'none', text => parseClientName(text, '--client')),
    clientDirectory: parsed(flags['client-directory'], text => parseClientDirectory(text, '--client-directory')),
    internalTls: listed(flags['internal-tls'], 'off', text => parseInternalPort(text, '--internal-tls')),
    ...durationsOf(flags.set ?? []),
  })
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
