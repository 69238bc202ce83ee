/**
 * An API server in memory, as far as the store in Kubernetes uses one: objects with versions, lists, watches, conditional writes and forced
 * applies. A test decides when answers and events come, which races of a real one need. What a real one does: the lane `kubernetes`.
 */
import {setImmediate as nextTurn} from 'node:timers/promises'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {type RequestInfo, apiErrorOf} from '../../../src/lib/store/kubernetes/api-error.js'
import type {ApiRequest, Client} from '../../../src/lib/store/kubernetes/client.js'
import type {RawObject} from '../../../src/lib/store/kubernetes/list.js'

type Raw = RawObject & Readonly<Record<string, unknown>>

interface Event {
  readonly type: 'ADDED' | 'DELETED' | 'MODIFIED'
  readonly of: Pick<RequestInfo, 'namespace' | 'resource'>
  readonly object: Raw
}

export interface FakeApi {
  /** A connection of a process of its own. */
  client(namespace?: string): Client
  /** Writes an object as another program would. */
  put(of: Pick<RequestInfo, 'namespace' | 'resource'>, object: object): void
  get(of: Pick<RequestInfo, 'namespace' | 'resource'>, name: string): Raw | undefined
  remove(of: Pick<RequestInfo, 'namespace' | 'resource'>, name: string): void
  /** Requests, watches that are open too, fail where `isFailing` says so, with the status that it gives. */
  failing(isFailing: (request: ApiRequest) => number | undefined): void
  /** Answers and, for a watch, events are held back until `until` resolves. Called for each. */
  delay(until: (request: ApiRequest, event?: Raw) => Promise<unknown> | undefined): void
  /** All requests so far, but watches. */
  readonly requests: readonly ApiRequest[]
}

