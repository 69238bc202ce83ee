/** Plans what waiting requests ask of the leader, and its answers to them. Making a request: ask-leader.ts. */
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError, messageOf, quote} from '../model/errors.js'
import {type Fleet, generationOf, isBroken, brokenNames} from '../model/fleet.js'
import {type ClusterName, OBSERVABILITY, type Owner} from '../model/names.js'
import {
  type Answer,
  type Request,
  type RequestKind,
  type RequestTimes,
  askedIn,
  defaultRequestTimes,
  describeRequest,
  rotatedBy,
} from '../model/request.js'
import {clusterNames, requireServed} from './cluster/list.js'
import {planReconcile} from './reconcile.js'
import {noRenewals} from './renewals.js'
import {planCredentialRevocation, planRemoval, planRestore, planRevocation} from './revoke.js'
import {allOwners, planCredentials, planLeaves} from './rotate.js'
import {isNamedComing, planWithNamed} from './rotation/named.js'
import {isRootOffline, whyUnsigned} from './signing.js'
import {ownCertificate, wantedTrust} from './trust.js'
import type {OpsDependencies} from './dependencies.js'

/**
 * The changes that waiting requests ask for, each with its answer, and the removal of old requests. A few owners at a time, so that the
 * caller can do other work between two steps.
 */
export function* planAnswers(
  fleet: Fleet,
  dependencies: OpsDependencies,
  times: RequestTimes = defaultRequestTimes,
): Generator<readonly Change[], void> {
  for (const id of brokenNames(fleet, 'request')) yield [{kind: 'request', id, value: undefined}]
  let planned = fleet
  const isBelieved = dependencies.clockDoubt?.() === undefined
  for (const [id, request] of fleet.requests) {
    if (isBelieved && isOld(request, dependencies.now(), times)) {
      yield [{kind: 'request', id, value: undefined}]
      continue
    }

    const answer = fleet.answers.get(id)
    if (answer !== undefined) {
      // An earlier leader ended before it could mark the request.
      if (request.state === 'waiting') yield [marked(id, request, answer)]
      continue
    }

    if (request.state !== 'waiting' || (request.kind === 'rotate' && isBelieved && isIssuerComing(fleet))) continue
    if (isNamedComing(fleet, request, dependencies.now())) continue
    for (const changes of planRequest(planned, id, request, dependencies)) {
      planned = reduceAll(planned, changes)
      yield changes
    }
  }

  for (const id of brokenNames(fleet, 'answer')) yield [{kind: 'answer', id, value: undefined}]
  for (const [id, answer] of fleet.answers)
    if (isBelieved && !fleet.requests.has(id) && isOldAnswer(answer.answeredAt, dependencies.now(), times))
      yield [{kind: 'answer', id, value: undefined}]
}

/** The answer to a request whose changes could not be written. */
export function refusedAnswer(id: string, request: Request, why: string, now: Date): readonly Change[] {
  return answerTo(id, request, {state: 'failed', message: why.slice(0, 500)}, now)
}

/** The answer, and the request marked with it: command lines of earlier releases look there, and no leader takes it up again. */
function answerTo(id: string, request: Request, result: Pick<Answer, 'message' | 'state'>, now: Date): readonly Change[] {
  const answer: Answer = {...askedIn(request), ...result, answeredAt: now.toISOString()}
  return [{kind: 'answer', id, value: answer}, marked(id, request, answer)]
}

function marked(id: string, request: Request, {state, message, answeredAt}: Answer): Change {
  return {kind: 'request', id, value: {...request, state, ...(message !== undefined && {message}), answeredAt}}
}

/** By the leader's clock, so that every entry is removed some day, whatever times are in it. */
function isOld({state, answeredAt, requestedAt}: Request, now: Date, times: RequestTimes): boolean {
  if (state !== 'waiting') return isOldAnswer(answeredAt ?? requestedAt, now, times)
  return now.getTime() - Date.parse(requestedAt) > times.requestKeptMs
}

function isOldAnswer(answeredAt: string, now: Date, {answerKeptMs}: RequestTimes): boolean {
  const age = now.getTime() - Date.parse(answeredAt)
  return age > answerKeptMs || age < -SKEW
}

/** Clocks may differ by this much, milliseconds; an answer from further in the future is removed. */
const SKEW = 5 * 60_000
/** One step of a rotation replaces the identities of this many owners. */
const OWNERS_AT_ONCE = 8

/**
 * Whether the leader is about to make the issuer, or to write it into the trust bundle, as after a person has put one in its place: new
 * identities wait for it instead of failing, or of being refused everywhere.
 */
