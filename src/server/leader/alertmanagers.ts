/**
 * Looks for the Alertmanagers in Kubernetes while this server leads, by the selector of the settings. What is stored of them is planned by
 * ops/alertmanagers.ts in a pass of the reconciler.
 */
import {ALERTMANAGERS_MAX, type Alertmanager, renderAlertmanagerSelector} from '../../lib/model/alertmanager.js'
import type {Change} from '../../lib/model/change.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Settings} from '../../lib/model/settings.js'
import {mayReturn, planAlertmanagers} from '../../lib/ops/alertmanagers.js'
import type {AlertmanagerSelection, StateStore} from '../../lib/store/store.js'
import type {Log} from '../log.js'

/** Milliseconds. */
export interface AlertmanagerTimes {
  /**
   * An Alertmanager whose pod is deleted leaves the list after this time: a StatefulSet makes the pod again, and meanwhile no Prometheus
   * should forget it and the alerts that wait for it. Shorter than the 15 minutes after which kube-prometheus's own alert
   * PrometheusErrorSendingAlertsToSomeAlertmanagers fires.
   */
  readonly alertmanagerKeptMs: number
}

export const defaultAlertmanagerTimes: AlertmanagerTimes = {alertmanagerKeptMs: 300_000}

export interface AlertmanagerDiscovery {
  /** Begins to look, or looks elsewhere, if the settings say so. Called after each change while this server leads. */
  follow(fleet: Fleet): void
  /** Another server leads now. */
  stop(): void
  /** What is to be stored. */
  plan(fleet: Fleet): readonly Change[]
  /** Why the list may not be as it is in Kubernetes, a sentence each. */
  warnings(): readonly string[]
}

export interface AlertmanagerDependencies {
  readonly store: Pick<StateStore, 'watchAlertmanagers'>
  readonly log: Log
  readonly times: AlertmanagerTimes
  /** Something else may be to be stored now. */
  found(): void
  /** There is a new warning. */
  warned(why: string): void
}

/** Looks nowhere before `follow`, and nowhere at all in a store that is in no cluster. */
export function openAlertmanagerDiscovery({store, log, times, found: report, warned}: AlertmanagerDependencies): AlertmanagerDiscovery {
  const clock = (): number => performance.now()
  const goneSince = new Map<string, number>()
  let selection: AlertmanagerSelection | undefined
  let watching: AbortController | undefined
  let found: readonly Alertmanager[] | undefined
  let [problems, failure]: [readonly string[], string | undefined] = [[], undefined]
  let timer: NodeJS.Timeout | undefined

  function begin(wanted: AlertmanagerSelection): void {
    selection = wanted
    watching = new AbortController()
    store.watchAlertmanagers?.(
      wanted,
      {
        found(seen) {
          ;[found, failure] = [seen.alertmanagers, undefined]
          warn([...seen.problems, ...problemsOf(seen.alertmanagers, wanted)])
          report()
        },
        failed(error) {
          const why = error && `the Alertmanagers can not be looked up, and their list stays as it is: ${error.message}${flat(error.hint)}`
          if (why === failure) return
          failure = why
          if (why === undefined) log.info('the Alertmanagers can be looked up again')
          else tell(why)
        },
      },
      watching.signal,
    )
  }

  function warn(all: readonly string[]): void {
    const before = problems
    problems = all
    for (const why of all) if (!before.includes(why)) tell(why)
  }

  function tell(why: string): void {
    log.warn(why)
    warned(why)
  }

  function stop(): void {
    watching?.abort()
    clearTimeout(timer)
    goneSince.clear()
    ;[selection, found, problems, failure] = [undefined, undefined, [], undefined]
  }

  /** Notes which names are gone since when, and looks again when the first of them is not to be kept any longer. */
  function note(stored: readonly Alertmanager[], seen: readonly Alertmanager[]): void {
    const gone = new Set(mayReturn(stored, seen).map(({name}) => name))
    for (const name of goneSince.keys()) if (!gone.has(name)) goneSince.delete(name)
    for (const name of gone) if (!goneSince.has(name)) goneSince.set(name, clock())
    clearTimeout(timer)
    if (goneSince.size === 0) return
    timer = setTimeout(report, Math.max(0, Math.min(...goneSince.values()) + times.alertmanagerKeptMs - clock()))
    timer.unref()
  }

  return {
    stop,

    follow({settings}) {
      const wanted = settings && selectionOf(settings)
      if (JSON.stringify(wanted) === JSON.stringify(selection)) return
      stop()
      if (wanted !== undefined) begin(wanted)
    },

    plan(fleet) {
      if (store.watchAlertmanagers === undefined) return []
      if (found === undefined) return planAlertmanagers(fleet, undefined)
      note(fleet.alertmanagers ?? [], found)
      return planAlertmanagers(fleet, {found, goneSince, now: clock(), keptMs: times.alertmanagerKeptMs})
    },

    warnings: () => [...(failure === undefined ? [] : [failure]), ...problems],
  }
}

/** A list in the settings counts alone: then there is nothing to look for. */
function selectionOf({alertmanagerSelector, alertmanagers, clusterDomain}: Settings): AlertmanagerSelection | undefined {
  if (alertmanagerSelector === undefined || alertmanagers.length > 0) return undefined
  return {...alertmanagerSelector, clusterDomain}
}

function problemsOf(found: readonly Alertmanager[], selection: AlertmanagerSelection): readonly string[] {
  const where = renderAlertmanagerSelector(selection)
  if (found.length === 0)
    return [
      `no EndpointSlice that ${where} selects has an Alertmanager: the list stays as it is; atlas init --alertmanager-selector names another`,
    ]
  if (found.length <= ALERTMANAGERS_MAX) return []
  return [
    `${where} selects ${found.length} Alertmanagers, more than ${ALERTMANAGERS_MAX}: the list stays as it is; atlas init --alertmanager-selector names fewer`,
  ]
}

/** A hint may be a rule in several lines. */
function flat(hint: string | undefined): string {
  return hint === undefined ? '' : `; ${hint.replaceAll(/\s+/g, ' ')}`
}
