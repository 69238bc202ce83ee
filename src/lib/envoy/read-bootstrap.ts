/**
 * What a bootstrap that `buildBootstrap` wrote, in this version or an earlier one, says of its Envoy's machine: so that it can be written
 * again without naming all of that again. What is absent or cannot be read counts as not set.
 */
import type {HostPort} from '../model/address.js'
import {type Node, nodeMetadata, parseNode} from '../model/node.js'
import {type BootstrapOptions, IN_PLACE} from './bootstrap.js'
import {bootstrapPaths} from './credential-files.js'

/** Options that `buildBootstrap` has had, as far as the bootstrap shows them; its defaults are in it as values. */
export interface WrittenBootstrap extends Pick<BootstrapOptions, 'adminSocket' | 'isWrittenInPlace' | 'maxHeapBytes' | 'stats'> {
  /** Its cluster and id, and what its metadata says. */
  readonly node: Node
  readonly directory?: string
}

/** Undefined: the text is no bootstrap with a node that Atlas would admit. */
export function readBootstrap(text: string): WrittenBootstrap | undefined {
  const bootstrap = parsed(text)
  const node = nodeIn(bootstrap['node'])
  if (node === undefined) return undefined
  const [clusters, listeners] = (['clusters', 'listeners'] as const).map(name => at(bootstrap, 'static_resources', name))
  const adminSocket = textAt(bootstrap, 'admin', 'address', 'pipe', 'path')
  const directory = directoryIn(clusters)
  const stats = statsIn(listeners)
  const maxHeapBytes = maxHeapIn(at(bootstrap, 'overload_manager', 'resource_monitors'))
  return {
    node,
    ...(adminSocket !== undefined && {adminSocket}),
    ...(directory !== undefined && {directory}),
    ...(at(bootstrap, 'node', 'metadata', nodeMetadata.directory) === IN_PLACE && {isWrittenInPlace: true}),
    ...(stats !== undefined && {stats}),
    ...(maxHeapBytes !== undefined && {maxHeapBytes}),
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}

function nodeIn(value: unknown): Node | undefined {
  const {cluster, id, metadata} = isRecord(value) ? value : {}
  if (typeof cluster !== 'string' || typeof id !== 'string') return undefined
  try {
    return parseNode({cluster, id, metadata})
  } catch {
    return undefined
  }
}

/** The SDS file of the credential is below it. */
function directoryIn(clusters: unknown): string | undefined {
  const below = `/${bootstrapPaths.sdsCredential}`
  for (const cluster of listIn(clusters))
    for (const secret of listIn(
      at(cluster, 'transport_socket', 'typed_config', 'common_tls_context', 'tls_certificate_sds_secret_configs'),
    )) {
      const path = textAt(secret, 'sds_config', 'path_config_source', 'path')
      if (path?.endsWith(below) === true) return path.slice(0, -below.length)
    }

  return undefined
}

/** A bootstrap has no other listener. */
function statsIn(listeners: unknown): HostPort | undefined {
  const [listener] = listIn(listeners)
  const host = textAt(listener, 'address', 'socket_address', 'address')
  const port = at(listener, 'address', 'socket_address', 'port_value')
  return host !== undefined && typeof port === 'number' ? {host, port} : undefined
}

function maxHeapIn(monitors: unknown): number | undefined {
  for (const monitor of listIn(monitors)) {
    const bytes = Number(textAt(monitor, 'typed_config', 'max_heap_size_bytes'))
    if (Number.isSafeInteger(bytes) && bytes > 0) return bytes
  }

  return undefined
}

function at(value: unknown, ...keys: readonly string[]): unknown {
  let found = value
  for (const key of keys) found = isRecord(found) ? found[key] : undefined
  return found
}

function textAt(value: unknown, ...keys: readonly string[]): string | undefined {
  const found = at(value, ...keys)
  return typeof found === 'string' ? found : undefined
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
