/** The flags of `cluster values --format bootstrap`: the machine that Envoy will run on. */
import {Flags} from '@oclif/core'
import type {BootstrapOptions} from '../../envoy/bootstrap.js'
import {UPSTREAM_DIRECTORY} from '../../envoy/credential-files.js'
import {type HostPort, parseAddress, parseHostPort, parsePort} from '../../model/address.js'
import {type UpstreamTls, isCertificatesName, parseUpstreamTls} from '../../model/endpoint-tls.js'
import {AtlasError, invalid} from '../../model/errors.js'
import {parseIpAddress} from '../../model/ip-address.js'
import type {Owner} from '../../model/names.js'
import {listenerPorts, parseNodeId} from '../../model/node.js'
import {DEFAULT_OPEN_FILES, USUAL_OPEN_FILES} from '../../model/open-files.js'
import {type FlagsOf, parsed, present} from './common.js'

const helpGroup = 'BOOTSTRAP'

export const bootstrapFlags = {
  output: Flags.string({description: 'directory to write the bootstrap and its files into, mode 0600', helpGroup, helpValue: 'DIR'}),
  'envoy-directory': Flags.string({
    description: 'directory of the files on the machine that Envoy runs on, a full path (default: the full path of --output)',
    helpGroup,
    helpValue: 'DIR',
  }),
  'node-id': Flags.string({
    description: 'node.id of this Envoy, one for each of the cluster (default <cluster>-0)',
    helpGroup,
    helpValue: 'ID',
  }),
  'bind-address': Flags.string({description: 'address of its listeners with mutual TLS (default 0.0.0.0)', helpGroup, helpValue: 'IP'}),
  'local-address': Flags.string({description: 'address of its plaintext listeners (default 127.0.0.1)', helpGroup, helpValue: 'IP'}),
  port: Flags.string({
    description: 'port to listen on instead of a standard one of that Envoy, such as 11901=21901; may be repeated; "off" for none',
    helpGroup,
    helpValue: 'PORT=LISTENED',
    multiple: true,
  }),
  'open-files': Flags.string({
    description: `limit of open files that "atlas status" assumes for this Envoy (default ${DEFAULT_OPEN_FILES}); what "ulimit -Hn" shows, where that is less`,
    helpGroup,
    helpValue: 'N',
  }),
  'max-heap-bytes': Flags.string({
    description: 'heap at which this Envoy refuses requests (default 1073741824, which is enough for some 4,000 clusters)',
    helpGroup,
    helpValue: 'N',
  }),
  'upstream-tls': Flags.string({
    description:
      'certificates that this Envoy has for Thanos endpoints with TLS (cluster add --thanos-tls): ca.crt in upstream/NAME beside the bootstrap; with :client a client certificate too, tls.crt and tls.key; may be repeated; "off" for none',
    helpGroup,
    helpValue: 'NAME[:client]',
    multiple: true,
  }),
  admin: Flags.string({
    description: "Unix socket of Envoy's admin pages on that machine (default: admin.sock beside the bootstrap)",
    helpGroup,
    helpValue: 'PATH',
  }),
  stats: Flags.string({
    description: 'address of /ready and /stats/prometheus (default: port 9902 of --local-address)',
    helpGroup,
    helpValue: 'IP:PORT',
  }),
}

export type BootstrapFlags = Partial<FlagsOf<typeof bootstrapFlags>>

/** @throws AtlasError `invalid` for the first wrong flag */
export function bootstrapOptions(
  flags: BootstrapFlags,
  cluster: string,
  directory: string,
): Omit<BootstrapOptions, 'owner'> & {readonly openFiles: number} {
  return {
    nodeId: parseNodeId(flags['node-id'] ?? `${cluster}-0`),
    directory,
    openFiles: parseOpenFiles(flags['open-files'] ?? String(DEFAULT_OPEN_FILES)),
    ...present({
      bindAddress: parsed(flags['bind-address'], text => parseIp(text, '--bind-address')),
      localAddress: parsed(flags['local-address'], text => parseIp(text, '--local-address')),
      ports: parsed(entriesOf(flags.port, '--port'), parseListenedPorts),
      maxHeapBytes: parsed(flags['max-heap-bytes'], parseMaxHeap),
      adminSocket: parsed(flags.admin, parseAdmin),
      stats: parsed(flags.stats, parseStats),
      upstreamTls: parsed(entriesOf(flags['upstream-tls'], '--upstream-tls'), entries =>
        upstreamTlsIn(entries, `${directory}/${UPSTREAM_DIRECTORY}`),
      ),
    }),
  }
}