/** Empty. */
export function fakeApi(): FakeApi {
  let version = 0
  const held = new Map<string, Raw>()
  const history: Event[] = []
  const watchers = new Set<{wake(): void}>()
  const requests: ApiRequest[] = []
  let failure: (request: ApiRequest) => number | undefined = () => undefined
  let delayed: (request: ApiRequest, event?: Raw) => Promise<unknown> | undefined = () => undefined

  const keyOf = ({namespace, resource}: Pick<RequestInfo, 'namespace' | 'resource'>, name: string): string =>
    `${namespace}/${resource}/${name}`

  function happen(type: Event['type'], {namespace, resource}: Pick<RequestInfo, 'namespace' | 'resource'>, object: object): Raw {
    version += 1
    const {kind, metadata, ...rest} = object as Raw & {readonly kind?: unknown}
    // In the order of a real one: `metadata` with the version comes before everything long.
    const {name, resourceVersion: _, ...others} = metadata
    const raw = {kind, metadata: {name, namespace, resourceVersion: String(version), uid: `uid-${version}`, ...others}, ...rest}
    if (type === 'DELETED') held.delete(keyOf({namespace, resource}, metadata.name))
    else held.set(keyOf({namespace, resource}, metadata.name), raw)
    history.push({type, of: {namespace, resource}, object: raw})
    for (const watcher of watchers) watcher.wake()
    return raw
  }

  const put = (of: Pick<RequestInfo, 'namespace' | 'resource'>, object: object): Raw =>
    happen(held.has(keyOf(of, (object as Raw).metadata.name)) ? 'MODIFIED' : 'ADDED', of, object)

  function refuse(code: number, info: RequestInfo, reason?: string): never {
    throw apiErrorOf({code, body: {reason, message: reason ?? ''}}, info, 'a test')
  }

  function answer({info, query, body}: ApiRequest): unknown {
    const wanted = body as Partial<Raw> | undefined
    const name = info.name ?? wanted?.metadata?.name ?? ''
    const present = held.get(keyOf(info, name))
    const base = wanted?.metadata?.resourceVersion
    const isStale = base !== undefined && present?.metadata.resourceVersion !== base
    switch (info.verb) {
      case 'list': {
        const items = [...held]
          .filter(([key, object]) => key.startsWith(keyOf(info, '')) && isSelected(object, query))
          .map(([, object]) => object)
        return {metadata: {resourceVersion: String(version)}, items: query?.['limit'] === '1' ? items.slice(0, 1) : items}
      }

      case 'get': {
        return present ?? refuse(404, info)
      }

      case 'create': {
        return present === undefined ? happen('ADDED', info, wanted ?? {}) : refuse(409, info, 'AlreadyExists')
      }

      case 'delete': {
        const {preconditions} = body as {readonly preconditions?: {readonly resourceVersion?: string}}
        if (present === undefined) return refuse(404, info)
        if (preconditions?.resourceVersion !== present.metadata.resourceVersion) return refuse(409, info)
        return happen('DELETED', info, present)
      }

      case 'update': {
        if (present === undefined) return refuse(404, info)
        return isStale ? refuse(409, info) : happen('MODIFIED', info, wanted ?? {})
      }

      default: {
        if (isStale) return refuse(409, info)
        return put(info, {...present, ...wanted, metadata: {...present?.metadata, ...wanted?.metadata, name}})
      }
    }
  }

  async function watch(request: ApiRequest, send: (line: string) => void): Promise<void> {
    const {info, query, signal} = request
    let next = history.findIndex(({object}) => Number(object.metadata.resourceVersion) > Number(query?.['resourceVersion'] ?? 0))
    if (next < 0) next = history.length
    for (;;) {
      for (; next < history.length; next += 1) {
        const {type, of, object} = history[next] as Event
        if (of.namespace !== info.namespace || of.resource !== info.resource || !isSelected(object, query)) continue
        await delayed(request, object)
        if (signal?.aborted === true) return
        send(JSON.stringify({type, object}))
      }

      const woken = Promise.withResolvers<undefined>()
      const watcher = {wake: () => woken.resolve(undefined)}
      watchers.add(watcher)
      signal?.addEventListener('abort', watcher.wake, {once: true})
      if (signal?.aborted !== true) await woken.promise
      watchers.delete(watcher)
      const code = failure(request)
      if (code !== undefined) refuse(code, info)
      if (signal?.aborted === true) return
      await nextTurn()
    }
  }

  return {
    client: (namespace = 'atlas') => ({
      namespace,
      description: `namespace ${namespace} of a test`,
      async call(request) {
        requests.push(request)
        await nextTurn()
        request.permit?.()
        const code = failure(request)
        if (code !== undefined) refuse(code, request.info)
        const answered = answer(request)
        await delayed(request)
        if (request.signal?.aborted === true) throw new AtlasError('unreachable', 'aborted')
        return structuredClone(answered)
      },
      async stream(request, _idleMs, events) {
        await nextTurn()
        const code = failure(request)
        if (code !== undefined) refuse(code, request.info)
        events.opened()
        await watch(request, line => events.lines([line]))
      },
      serverTime: () => undefined,
      requests: () => requests.length,
      close: () => undefined,
    }),
    put,
    get: (of, name) => held.get(keyOf(of, name)),
    remove(of, name) {
      const present = held.get(keyOf(of, name))
      if (present !== undefined) happen('DELETED', of, present)
    },
    failing(isFailing) {
      failure = isFailing
      for (const watcher of watchers) watcher.wake()
    },
    delay: until => (delayed = until),
    requests,
  }
}

/** By name and by label, which are the selectors that a watch uses; a field selector of another kind selects all. */
function isSelected(object: Raw, query: ApiRequest['query']): boolean {
  const name = /^metadata\.name=(.*)$/.exec(query?.['fieldSelector'] ?? '')?.[1]
  const labels = (object.metadata as {readonly labels?: Readonly<Record<string, string>>}).labels ?? {}
  const wanted = (query?.['labelSelector'] ?? '').split(',').filter(text => text !== '')
  const hasLabel = (text: string): boolean => {
    const [label = '', value] = text.split('=')
    return value === undefined ? label in labels : labels[label] === value
  }

  return (name === undefined || object.metadata.name === name) && wanted.every(text => hasLabel(text))
}
