/**
 * Writes this server's report on its proxies for the other servers and for `status`: a refusal at once, everything else now and then, also
 * what the server warns of by time alone, such as a certificate that ends soon.
 */
import {objectKeyOf} from '../../lib/manifest/kinds.js'
import {digestOf, packAhead, renderAhead} from '../../lib/manifest/pack-report.js'
import type {Change} from '../../lib/model/change.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Owner} from '../../lib/model/names.js'
import type {Leftover, ProxyReport, Readiness, Report} from '../../lib/model/report.js'
import {inShortTurns} from '../../lib/store/short-turns.js'
import type {StateStore} from '../../lib/store/store.js'
import type {CurrentFleet, FleetObserver} from '../fleet/current-fleet.js'
import type {Log} from '../log.js'
import {openMinuteBudget} from '../minute-budget.js'

/** Milliseconds. */
export interface ReportTimes {
  /** A report without a new refusal is written at most this often, and what the server warns of is looked at this often. */
  readonly reportMs: number
}

export const defaultReportTimes: ReportTimes = {reportMs: 5000}

export interface ReportPublisher extends FleetObserver {
  /** The report may be different: after a NACK it is written at once, unless the cluster sends many. */
  mayDiffer(why: 'other' | {readonly refusedBy: Owner}): void
  stop(): Promise<void>
}

export interface ReportPublisherDependencies {
  readonly fleet: Pick<CurrentFleet, 'stored'>
  readonly store: StateStore
  /** This server's name; no other server writes the report of that name. */
  readonly replica: string
  readonly times: ReportTimes
  readonly log: Log
  report(): Report
  /** As the report has it: asked more often, since no change tells when it differs. */
  readiness(): Readiness
  /** The proxies of the report, one by one: they are remembered for it. */
  proxies(): Iterable<ProxyReport>
  leftovers(): readonly Leftover[]
}

/** NACKs of one cluster that are written at once; further ones of the same minute wait for the next regular report. */
const URGENT_PER_MINUTE = 6

/** Writes nothing before something may differ, and looks at nothing before the fleet is known. */
export function openReportPublisher({fleet, store, replica, times, log, ...sources}: ReportPublisherDependencies): ReportPublisher {
  const urgent = openMinuteBudget(URGENT_PER_MINUTE)
  let timer: NodeJS.Timeout | undefined
  let looking: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let writtenAt = -Infinity
  let [isWanted, isUrgent] = [false, false]
  let [failure, isStopped]: [string | undefined, boolean] = [undefined, false]

  async function write(): Promise<void> {
    // After a restart each of a thousand proxies is new: all at once would block the event loop.
    await inShortTurns(renderAhead(sources.proxies()))
    const [report, leftovers] = [sources.report(), sources.leftovers()]
    const digest = digestOf(report, leftovers)
    const {revisions, reports} = fleet.stored()
    // The leader creates the object; while there is no leader no other server reads it either.
    const isThere = revisions.has(objectKeyOf('report', replica))
    if (!isThere || reports.get(replica)?.digest === digest) return
    await inShortTurns(packAhead(report))
    await store.commit(fleet.stored(), [{kind: 'report', replica, value: {report, leftovers, digest}}])
  }

  function later(): void {
    timer ??= setTimeout(start, Math.max(0, writtenAt + times.reportMs - performance.now())).unref()
  }

  function start(): void {
    if (writing !== undefined || isStopped) {
      isWanted = true
      return
    }

    isWanted = false
    isUrgent = false
    clearTimeout(timer)
    timer = undefined
    writtenAt = performance.now()
    writing = write()
      .then(
        () => {
          failure = undefined
        },
        (error: unknown) => {
          // Logged once for each reason, since it is tried again.
          if (messageOf(error) !== failure) log.warn('can not write the report on the proxies', {error: messageOf(error)})
          failure = messageOf(error)
          isWanted = true
        },
      )
      .finally(() => {
        writing = undefined
        if (isUrgent) start()
        else if (isWanted) later()
      })
  }

  function mayDiffer(why: 'other' | {readonly refusedBy: Owner}): void {
    if (isStopped) return
    isUrgent ||= why !== 'other' && urgent.take(why.refusedBy) && failure === undefined
    if (isUrgent) start()
    else if (writing === undefined) later()
    else isWanted = true
  }

  /** A warning may begin and end by time alone. Nothing is written where it is as it was last written. */
  function look(): void {
    const last = fleet.stored().reports.get(replica)?.report
    if (last !== undefined && textOf(last) !== textOf(sources.readiness())) mayDiffer('other')
  }

  /** Reports of other servers are not part of this one's; that its own object now exists is a reason to write it. */
  function isNews(change: Change): boolean {
    return change.kind === 'report' ? change.replica === replica : change.kind !== 'revision'
  }

  return {
    mayDiffer,
    started() {
      if (!isStopped) looking = setInterval(look, times.reportMs).unref()
    },
    changed({changes}) {
      if (changes.some(change => isNews(change))) mayDiffer('other')
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
      clearInterval(looking)
      await writing
    },
  }
}

function textOf({ready, reasons, warnings}: Readiness): string {
  return JSON.stringify([ready, reasons, warnings])
}
