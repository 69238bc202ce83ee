/** Follows the Alertmanagers of a namespace by their EndpointSlices. What a list of them means for the stored one is left to the leader. */
import {type EndpointSlice, decodeAlertmanagers} from '../../manifest/endpoint-slice.js'
import type {AtlasError} from '../../model/errors.js'
import type {AlertmanagerSelection, AlertmanagerWatcher} from '../store.js'
import {ApiError, hintFor} from './api-error.js'
import type {Client} from './client.js'
import type {RawObject, Selection} from './list.js'
import {type ListWatchTimes, startListWatch} from './list-watch.js'

/** Reports the Alertmanagers after each change of their EndpointSlices, until `signal` aborts. */
export function watchAlertmanagers(
  client: Client,
  times: ListWatchTimes,
  {namespace, selector, clusterDomain}: AlertmanagerSelection,
  watcher: AlertmanagerWatcher,
  signal: AbortSignal,
): void {
  const slices = new Map<string, EndpointSlice>()
  const selection: Selection = {resource: 'endpointslices', namespace, labelSelector: selector}
  const put = (object: RawObject): void => void slices.set(object.metadata.name, object)

  function tell(): void {
    if (!signal.aborted) watcher.found(decodeAlertmanagers([...slices.values()], clusterDomain))
  }

  function replace(objects: readonly RawObject[]): void {
    slices.clear()
    for (const object of objects) put(object)
    tell()
  }

  startListWatch(
    client,
    selection,
    times,
    {
      listed: replace,
      restored: replace,
      changed(events) {
        for (const {type, object} of events) {
          if (type === 'is') put(object)
          else slices.delete(object.metadata.name)
        }

        tell()
      },
      failed: error => watcher.failed(withBothRights(error)),
      recovered: () => watcher.failed(undefined),
    },
    signal,
  )
}

/** The API server names the right to list alone; the right to watch is asked for next. */
function withBothRights(error: AtlasError): Pick<AtlasError, 'hint' | 'message'> {
  if (!(error instanceof ApiError) || error.denial === undefined) return error
  const {request} = error.denial
  return {message: error.message, hint: hintFor((['list', 'watch'] as const).map(verb => ({...request, verb})))}
}