function isIssuerComing(fleet: Fleet): boolean {
  const [issuer, wanted] = [fleet.authority.get('issuer'), wantedTrust(fleet)]
  if (issuer !== undefined && wanted !== undefined && fleet.trust !== undefined && !isBroken(fleet, 'trust'))
    return !fleet.trust.issuers.includes(ownCertificate(issuer)) && wanted.issuers.includes(ownCertificate(issuer))
  if (whyUnsigned(fleet) !== undefined || isRootOffline(fleet)) return false
  return !fleet.authority.has('issuer') && !isBroken(fleet, 'authority', 'issuer')
}

/** The work first, then the answer: the next leader repeats work that was not answered, which does no harm. */
function* planRequest(fleet: Fleet, id: string, request: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  const answer = (state: 'done' | 'failed', message: string): readonly Change[] =>
    answerTo(id, request, {state, message}, dependencies.now())
  try {
    yield* planners[request.kind](fleet, request, dependencies)
    yield answer('done', describeRequest(request))
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    yield answer('failed', messageOf(error))
  }
}

type Planner = (fleet: Fleet, request: Request, dependencies: OpsDependencies) => Generator<readonly Change[], void>

const planners: Readonly<Record<RequestKind, Planner>> = {
  remove: planRemovals,
  restore: planRestores,
  revoke: planRevocations,
  rotate: (fleet, request, dependencies) => planForOwners(fleet, request, dependencies, planLeaves),
  'rotate-ads': (fleet, request, dependencies) => planForOwners(fleet, request, dependencies, planCredentials),
  'rotate-issuer': planAuthority,
  'rotate-root': planAuthority,
}

function* planAuthority(fleet: Fleet, request: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  const part = rotatedBy[request.kind]
  if (part !== undefined) yield* planWithNamed(fleet, part, request, dependencies)
}

function* planForOwners(
  fleet: Fleet,
  {owners}: Request,
  dependencies: OpsDependencies,
  plan: typeof planLeaves,
): Generator<readonly Change[], void> {
  const present = allOwners(fleet)
  for (const owner of owners) requireServed(fleet, owner)
  const unknown = owners.find(owner => !present.includes(owner))
  if (unknown !== undefined) throw new AtlasError('not-found', `there is no cluster ${quote(unknown)}`)
  const chosen = owners.length === 0 ? present : [...new Set(owners)]
  for (let from = 0; from < chosen.length; from += OWNERS_AT_ONCE)
    yield plan(fleet, chosen.slice(from, from + OWNERS_AT_ONCE), {others: owners.length === 0 && from === 0}, dependencies)
}

function* planRemovals(fleet: Fleet, {owners}: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  if (owners.length === 0) throw new AtlasError('invalid', 'a request to remove names no cluster; nothing is removed')
  const present = new Set<Owner>(clusterNames(fleet))
  const names = [...new Set(owners)].map(owner => {
    if (owner === OBSERVABILITY) throw new AtlasError('invalid', 'the observability cluster can not be removed')
    if (!present.has(owner) && !wasRemoved(fleet, owner)) throw new AtlasError('not-found', `there is no cluster ${quote(owner)}`)
    return owner
  })
  for (const name of names) if (present.has(name)) yield planRemoval(fleet, name, dependencies)
}

function* planRevocations(fleet: Fleet, request: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  const {credential, reissue = false, generation = Infinity} = request
  for (const name of knownClusters(fleet, request)) {
    const plan = (): readonly Change[] => {
      if (credential !== undefined) return planCredentialRevocation(fleet, name, {text: credential, reissue})
      return generationOf(fleet, name) <= generation ? planRevocation(fleet, name, {reissue}, dependencies) : []
    }
    const changes = plan()
    yield changes
    if (reissue) yield planIssue(reduceAll(fleet, changes), name, dependencies)
  }
}

function* planRestores(fleet: Fleet, request: Request, dependencies: OpsDependencies): Generator<readonly Change[], void> {
  for (const name of knownClusters(fleet, request)) {
    const changes = planRestore(fleet, name)
    yield changes
    yield planIssue(reduceAll(fleet, changes), name, dependencies)
  }
}

/** So that the answer, which is written last, tells that the new credential is in its Secret. */
function planIssue(fleet: Fleet, name: ClusterName, dependencies: OpsDependencies): readonly Change[] {
  return planReconcile(fleet, dependencies, {owners: [name], withEndpoints: false, renewals: noRenewals})
}

/** @throws AtlasError `invalid`, `not-found` */
function knownClusters(fleet: Fleet, {kind, owners}: Request): readonly ClusterName[] {
  if (owners.length === 0) throw new AtlasError('invalid', `a request to ${kind} names no cluster`)
  const present = clusterNames(fleet)
  return [...new Set(owners)].map(owner => {
    const name = present.find(each => each === owner)
    if (name === undefined) throw new AtlasError('not-found', `there is no cluster ${quote(owner)}`)
    return name
  })
}

/** An earlier leader has removed the cluster, and ended before it could answer: its record has a generation of its own for good. */
function wasRemoved({records}: Fleet, owner: Owner): boolean {
  return (records.get(owner)?.generation ?? 1) > 1
}
