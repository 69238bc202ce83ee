/** An entry of ConfigMap `atlas-requests` <-> what somebody asks of the leader. */
import {AtlasError, quote} from '../model/errors.js'
import {parseOwner} from '../model/names.js'
import type {Request} from '../model/request.js'

/** JSON, as people may read it with kubectl. */
export function renderRequest(request: Request): string {
  return `${JSON.stringify(request)}\n`
}

/** @throws AtlasError `invalid` */
export function parseRequest(text: string): Request {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new AtlasError('invalid', 'a request must be JSON; it does not parse')
  }

  if (typeof value !== 'object' || value === null) throw new AtlasError('invalid', 'a request must be a JSON object')
  const {kind, owners, requestedAt, state, answeredAt, message} = value as Readonly<Record<string, unknown>>
  if (kind !== 'remove' && kind !== 'rotate') throw new AtlasError('invalid', `kind must be remove or rotate; got ${shown(kind)}`)
  if (state !== 'waiting' && state !== 'done' && state !== 'failed')
    throw new AtlasError('invalid', `state must be waiting, done or failed; got ${shown(state)}`)
  if (!Array.isArray(owners) || !owners.every(owner => typeof owner === 'string'))
    throw new AtlasError('invalid', 'owners must be a list of names')
  return {
    kind,
    owners: owners.map(owner => parseOwner(owner)),
    requestedAt: time(requestedAt, 'requestedAt'),
    state,
    ...(answeredAt !== undefined && {answeredAt: time(answeredAt, 'answeredAt')}),
    ...(typeof message === 'string' && {message: message.slice(0, 1000)}),
  }
}

function time(value: unknown, what: string): string {
  const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(parsed)) throw new AtlasError('invalid', `${what} must be a time such as 2026-11-24T00:00:00.000Z; got ${shown(value)}`)
  return new Date(parsed).toISOString()
}

function shown(value: unknown): string {
  return typeof value === 'string' ? quote(value) : 'something else'
}
