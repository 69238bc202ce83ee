/** Plans a pass of the reconciler in short turns, so that streams and the admin port are served meanwhile. What is due is decided in ops/. */
import {renderEndpointsAhead} from '../../lib/manifest/endpoints.js'
import {type Change, reduceAll} from '../../lib/model/change.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Owner} from '../../lib/model/names.js'
import type {RequestTimes} from '../../lib/model/request.js'
import {planAnswers} from '../../lib/ops/answer-requests.js'
import type {OpsDependencies} from '../../lib/ops/dependencies.js'
import {type ReconcileScope, inOrder, knownOwners, planReconcile} from '../../lib/ops/reconcile.js'
import {inShortTurns} from '../../lib/store/short-turns.js'

/** Owners that are planned for without a look at the clock. */
const OWNERS_AT_ONCE = 8

type InTurnsScope = Required<Pick<ReconcileScope, 'renewals' | 'withDerived'>> &
  Pick<ReconcileScope, 'evidence' | 'servedSerial' | 'used' | 'withZone'>

/** As `planReconcile`: signing for a whole fleet takes seconds. */
export async function planInTurns(
  fleet: Fleet,
  dependencies: OpsDependencies,
  only: ReadonlySet<Owner> | 'all',
  {withDerived, withZone, servedSerial, renewals, evidence, used}: InTurnsScope,
): Promise<readonly Change[]> {
  function* parts(): Generator<readonly Change[], void> {
    const owners = only === 'all' ? knownOwners(fleet) : inOrder(only)
    yield []
    let planned = fleet
    for (let from = 0; from < Math.max(1, owners.length); from += OWNERS_AT_ONCE) {
      const isLast = from + OWNERS_AT_ONCE >= owners.length
      // The endpoints for Thanos Query come once, after everything that they point to.
      const scope = {
        ...{owners: owners.slice(from, from + OWNERS_AT_ONCE), withDerived, withZone, servedSerial, renewals, used, withEndpoints: isLast},
        // A rotation goes on once in each pass: its evidence is about the whole fleet.
        evidence: from === 0 ? evidence : undefined,
      }
      const missing = planReconcile(planned, dependencies, scope)
      planned = reduceAll(planned, missing)
      renderEndpointsAhead(planned, scope.owners)
      yield missing
    }
  }

  return (await inShortTurns(parts())).flat()
}

/** As `planAnswers`. */
export async function planAnswersInTurns(fleet: Fleet, dependencies: OpsDependencies, times: RequestTimes): Promise<readonly Change[]> {
  return (await inShortTurns(planAnswers(fleet, dependencies, times))).flat()
}
