/** The documents of the server's web pages: made off the hot path, kept for a few seconds, and one build for all who ask at the same time. */
import {setImmediate as nextTurn} from 'node:timers/promises'
import type {Fleet} from '../../lib/model/fleet.js'
import {OBSERVABILITY} from '../../lib/model/names.js'
import type {Report} from '../../lib/model/report.js'
import {clusterNames} from '../../lib/ops/cluster/list.js'
import type {Finding} from '../../lib/ops/finding.js'
import {type ShownStatus, statusOfServer} from '../../lib/ops/status.js'
import {readKey} from '../../lib/pki/read.js'
import {inShortTurns} from '../../lib/store/short-turns.js'
import type {StateStore} from '../../lib/store/store.js'
import type {CurrentFleet} from '../fleet/current-fleet.js'
import {renderStartPage} from './render.js'

export interface DocumentSources {
  readonly store: Pick<StateStore, 'heartbeats' | 'isShared' | 'serverTime'>
  readonly fleet: Pick<CurrentFleet, 'isReachable' | 'stored'>
  /** This server's name among the servers of the store. */
  readonly replica: string
  readonly report: () => Report
  /** The command to run next for a finding. */
  readonly nextStep: (finding: Finding) => string
  /** Completes a command by the flags of this store. */
  readonly inStore: (command: string) => string
  readonly now: () => Date
}

export interface Documents {
  /** The start page; `PORT` in it stands for the port that the browser has used. */
  page(): Promise<string>
  /** What `atlas status --json` prints, as one line. */
  json(): Promise<string>
}

/** Milliseconds. A document of this age is made again for the next request. */
const KEPT = 3000

/** Milliseconds. An API server that takes longer to list the Leases is not waited for. */
const LEASES_WAIT = 3000

/** Nothing is made before it is asked for. */
export function openDocuments(sources: DocumentSources): Documents {
  const {fleet, now} = sources
  const status = shared(async () => {
    const [stored, at] = [fleet.stored(), now()]
    return {fleet: stored, at, status: await buildStatus(sources, stored, at)}
  })
  return {
    page: shared(async () => {
      const built = await status()
      return (await inShortTurns(renderStartPage(built.fleet, built.status, {now: built.at, inStore: sources.inStore}))).join('')
    }),
    json: shared(async () => (await inShortTurns(renderJson((await status()).status))).join('')),
  }
}

/** One build for all who ask at the same time, and for those that ask within `KEPT` after its end; a failed one is forgotten. */
function shared<T>(build: () => Promise<T>): () => Promise<T> {
  let last: {readonly result: Promise<T>; endedAt: number} | undefined
  return async () => {
    if (last !== undefined && performance.now() - last.endedAt < KEPT) return last.result
    const next = {result: build(), endedAt: Infinity}
    last = next
    next.result.then(
      () => {
        next.endedAt = performance.now()
      },
      () => {
        if (last === next) last = undefined
      },
    )
    return next.result
  }
}

async function buildStatus({store, fleet, replica, report, nextStep}: DocumentSources, stored: Fleet, now: Date): Promise<ShownStatus> {
  await inShortTurns(certificatesRead(stored))
  const own = {replica, report: report()}
  await nextTurn()
  const leases = {isShared: store.isShared, serverTime: () => store.serverTime(), heartbeats: async () => heartbeatsOf(store, fleet)}
  const found = await statusOfServer(leases, {fleet: stored, own}, {now})
  return {...found, findings: found.findings.map(finding => ({...finding, next: nextStep(finding)}))}
}

/** A certificate that was read is remembered: of a thousand clusters without an Envoy, each would take its part of one long turn. */
function* certificatesRead(fleet: Fleet): Iterable<void> {
  for (const owner of [OBSERVABILITY, ...clusterNames(fleet)] as const) {
    const identity = fleet.identities.get(owner)
    if (identity !== undefined) yield void readKey(identity)
  }
}

/** @throws Error while the API server does not answer: who is alive is then unknown, and the page says so at once */
async function heartbeatsOf(store: DocumentSources['store'], fleet: DocumentSources['fleet']): ReturnType<StateStore['heartbeats']> {
  if (!fleet.isReachable()) throw new Error('the store can not be read')
  const late = AbortSignal.timeout(LEASES_WAIT)
  return Promise.race([
    store.heartbeats(),
    new Promise<never>((_, reject) => {
      late.addEventListener('abort', () => {
        reject(new Error('the Leases were not listed in time'))
      })
    }),
  ])
}

/** Element by element: a thousand proxies at once would take a turn of tens of milliseconds. */
function* renderJson(status: ShownStatus): Iterable<string> {
  let before = '{'
  for (const [key, value] of Object.entries(status) as readonly (readonly [string, unknown])[]) {
    if (value === undefined) continue
    yield `${before}${JSON.stringify(key)}:`
    before = ','
    if (Array.isArray(value)) {
      yield '['
      for (const [index, element] of value.entries()) yield `${index === 0 ? '' : ','}${JSON.stringify(element)}`
      yield ']'
    } else yield JSON.stringify(value)
  }

  yield '}\n'
}
