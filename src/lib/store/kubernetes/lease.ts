/** Leases (coordination.k8s.io/v1): read, take, renew and give back one. Who may, and when, is decided in election.ts and heartbeat.ts. */
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Client} from './client.js'
import type {Asked} from './api-error.js'

/** A Lease as far as it is read. */
export interface Lease {
  readonly metadata: {
    readonly name: string
    readonly resourceVersion?: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly [other: string]: unknown
  }
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly acquireTime?: string
    readonly renewTime?: string
    readonly leaseTransitions?: number
  }
}

/** How long an answer is waited for. */
export interface Asking {
  readonly signal: AbortSignal
  /** Milliseconds, further attempts included. A Lease that is not renewed in time is lost. */
  readonly timeoutMs: number
}

const GROUP = 'coordination.k8s.io'

/** @returns undefined where there is none */
export async function readLease(client: Client, name: string, asking: Asking): Promise<Lease | undefined> {
  try {
    return (await client.call({...at(client, 'get', name), ...asking})) as Lease
  } catch (error) {
    if (error instanceof AtlasError && error.code === 'not-found') return undefined
    throw error
  }
}

export async function listLeases(client: Client, asking: Asking): Promise<readonly Lease[]> {
  const answer = (await client.call({...at(client, 'list'), ...asking})) as {readonly items?: readonly Lease[]}
  return answer.items ?? []
}

/** Creates it, or replaces `present` if it is still at its version. @throws AtlasError `conflict` where another was faster */
export async function writeLease(
  client: Client,
  name: string,
  present: Lease | undefined,
  spec: NonNullable<Lease['spec']>,
  asking: Asking,
): Promise<Lease> {
  const labels = {'app.kubernetes.io/managed-by': 'atlas'}
  const body = {apiVersion: `${GROUP}/v1`, kind: 'Lease', metadata: present?.metadata ?? {name, namespace: client.namespace, labels}, spec}
  const request = {...at(client, present === undefined ? 'create' : 'update', name), body, ...asking}
  return (await client.call(request)) as Lease
}

/** Writes an annotation beside whatever else stands there, whoever holds the Lease. */
export async function annotateLease(client: Client, name: string, annotation: readonly [string, string], asking: Asking): Promise<Lease> {
  const body = {metadata: {annotations: Object.fromEntries([annotation])}}
  return (await client.call({...at(client, 'patch', name), body, contentType: 'application/merge-patch+json', ...asking})) as Lease
}

/** MicroTime: exactly six digits of a second, or the API server refuses it. */
export function microTime(now: Date): string {
  return now.toISOString().replace(/\.(\d{3})Z$/, '.$1000Z')
}

/** Tells that something fails again and again, and when it does not any more; a single time is a cut connection as a rule. */
export function openPatience(tell: (error: AtlasError | undefined) => void): {worked(): void; failed(error: unknown): void} {
  let failures = 0
  return {
    worked() {
      if (failures > 1) tell(undefined)
      failures = 0
    },
    failed(error) {
      failures += 1
      if (failures > 1) tell(error instanceof AtlasError ? error : new AtlasError('failed', messageOf(error)))
    },
  }
}

function at(client: Client, verb: Asked['verb'], name?: string): {readonly asked: Asked; readonly path: string} {
  const collection = `/apis/${GROUP}/v1/namespaces/${client.namespace}/leases`
  const asked: Asked = {verb, resource: 'leases', group: GROUP, namespace: client.namespace, ...(name !== undefined && {name})}
  return {asked, path: verb === 'create' || verb === 'list' || name === undefined ? collection : `${collection}/${name}`}
}
