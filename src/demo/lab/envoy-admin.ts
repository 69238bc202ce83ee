/** Reads an Envoy's admin pages: whether it is ready, its certificates, and what configuration it holds. */
import {request} from 'node:http'
import {text} from 'node:stream/consumers'
import type {HostPort} from '../../lib/model/address.js'
import {envoyNames} from '../../lib/model/names.js'

/** Where an Envoy's admin pages are: on the Unix socket of Atlas's bootstraps, or at the TCP address of another bootstrap. */
export type AdminAddress = HostPort | {readonly socketPath: string}

/** Whether the Envoy has its whole initial configuration. */
export async function isReady(admin: AdminAddress): Promise<boolean> {
  const {status} = await readPage(admin, '/ready', {timeoutMs: 2000})
  return status === 200
}

/** One admin page, at most 5 s later. @throws Error where Envoy does not answer */
export async function readPage(
  admin: AdminAddress,
  path: string,
  {timeoutMs = 5000}: {readonly timeoutMs?: number} = {},
): Promise<{readonly status: number; readonly body: string}> {
  return new Promise((resolve, reject) => {
    const asked = request({...admin, path, signal: AbortSignal.timeout(timeoutMs), agent: false})
    asked.once('error', reject)
    asked.once('response', response => {
      text(response).then(body => resolve({status: response.statusCode ?? 0, body}), reject)
    })
    asked.end()
  })
}

export interface ShownCertificate {
  /** Lower-case hex, without leading zeros. */
  readonly serial: string
  readonly uris: readonly string[]
}

/** The leaf certificates that the Envoy shows its peers, each once. */
export async function certificatesOf(admin: AdminAddress): Promise<readonly ShownCertificate[]> {
  const {certificates = []} = (await getJson(admin, '/certs')) as {certificates?: readonly {cert_chain?: readonly AdminCertificate[]}[]}
  const shown = certificates.flatMap(({cert_chain: [leaf] = []}) => (leaf === undefined ? [] : [shownCertificate(leaf)]))
  return [...new Map(shown.map(certificate => [certificate.serial, certificate])).values()]
}

/** A serial number in the form in which two are compared: programs differ in case and leading zeros. */
export function plainSerial(serial: string): string {
  return serial.toLowerCase().replace(/^0+/, '')
}

/** How many bytes this Envoy has received on its own ADS connections: with pings, without the streams that it relays. */
export async function adsBytesReceived(admin: AdminAddress): Promise<number> {
  const name = `cluster.${envoyNames.bootstrap.cluster}.upstream_cx_rx_bytes_total`
  const {stats = []} = (await getJson(admin, `/stats?format=json&filter=^${name}$`)) as {stats?: readonly {name: string; value: number}[]}
  const found = stats.find(stat => stat.name === name)
  if (found === undefined) throw new Error(`Envoy has no statistic ${name}`)
  return found.value
}

/**
 * The configuration that the Envoy holds, by `<kind> <name>`. A value changes with the resource's content; except for scoped routes, it
 * also changes whenever Envoy receives the resource again, since Envoy stores the time.
 */
export async function dumpedResources(admin: AdminAddress): Promise<ReadonlyMap<string, string>> {
  const {configs = []} = (await getJson(admin, '/config_dump')) as {configs?: readonly Record<string, unknown>[]}
  return new Map(configs.flatMap(config => resourcesIn(config)))
}

/** The keys that differ, sorted. */
export function differing(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter(key => before.get(key) !== after.get(key)).sort()
}

interface AdminCertificate {
  readonly serial_number: string
  readonly subject_alt_names?: readonly {readonly uri?: string}[]
}

function shownCertificate({serial_number: serial, subject_alt_names: names = []}: AdminCertificate): ShownCertificate {
  return {serial: plainSerial(serial), uris: names.flatMap(({uri}) => (uri === undefined ? [] : [uri]))}
}

async function getJson(admin: AdminAddress, path: string): Promise<unknown> {
  const {body} = await readPage(admin, path)
  return JSON.parse(body)
}

/**
 * The dump is a list of sections, `@type` and lists of entries; the bootstrap's own section has no lists that change.
 * One entry holds all scoped routes of a listener.
 */
function resourcesIn(config: Record<string, unknown>): readonly (readonly [string, string])[] {
  const kind = String(config['@type']).replace(/^.*\.(\w+)ConfigDump$/, '$1')
  return Object.values(config)
    .filter(value => Array.isArray(value))
    .flatMap((entries: readonly unknown[]) => entries.flatMap(entry => scopesIn(entry) ?? [entry]))
    .map(entry => [`${kind} ${nameIn(entry) ?? ''}`, JSON.stringify(entry)] as const)
}

function scopesIn(entry: unknown): readonly unknown[] | undefined {
  const scopes = typeof entry === 'object' && entry !== null && 'scoped_route_configs' in entry ? entry.scoped_route_configs : undefined
  return Array.isArray(scopes) ? (scopes as readonly unknown[]) : undefined
}

/** The name is at the top of the entry, or in the resource inside. */
function nameIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if ('name' in value && typeof value.name === 'string') return value.name
  return Object.values(value)
    .map(inner => nameIn(inner))
    .find(name => name !== undefined)
}
