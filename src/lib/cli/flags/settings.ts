/** `init`'s flags as choices of settings. */
import {Flags} from '@oclif/core'
import {parseAddresses, parseHostPort, parsePort} from '../../model/address.js'
import {parseDuration} from '../../model/duration.js'
import {AtlasError} from '../../model/errors.js'
import {parseClientName} from '../../model/names.js'
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
import {joined, present} from './common.js'

export const settingsFlags = {
  address: Flags.string({
    description: 'where downstream Envoys dial the observability Envoy: IP address or DNS name; may be repeated',
    helpValue: 'HOST',
    multiple: true,
  }),
  'ads-port': Flags.string({description: 'port dialled there for configuration (default 10900)', helpValue: 'PORT'}),
  'alerts-port': Flags.string({description: 'port dialled there for alerts (default 10903)', helpValue: 'PORT'}),
  'ads-server': Flags.string({
    description:
      'where the observability Envoy dials "atlas serve"; may be repeated (default atlas-ads.<namespace>.svc.<cluster domain>:6305)',
    helpValue: 'HOST:PORT',
    multiple: true,
  }),
  'trust-domain': Flags.string({
    description: 'SPIFFE trust domain, part of every certificate, never to be changed (default atlas.internal)',
    helpValue: 'DOMAIN',
  }),
  'thanos-namespace': Flags.string({description: 'namespace that Thanos Query runs in (default atlas)', helpValue: 'NAMESPACE'}),
  'cluster-domain': Flags.string({description: 'DNS domain of the observability cluster (default cluster.local)', helpValue: 'DOMAIN'}),
  'endpoint-template': Flags.string({
    description: 'address of a replica for Thanos Query, with {service}, {namespace}, {clusterDomain}',
    helpValue: 'TEMPLATE',
  }),
  client: Flags.string({
    description:
      'whom internal ports that speak mutual TLS admit, such as thanos, in place of whom they admitted: each gets a certificate in Secret atlas-client-<name>; may be repeated; "none" for nobody',
    helpValue: 'NAME',
    multiple: true,
  }),
  'client-directory': Flags.string({
    description: 'where Thanos Query has what its Secret holds, for the endpoints file (default /etc/atlas-client)',
    helpValue: 'DIR',
  }),
  'internal-tls': Flags.string({
    description: 'port of the observability Envoy for its own cluster that speaks mutual TLS: 10901; "off" for none',
    helpValue: 'PORT',
    multiple: true,
  }),
  set: Flags.string({
    description: `a lifetime or a time limit, such as identity=30d; may be repeated; one of ${[...Object.keys(defaultSettings.lifetimes), ...Object.keys(defaultSettings.timeouts)].join(', ')}`,
    helpValue: 'NAME=DURATION',
    multiple: true,
  }),
}

/** What the flags of `settingsFlags` parse to. */
export interface SettingsFlags {
  readonly address?: readonly string[] | undefined
  readonly 'ads-port'?: string | undefined
  readonly 'alerts-port'?: string | undefined
  readonly 'ads-server'?: readonly string[] | undefined
  readonly 'trust-domain'?: string | undefined
  readonly 'thanos-namespace'?: string | undefined
  readonly 'cluster-domain'?: string | undefined
  readonly 'endpoint-template'?: string | undefined
  readonly client?: readonly string[] | undefined
  readonly 'client-directory'?: string | undefined
  readonly 'internal-tls'?: readonly string[] | undefined
  readonly set?: readonly string[] | undefined
}

/** @throws AtlasError `invalid` for the first flag that can't be */
export function choicesOf(flags: SettingsFlags): Choices {
  const addresses = joined(flags.address, '--address')
  return present({
    addresses: addresses === undefined ? undefined : parseAddresses(addresses),
    adsPort: parsed(flags['ads-port'], text => parsePort(text, '--ads-port')),
    alertsPort: parsed(flags['alerts-port'], text => parsePort(text, '--alerts-port')),
    adsServers: flags['ads-server']?.map(text => parseHostPort(text, '--ads-server')),
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

function parsed<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text)
}

/** @param none the value that stands for an empty list */
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
    const group = name in defaultSettings.lifetimes ? lifetimes : name in defaultSettings.timeouts ? timeouts : undefined
    if (group === undefined)
      throw new AtlasError('invalid', `--set takes NAME=DURATION, such as identity=30d; got "${entry.slice(0, 80)}"`, {
        hint: `names: ${[...Object.keys(defaultSettings.lifetimes), ...Object.keys(defaultSettings.timeouts)].join(', ')}`,
      })
    group[name] = parseDuration(entry.slice(cut + 1), `--set ${name}`)
  }

  return {...(Object.keys(lifetimes).length > 0 && {lifetimes}), ...(Object.keys(timeouts).length > 0 && {timeouts})}
}
