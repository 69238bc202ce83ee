/** An entry of ConfigMap `atlas-requests` <-> what a person asks the leader to do; of `atlas-answers` <-> the leader's answer. */
import {parseOwner} from '../model/names.js'
import type {Answer, Request} from '../model/request.js'
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

export function renderAnswer(answer: Answer): string {
  return `${JSON.stringify(answer)}\n`
}

/** @throws AtlasError `invalid` */
export function parseAnswer(text: string): Answer {
  const fields = parseJson(text, 'an answer')
  return {
    kind: choiceIn(fields['kind'], 'kind', ['remove', 'rotate']),
    owners: listIn(fields['owners'], 'owners', (owner, what) => parseOwner(textIn(owner, what))),
    state: choiceIn(fields['state'], 'state', ['done', 'failed']),
    answeredAt: timeIn(fields['answeredAt'], 'answeredAt'),
    ...optional(fields, 'message', (message, what) => textIn(message, what).slice(0, 1000)),
  }
}
