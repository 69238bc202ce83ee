/** Writes what this server knows of its proxies for the other replicas and for `status`: a refusal at once, the rest now and then. */
import {digestOf} from '../../lib/manifest/replica.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {objectNames} from '../../lib/model/names.js'
import type {Leftover, Report} from '../../lib/model/report.js'
import type {StateStore} from '../../lib/store/store.js'
import type {Log} from '../log.js'

/** Milliseconds. */
export interface ReportTimes {
  /** What is no refusal is written at most this often. */
  readonly reportMs: number
}

export const defaultReportTimes: ReportTimes = {reportMs: 5000}

export interface ReportPublisher {
  /** Something may be different; a refusal is told without delay. */
  changed(isRefusal: 'refusal' | 'other'): void
  stop(): Promise<void>
}

export interface ReportSources {
  /** As it is stored. */
  fleet(): Fleet
  report(): Report
  leftovers(): readonly Leftover[]
}

/** @param replica this server's name; the object is its own alone */
export function openReportPublisher(
  store: StateStore,
  replica: string,
  times: ReportTimes,
  log: Log,
  sources: ReportSources,
): ReportPublisher {
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let writtenAt = -Infinity
  let [isWanted, isUrgent] = [false, false]
  let [failure, isStopped]: [string | undefined, boolean] = [undefined, false]

  async function write(): Promise<void> {
    const [report, leftovers] = [sources.report(), sources.leftovers()]
    const digest = digestOf(report, leftovers)
    const fleet = sources.fleet()
    // The leader makes the object; until then there is nobody to read it either.
    const isThere = fleet.revisions.has(`ConfigMap/${objectNames.report(replica)}`)
    if (!isThere || fleet.reports.get(replica)?.digest === digest) return
    await store.commit(fleet, [{kind: 'report', replica, value: {report, leftovers, digest}}])
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
          // Told once: the next attempt comes by itself.
          if (messageOf(error) !== failure) log.warn('could not write the report on the proxies', {error: messageOf(error)})
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

  return {
    changed(what) {
      if (isStopped) return
      isUrgent ||= what === 'refusal' && failure === undefined
      if (isUrgent) start()
      else if (writing === undefined) later()
      else isWanted = true
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await writing
    },
  }
}
