/** Leases (coordination.k8s.io/v1): read, list, write and annotate them. election.ts and heartbeat.ts decide when. */
import {AtlasError, messageOf} from '../../model/errors.js'
import type {RequestInfo} from './api-error.js'
import type {Client} from './client.js'

/** The fields of a Lease that are read. */
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

/** Limits of one request. */
export interface LeaseRequestLimits {
  readonly signal: AbortSignal
  /** For all attempts together, milliseconds: a Lease that is not renewed in time is lost. */
  readonly timeoutMs: number
}

const GROUP = 'coordination.k8s.io'

/** @returns undefined where it does not exist */
export async function readLease(client: Client, name: string, limits: LeaseRequestLimits): Promise<Lease | undefined> {
  try {
    return (await client.call({...requestFor(client, 'get', name), ...limits})) as Lease
  } catch (error) {
    if (error instanceof AtlasError && error.code === 'not-found') return undefined
    throw error
  }
}

export async function listLeases(client: Client, limits: LeaseRequestLimits): Promise<readonly Lease[]> {
  const answer = (await client.call({...requestFor(client, 'list'), ...limits})) as {readonly items?: readonly Lease[]}
  return answer.items ?? []
}

/**
 * Creates a Lease, or replaces it if it is still at the version of `metadata`.
 * @throws AtlasError `conflict` where another process wrote it
 */
export async function writeLease(
  client: Client,
  metadata: Lease['metadata'],
  spec: NonNullable<Lease['spec']>,
  limits: LeaseRequestLimits,
): Promise<Lease> {
  const body = {apiVersion: `${GROUP}/v1`, kind: 'Lease', metadata, spec}
  const verb = metadata.resourceVersion === undefined ? 'create' : 'update'
  const request = {...requestFor(client, verb, metadata.name), body, ...limits}
  return (await client.call(request)) as Lease
}

/** The metadata of a Lease that is not there yet. */
export function newMetadata(client: Client, name: string): Lease['metadata'] {
  return {name, namespace: client.namespace, labels: {'app.kubernetes.io/managed-by': 'atlas'}}
}

/** Sets one annotation, whichever process holds the Lease. */
export async function annotateLease(
  client: Client,
  name: string,
  annotation: readonly [string, string],
  limits: LeaseRequestLimits,
): Promise<Lease> {
  const body = {metadata: {annotations: Object.fromEntries([annotation])}}
  const request = {...requestFor(client, 'patch', name), body, contentType: 'application/merge-patch+json', ...limits}
  return (await client.call(request)) as Lease
}

/** A MicroTime. The API server refuses one without exactly six decimals. */
export function microTime(now: Date): string {
  return now.toISOString().replace(/\.(\d{3})Z$/, '.$1000Z')
}

/** Called with the error of something that fails repeatedly; with undefined when it succeeds again. */
export type FailureListener = (error: AtlasError | undefined) => void

/** Reports from the second failure in a row on: a single one is usually a closed connection. */
export function openFailureFilter(report: FailureListener): {succeeded(): void; failed(error: unknown): void} {
  let failures = 0
  return {
    succeeded() {
      if (failures > 1) report(undefined)
      failures = 0
    },
    failed(error) {
      failures += 1
      if (failures > 1) report(error instanceof AtlasError ? error : new AtlasError('failed', messageOf(error)))
    },
  }
}

function requestFor(client: Client, verb: RequestInfo['verb'], name?: string): {readonly info: RequestInfo; readonly path: string} {
  const collection = `/apis/${GROUP}/v1/namespaces/${client.namespace}/leases`
  const info: RequestInfo = {verb, resource: 'leases', group: GROUP, namespace: client.namespace, ...(name !== undefined && {name})}
  return {info, path: verb === 'create' || verb === 'list' || name === undefined ? collection : `${collection}/${name}`}
}
