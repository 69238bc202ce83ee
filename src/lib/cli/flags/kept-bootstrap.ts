/** The flags with which a bootstrap was written: `cluster values` keeps them where it writes the same Envoy's files again. */
import {ADMIN_SOCKET, UPSTREAM_DIRECTORY} from '../../envoy/credential-files.js'
import {STATS_PORT} from '../../envoy/admin.js'
import type {WrittenBootstrap} from '../../envoy/read-bootstrap.js'
import {renderHostPort} from '../../model/address.js'
import type {UpstreamTls} from '../../model/endpoint-tls.js'
import {DEFAULT_MAX_HEAP} from '../../model/heap.js'
import {DEFAULT_OPEN_FILES} from '../../model/open-files.js'
import {shellWord} from '../text/shell.js'
import {type BootstrapFlags, bootstrapFlags} from './bootstrap.js'
import {present} from './common.js'

/**
 * The flags that say what `written` says; a flag is absent where its default says the same.
 * @param output the full path of `--output`
 */
export function flagsOf(written: WrittenBootstrap, output: string): BootstrapFlags {
  const {node, directory = '', isWrittenInPlace = false, adminSocket, stats, maxHeapBytes} = written
  const {bindAddress, localAddress, ports, openFiles, upstreamTls} = node
  const unless = <T>(value: T | undefined, standard: T): T | undefined => (value === standard ? undefined : value)
  const certificates = upstreamTls?.directory === `${directory}/${UPSTREAM_DIRECTORY}` ? upstreamTls.certificates : none
  return present({
    'envoy-directory': directory === '' || isWrittenInPlace ? undefined : unless(directory, output),
    'node-id': unless(node.id, `${node.cluster}-0`),
    'bind-address': unless(bindAddress, '0.0.0.0'),
    'local-address': unless(localAddress, '127.0.0.1'),
    port: listed([...ports].map(([from, to]) => `${from}=${to}`)),
    'open-files': unless(openFiles, DEFAULT_OPEN_FILES)?.toString(),
    'max-heap-bytes': unless(maxHeapBytes, DEFAULT_MAX_HEAP)?.toString(),
    'upstream-tls': listed([...certificates].map(([name, {isClient}]) => (isClient ? `${name}:client` : name))),
    admin: unless(adminSocket, `${directory}/${ADMIN_SOCKET}`),
    stats: unless(stats && renderHostPort(stats), renderHostPort({host: localAddress, port: STATS_PORT})),
  })
}

const none: UpstreamTls['certificates'] = new Map()

/** The flags of `kept` that `named` does not name, and all that `named` does. */
export function withKept(
  named: BootstrapFlags,
  kept: BootstrapFlags,
): {readonly flags: BootstrapFlags; /** For a shell. */ readonly kept: readonly string[]} {
  const names = (Object.keys(bootstrapFlags) as (keyof BootstrapFlags)[]).filter(
    name => named[name] === undefined && kept[name] !== undefined,
  )
  return {
    flags: {...kept, ...present(named)},
    kept: names.flatMap(name => [kept[name] ?? []].flat().map(value => `--${name} ${shellWord(value)}`)),
  }
}

function listed(values: readonly string[]): string[] | undefined {
  return values.length === 0 ? undefined : [...values]
}
