/** What the leader does for those who hold no keys: it answers the requests that wait. Asking is in leader.ts. */
import type {Change} from '../model/change.js'
import {reduceAll} from '../model/change.js'
import {AtlasError, messageOf} from '../model/errors.js'
import {type Fleet, isRegistered} from '../model/fleet.js'
import {OBSERVABILITY, type ClusterName} from '../model/names.js'
import {ANSWER_KEPT, type Request, describeRequest} from '../model/request.js'
import {clusterNames} from './cluster/list.js'
import {whyUnsigned} from './reconcile.js'
import {planRemoval} from './removal.js'
import {planLeaves} from './rotate.js'
import type {World} from './world.js'

/** Does what waits to be done, answers it, and drops answers that have been read or never will be. */
export function planAnswers(fleet: Fleet, world: World): readonly Change[] {
  const now = world.now()
  const changes: Change[] = []
  for (const [id, request] of fleet.requests) {
    const answeredAt = request.answeredAt === undefined ? undefined : Date.parse(request.answeredAt)
    if (answeredAt !== undefined && now.getTime() - answeredAt > ANSWER_KEPT) changes.push({kind: 'request', id, value: undefined})
    if (request.state !== 'waiting' || (request.kind === 'rotate' && isIssuerToCome(fleet))) continue
    changes.push(...answered(reduceAll(fleet, changes), id, request, world))
  }

  return changes
}

/** A leader that has just begun makes the issuer before anything else: until then nobody has failed. */
function isIssuerToCome(fleet: Fleet): boolean {
  return whyUnsigned(fleet) === undefined && !fleet.authority.has('issuer') && !fleet.faults.has('authority/issuer')
}

/** The work first, then the answer: a leader that dies between the two does the work again, which does no harm. */
function answered(fleet: Fleet, id: string, request: Request, world: World): readonly Change[] {
  const answer = (state: 'done' | 'failed', message: string): Change => ({
    kind: 'request',
    id,
    value: {...request, state, message, answeredAt: world.now().toISOString()},
  })
  try {
    return [...workOf(fleet, request, world), answer('done', describeRequest(request))]
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    return [answer('failed', messageOf(error))]
  }
}

function workOf(fleet: Fleet, request: Request, world: World): readonly Change[] {
  if (request.kind === 'rotate') {
    const everybody = [OBSERVABILITY, ...clusterNames(fleet).filter(name => isRegistered(fleet, name))] as const
    return planLeaves(fleet, request.owners.length === 0 ? everybody : request.owners, {others: request.owners.length === 0}, world)
  }

  const names = request.owners.filter((owner): owner is ClusterName => owner !== OBSERVABILITY)
  // One that is not there any more has been removed: by an earlier leader that did not come to answer.
  return names.filter(name => clusterNames(fleet).includes(name)).flatMap(name => planRemoval(fleet, name, world))
}
