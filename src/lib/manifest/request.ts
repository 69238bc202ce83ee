/** An entry of ConfigMap `atlas-requests` <-> what a person asks the leader to do. */
import {parseOwner} from '../model/names.js'
import type {Request} from '../model/request.js'
import {choiceIn, listIn, optional, parseJson, textIn, timeIn} from './json.js'

/** JSON, as people may read it with kubectl. */
export function renderRequest(request: Request): string {
  return `${JSON.stringify(request)}\n`
}

/** @throws AtlasError `invalid` */
export function parseRequest(text: string): Request {
  const fields = parseJson(text, 'a request')
  return {
    kind: choiceIn(fields['kind'], 'kind', ['remove', 'rotate']),
    owners: listIn(fields['owners'], 'owners', (owner, what) => parseOwner(textIn(owner, what))),
    requestedAt: timeIn(fields['requestedAt'], 'requestedAt'),
    state: choiceIn(fields['state'], 'state', ['waiting', 'done', 'failed']),
    ...optional(fields, 'answeredAt', timeIn),
    ...optional(fields, 'message', (message, what) => textIn(message, what).slice(0, 1000)),
  }
}
