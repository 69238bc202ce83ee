/** The flags of `serve`, and its time limits as one repeatable flag. */
import {stat} from 'node:fs/promises'
import {hostname} from 'node:os'
import path from 'node:path'
import {Flags} from '@oclif/core'
import {errnoOf} from '../../store/directory/write.js'
import {parseListen} from '../../model/address.js'
import {parseDuration, renderDuration} from '../../model/duration.js'
import {AtlasError} from '../../model/errors.js'
import {parseReplicaName} from '../../model/names.js'
import {DEFAULT_STREAMS_PER_CLUSTER} from '../../model/settings.js'
import {type FlagsOf, parsed, present, refuseEmpty} from './common.js'

const roles = ['ads', 'controller', 'all'] as const
const logLevels = ['error', 'warn', 'info', 'debug'] as const

/** More streams of one cluster, with requests of the greatest length, would fill the memory of a server. */
const STREAMS_PER_CLUSTER_MAX = 1024

const ADMIN_DEFAULT = '127.0.0.1:6309'

export const serveFlags = {
  role: Flags.option({
    default: 'all',
    description: 'ads: serve Envoys; controller: take part in leader election, and as leader sign and write; all: both',
    options: roles,
  })(),
  replica: Flags.string({
    description: "this server's name among those that share the store (default: the host's name)",
    env: 'POD_NAME',
    helpValue: 'NAME',
  }),
  listen: Flags.string({
    default: '[::]:6305',
    description: 'address that Envoys connect to; [::] is every address, of IPv4 alone without IPv6',
    helpValue: 'IP:PORT',
  }),
  'pages-listen': Flags.string({
    description:
      'address of the web pages that the server makes itself, for the observability Envoy (default: the address of --listen with the next port, as a rule 6306)',
    helpValue: 'IP:PORT',
  }),
  admin: Flags.string({default: ADMIN_DEFAULT, description: 'address of health, metrics and status', helpValue: 'IP:PORT'}),
  'thanos-endpoints': Flags.string({
    description:
      'file to keep up to date with the endpoints of Thanos Query (--endpoint.sd-config-file); the endpoints of each group are in a file beside it, such as endpoints-europe.yaml',
    helpValue: 'FILE',
  }),
  'dns-zone': Flags.boolean({
    allowNo: true,
    default: true,
    description: 'keep the DNS zone for CoreDNS (ConfigMap atlas-coredns); --no-dns-zone removes it, where nothing reads it',
  }),
  'streams-per-cluster': Flags.integer({
    default: DEFAULT_STREAMS_PER_CLUSTER,
    description: 'ADS streams of one downstream cluster at a time: at least twice its Envoys, for a rolling update',
    helpValue: 'NUMBER',
    min: 1,
    max: STREAMS_PER_CLUSTER_MAX,
  }),
  'log-level': Flags.option({default: 'info', description: 'least severe level to log', options: logLevels})(),
  time: Flags.string({
    description: 'set a time limit of the server, such as max-age=1h; may be repeated',
    helpValue: 'NAME=DURATION',
    multiple: true,
  }),
}

export type ServeFlags = FlagsOf<typeof serveFlags>

/** The server's options. @throws AtlasError `invalid` for the first wrong flag */
export function serveOptions(flags: ServeFlags) {
  refuseEmpty(flags, ['thanos-endpoints'])
  return {
    role: flags.role,
    replica: parseReplicaName(flags.replica ?? hostname().toLowerCase()),
    listen: parseListen(flags.listen, '--listen'),
    admin: parseListen(flags.admin, '--admin', ADMIN_DEFAULT),
    log: flags['log-level'],
    dnsZone: flags['dns-zone'],
    limits: {streamsPerCluster: flags['streams-per-cluster']},
    ...present({
      pagesListen: parsed(flags['pages-listen'], text => parseListen(text, '--pages-listen', '127.0.0.1:6306 or [::]:6306')),
      endpointsFile: parsed(flags['thanos-endpoints'], file => path.resolve(file)),
    }),
  }
}

/**
 * A file in a directory that does not exist would never be written. One that exists may become writable, such as a volume of another user.
 * @throws AtlasError `invalid`
 */
export async function requireEndpointsFolder(file: string | undefined): Promise<void> {
  if (file === undefined) return
  const folder = path.dirname(file)
  const found = await stat(folder).catch((error: unknown) => (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '') ? undefined : 'unknown'))
  if (found === 'unknown' || found?.isDirectory() === true) return
  throw new AtlasError(
    'invalid',
    `--thanos-endpoints: ${found === undefined ? `there is no directory ${folder}` : `${folder} is no directory`}`,
    {hint: 'make the directory, or name a file in one that exists'},
  )
}

/**
 * `NAME=DURATION` entries as milliseconds.
 * @param defaults each name with its default, in milliseconds
 * @throws AtlasError `invalid`
 */
export function parseTimes<T extends Readonly<Record<string, number>>>(entries: readonly string[], defaults: T): Partial<T> {
  const times = entries.map(entry => {
    const cut = entry.indexOf('=')
    const name = `${entry.slice(0, Math.max(cut, 0)).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())}Ms`
    if (!Object.hasOwn(defaults, name))
      throw new AtlasError('invalid', `--time must be NAME=DURATION, such as max-age=1h; got "${entry.slice(0, 80)}"`, {
        hint: `names: ${timeNames(defaults)}`,
      })
    return [name, parseDuration(entry.slice(cut + 1), `--time ${entry.slice(0, cut)}`) * 1000] as const
  })
  return Object.fromEntries(times) as Partial<T>
}

/** `max-age (1h), …`: the names and their defaults. */
function timeNames(defaults: Readonly<Record<string, number>>): string {
  return Object.entries(defaults)
    .map(
      ([name, value]) =>
        `${name.replace(/Ms$/, '').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)} (${renderDuration(value / 1000)})`,
    )
    .join(', ')
}
