/** What the leader does for those who hold no keys: it answers the requests that wait. Asking is in ask-leader.ts. */
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError, messageOf, quote} from '../model/errors.js'
import {type Fleet, isRegistered, isBroken, brokenNames} from '../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../model/names.js'
import {ANSWER_KEPT, type Request, describeRequest} from '../model/request.js'
import {clusterNames} from './cluster/list.js'
import {whyUnsigned} from './reconcile.js'
import {planRemoval} from './revoke.js'
import {planLeaves} from './rotate.js'
import type {OpsDependencies} from './dependencies.js'

/**
 * Does what waits to be done, answers it, and drops answers that have been read or never will be; a few owners at a time, so that
 * whoever iterates can let others in between.
 */
export function* planAnswers(fleet: Fleet, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  for (const id of brokenNames(fleet, 'request')) yield [{kind: 'request', id, value: undefined}]
  let planned = fleet
  for (const [id, request] of fleet.requests) {
    if (isOld(request, dependencies.now())) {
      yield [{kind: 'request', id, value: undefined}]
      continue
    }

    if (request.state !== 'waiting' || (request.kind === 'rotate' && isIssuerToCome(fleet))) continue
    for (const changes of answered(planned, id, request, dependencies)) {
      planned = reduceAll(planned, changes)
      yield changes
    }
  }
}

/** The answer to a request whose work could not be written. */
export function refusedAnswer(id: string, request: Request, why: string, now: Date): Change {
  return {kind: 'request', id, value: {...request, state: 'failed', message: why.slice(0, 500), answeredAt: now.toISOString()}}
}

/** By the leader's clock, whatever stands in it: nobody's entry stays for ever. */
function isOld({state, answeredAt, requestedAt}: Request, now: Date): boolean {
  const since = Date.parse(answeredAt ?? requestedAt)
  const age = now.getTime() - since
  return state === 'waiting' ? age > WAITING_KEPT : age > ANSWER_KEPT || age < -SKEW
}

/** What has waited for so long, milliseconds, nobody waits for any more. */
const WAITING_KEPT = 24 * 3_600_000
/** Clocks may differ by this much, milliseconds: an answer from further in the future is removed. */
const SKEW = 5 * 60_000
const OWNERS_AT_ONCE = 8

/** A leader that has just begun makes the issuer before anything else: until then nobody has failed. */
function isIssuerToCome(fleet: Fleet): boolean {
  return whyUnsigned(fleet) === undefined && !fleet.authority.has('issuer') && !isBroken(fleet, 'authority', 'issuer')
}

/** The work first, then the answer: a leader that dies between the two does the work again, which does no harm. */
function* answered(fleet: Fleet, id: string, request: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  const answer = (state: 'done' | 'failed', message: string): Change => ({
    kind: 'request',
    id,
    value: {...request, state, message, answeredAt: dependencies.now().toISOString()},
  })
  try {
    yield* request.kind === 'rotate' ? rotated(fleet, request, dependencies) : removed(fleet, request, dependencies)
    yield [answer('done', describeRequest(request))]
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    yield [answer('failed', messageOf(error))]
  }
}

function* rotated(fleet: Fleet, {owners}: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  const present = new Set<Owner>([OBSERVABILITY, ...clusterNames(fleet).filter(name => isRegistered(fleet, name))])
  const unknown = owners.find(owner => !present.has(owner))
  if (unknown !== undefined) throw new AtlasError('not-found', `there is no cluster ${quote(unknown)}`)
  const wanted = owners.length === 0 ? [...present] : [...new Set(owners)]
  for (let from = 0; from < wanted.length; from += OWNERS_AT_ONCE)
    yield planLeaves(fleet, wanted.slice(from, from + OWNERS_AT_ONCE), {others: owners.length === 0 && from === 0}, dependencies)
}

function* removed(fleet: Fleet, {owners}: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  const present = new Set<Owner>(clusterNames(fleet))
  // One that is not there any more has been removed: by an earlier leader that did not come to answer.
  for (const name of new Set(owners)) if (name !== OBSERVABILITY && present.has(name)) yield planRemoval(fleet, name, dependencies)
}
