/** An entry of ConfigMap `atlas-requests` <-> what a person asks the leader to do; of `atlas-answers` <-> the leader's answer. */
import {type Owner, parseOwner} from '../model/names.js'
import {type Answer, type Asked, type Request, requestKinds} from '../model/request.js'
import {type Fields, choiceIn, fingerprintIn, listIn, optional, parseJson, textIn, timeIn, wholeIn, wrong} from './json.js'
import {GENERATION_MAX} from './record.js'

/** JSON, as people may read it with kubectl. */
export function renderRequest(request: Request): string {
  return `${JSON.stringify(request)}\n`
}

/** @throws AtlasError `invalid` */
export function parseRequest(text: string): Request {
  const fields = parseJson(text, 'a request')
  return {
    ...parseAsked(fields),
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
    ...parseAsked(fields),
    state: choiceIn(fields['state'], 'state', ['done', 'failed']),
    answeredAt: timeIn(fields['answeredAt'], 'answeredAt'),
    ...optional(fields, 'message', (message, what) => textIn(message, what).slice(0, 1000)),
  }
}

function ownersIn(value: unknown, what: string): readonly Owner[] {
  return listIn(value, what, (owner, each) => parseOwner(textIn(owner, each)))
}

function parseAsked(fields: Fields): Asked {
  return {
    kind: choiceIn(fields['kind'], 'kind', requestKinds),
    owners: ownersIn(fields['owners'], 'owners'),
    ...optional(fields, 'skip', ownersIn),
    ...optional(fields, 'nextRoot', fingerprintIn),
    ...optional(fields, 'nextIssuer', fingerprintIn),
    ...optional(fields, 'nextCredentialIssuer', fingerprintIn),
    ...optional(fields, 'reissue', (reissue, what) => flagIn(reissue, what)),
    ...optional(fields, 'credential', (credential, what) => fingerprintIn(credential, what)),
    ...optional(fields, 'generation', (generation, what) => wholeIn(generation, what, [1, GENERATION_MAX])),
  }
}

function flagIn(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw wrong(what, 'true or false', value)
  return value
}
