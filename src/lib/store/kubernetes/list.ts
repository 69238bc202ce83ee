/** Lists objects of one kind, page by page. Watching them is left to list-watch.ts. */
import {AtlasError} from '../../model/errors.js'
import {ApiError} from './api-error.js'
import type {ApiRequest, Client} from './client.js'

/** Which objects: all of a kind in a namespace, or those that a selector matches. */
export interface Selection {
  /** Plural, such as `secrets`. */
  readonly resource: keyof typeof kinds | 'endpointslices'
  readonly namespace: string
  readonly fieldSelector?: string
  readonly labelSelector?: string
  /** Selects the object of this name: then RBAC may allow this name only. */
  readonly name?: string
}

/** A selection of objects that Atlas keeps. */
export interface StoredSelection extends Selection {
  readonly resource: keyof typeof kinds
}

/** The kinds that Atlas keeps, by the resource names of the API server. */
export const kinds = {configmaps: 'ConfigMap', secrets: 'Secret', services: 'Service'} as const

/** An object as the API server sends it. */
export interface RawObject {
  readonly metadata: {readonly name: string; readonly resourceVersion: string}
}

/** Objects per request: a longer list takes several. */
const PAGE = 500

/**
 * All objects of a selection, page by page, and the resource version of the list. Where the API server forgets that version before the
 * last page, the list is requested again in one piece.
 * @throws AtlasError as the client's
 */
export async function listAll(
  client: Client,
  selection: Selection,
  signal?: AbortSignal,
): Promise<{readonly objects: readonly RawObject[]; readonly resourceVersion: string}> {
  const objects: RawObject[] = []
  let next: string | undefined
  for (;;) {
    let page: ListAnswer
    try {
      page = await listPage(client, selection, {limit: String(PAGE), ...(next !== undefined && {continue: next})}, signal)
    } catch (error) {
      if (next === undefined || !(error instanceof ApiError) || error.status !== 410) throw error
      objects.length = 0
      page = await listPage(client, selection, {}, signal)
    }

    objects.push(...page.items)
    next = page.metadata.continue === '' ? undefined : page.metadata.continue
    if (next === undefined) return {objects, resourceVersion: page.metadata.resourceVersion}
  }
}

/** The resource version that the cluster is at, by a list of one object. */
export async function currentVersion(client: Client, selection: Selection, signal: AbortSignal): Promise<string> {
  return (await listPage(client, selection, {limit: '1'}, signal)).metadata.resourceVersion
}

async function listPage(
  client: Client,
  selection: Selection,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<ListAnswer> {
  const answer = (await client.call({...selectionRequest(selection, 'list', query), ...(signal && {signal})})) as Partial<ListAnswer> | null
  if (!Array.isArray(answer?.items) || typeof answer.metadata?.resourceVersion !== 'string')
    throw new AtlasError('unreachable', `the response to a list of ${selection.resource} is not a list; ${NOT_THE_API_SERVER}`)
  return answer as ListAnswer
}

interface ListAnswer {
  readonly items: readonly RawObject[]
  readonly metadata: {readonly continue?: string; readonly resourceVersion: string}
}

/** For an error message. */
export const NOT_THE_API_SERVER = 'it may come from a proxy in front of the API server'

/** The request for a selection's objects. */
export function selectionRequest(
  {resource, namespace, fieldSelector, labelSelector, name}: Selection,
  verb: 'list' | 'watch',
  query: Readonly<Record<string, string>>,
): ApiRequest {
  const selector = name === undefined ? fieldSelector : `metadata.name=${name}`
  const group = resource === 'endpointslices' ? 'discovery.k8s.io' : ''
  return {
    info: {verb, resource, group, namespace, ...(name !== undefined && {name})},
    path: `${group === '' ? '/api' : `/apis/${group}`}/v1/namespaces/${namespace}/${resource}`,
    query: {...query, ...(selector !== undefined && {fieldSelector: selector}), ...(labelSelector !== undefined && {labelSelector})},
  }
}
