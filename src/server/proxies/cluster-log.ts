/** The log lines that the Envoys of one cluster cause: a bounded number a minute, so that no cluster fills the log. What they cause in the store: publish-report.ts. */
import type {Owner} from '../../lib/model/names.js'
import {type Log, type LogFields, type LogLevel, logLevels} from '../log.js'
import {openMinuteBudget} from '../minute-budget.js'

/** The log for a cluster, or for clients whose cluster is not known. */
export type ClusterLog = (cluster: Owner | undefined) => Log

/**
 * More lines of one level are left out for the rest of the minute; one line then states how many. Metrics and `status` count all.
 * Opening and refusing streams at any rate is lines of two levels: 22 a minute, so less than one a second over half a minute.
 */
export const LINES_PER_MINUTE = 10

/** Clients without a certificate share one budget. */
const UNKNOWN = ''

/** Levels below that of `log` are dropped there; those of a debug log are not bounded. */
export function openClusterLog(log: Log): ClusterLog {
  const budgets = new Map(
    logLevels.map(level => [
      level,
      openMinuteBudget(LINES_PER_MINUTE, (cluster, lines) => {
        log[level]('log lines about the Envoys of one cluster are left out', {...(cluster !== UNKNOWN && {cluster}), lines})
      }),
    ]),
  )

  return cluster => {
    const write =
      (level: Exclude<LogLevel, 'debug'>) =>
      (message: string, fields?: LogFields): void => {
        if (budgets.get(level)?.take(cluster ?? UNKNOWN) === true) log[level](message, fields)
      }

    return {debug: log.debug, info: write('info'), warn: write('warn'), error: write('error')}
  }
}