/**
 * Refuses in the flags of this command what Envoy would take and not use. Files that were written before keep what they have.
 * @param named the flags as given, without those that are kept
 * @throws AtlasError `invalid` for a directory that is no full path, a port on which no Envoy of `owner` listens, or one that is named twice
 */
export function requireMeant(named: BootstrapFlags, owner: Owner): void {
  const directory = named['envoy-directory']
  if (directory?.startsWith('/') === false)
    throw invalid(
      '--envoy-directory',
      'the full path of the directory, such as /etc/envoy',
      directory,
      'it is a place on the machine that Envoy runs on, and Envoy would look for it below the folder that it was started in',
    )
  const ports = [...(parsed(entriesOf(named.port, '--port'), listenedPairs) ?? [])].map(([port]) => port)
  const known = listenerPorts(owner)
  const other = ports.find(port => !known.includes(port))
  if (other !== undefined)
    throw invalid('--port', `PORT=LISTENED, PORT one on which the Envoy of ${owner} listens: ${known.join(', ')}`, String(other))
  const twice = ports.find((port, index) => ports.indexOf(port) !== index)
  if (twice !== undefined) throw invalid('--port', 'each port once', `${twice} twice`)
}

/**
 * Undefined where the list is to be empty: a list that is not named keeps what it was (kept-bootstrap.ts).
 * @throws AtlasError `invalid` for the word beside entries
 */
function entriesOf(values: readonly string[] | undefined, flag: string): readonly string[] | undefined {
  if (values?.includes(EMPTY) !== true) return values
  if (values.some(value => value !== EMPTY))
    throw new AtlasError('invalid', `${flag} ${EMPTY} is for an empty list, and has entries beside it`)
  return undefined
}

const EMPTY = 'off'

/**
 * Envoy's admin pages show secrets and can stop Envoy (defect D5 of the 2021 program); at a TCP address, a registration could name them as
 * its target.
 */
function parseAdmin(text: string): string {
  if (/^\/[^\0]*[^/\0]$/.test(text)) return text
  throw invalid('--admin', "the full path of a Unix socket, such as /run/atlas/admin.sock, because Envoy's admin pages show secrets", text)
}

function upstreamTlsIn(entries: readonly string[], directory: string): UpstreamTls {
  const client: Record<string, boolean> = {}
  for (const entry of entries) {
    const [, name = '', isClient] = /^([^:]*)(:client)?$/.exec(entry) ?? []
    if (!isCertificatesName(name))
      throw invalid('--upstream-tls', 'NAME or NAME:client, such as openshift:client, or "off" for none', entry)
    client[name] = isClient !== undefined
  }
  return parseUpstreamTls({directory, client}, '--upstream-tls')
}

function parseOpenFiles(text: string): number {
  const limit = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0
  if (limit < USUAL_OPEN_FILES) throw invalid('--open-files', `a whole number from ${USUAL_OPEN_FILES} on`, text)
  return limit
}

/** An Envoy without any configuration has 70 MiB. */
const HEAP_MIN = 128 * 1024 ** 2

function parseMaxHeap(text: string): number {
  const bytes = /^[0-9]{1,15}$/.test(text) ? Number(text) : 0
  if (bytes < HEAP_MIN) throw invalid('--max-heap-bytes', `a whole number from ${HEAP_MIN} (128 MiB) on`, text)
  return bytes
}

function parseStats(text: string): HostPort {
  const stats = parseHostPort(text, '--stats')
  if (parseAddress(stats.host).kind === 'dns') throw invalid('--stats', 'an IP address and a port, such as 127.0.0.1:9902', text)
  return stats
}

function parseIp(text: string, flag: string): string {
  const address = parseIpAddress(text.toLowerCase())
  if (address === undefined) throw invalid(flag, 'an IP address, such as 127.0.0.1', text)
  return address.host
}

function parseListenedPorts(entries: readonly string[]): ReadonlyMap<number, number> {
  return new Map(listenedPairs(entries))
}

function listenedPairs(entries: readonly string[]): readonly (readonly [number, number])[] {
  return entries
    .flatMap(entry => entry.split(','))
    .map((entry): [number, number] => {
      const [from = '', to = '', ...rest] = entry.trim().split('=')
      if (rest.length > 0 || !entry.includes('=')) throw invalid('--port', 'PORT=LISTENED, such as 11901=21901', entry)
      return [parsePort(from, '--port'), parsePort(to, '--port')]
    })
}
