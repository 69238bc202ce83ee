/** One pass of a leader, planned by production's code alone; and the three faults that can be planted into it. */
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {TrustBundle} from '../../src/lib/model/authority.js'
import {type Fleet, recordOf} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../src/lib/model/names.js'
import type {ProxyReport} from '../../src/lib/model/report.js'
import {trustSecret, adsTrustSecret} from '../../src/lib/envoy/secret.js'
import {planAnswers} from '../../src/lib/ops/answer-requests.js'
import type {OpsDependencies} from '../../src/lib/ops/dependencies.js'
import {planProtected} from '../../src/lib/ops/protect.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {planRenewals} from '../../src/lib/ops/renewals.js'
import {planReplicas} from '../../src/lib/ops/replicas.js'
import {type Evidence, evidenceIn} from '../../src/lib/ops/rotation/evidence.js'
import type {Network} from './network.js'
import type {Server} from './servers.js'

/** A fault that a test plants, to show that the simulation finds it. */
export const plantedFaults = ['skipped-gate', 'dropped-stage', 'stale-evidence'] as const

export type PlantedFault = (typeof plantedFaults)[number]

/** How a pass goes wrong. */
export interface PassFaults {
  /** How many versions behind the plan is made. */
  readonly behind?: number
  /** After how many objects the process ends. */
  readonly endsAfter?: number
}

export type PassOutcome = 'conflict' | 'nothing' | 'written'

/** How long a tenth of the renewals is waited for, milliseconds, as in production. */
const ACKNOWLEDGE = 120_000

export class Leader {
  readonly #network: Network
  readonly #planted: PlantedFault | undefined
  /** Of planted stale evidence: what each Envoy has shown once. */
  readonly #shownOnce = new Map<string, ProxyReport['credential']>()

  constructor(network: Network, planted: PlantedFault | undefined) {
    this.#network = network
    this.#planted = planted
  }

  /** What a server would write if it led now. */
  plan(server: Server, base: Fleet): readonly Change[] {
    const network = this.#network
    const clock = server.lookAtClock(network.now)
    const [now, doubt] = [network.timeOf(server), server.doubt(network.now)]
    const dependencies: OpsDependencies = {now: () => now, signer: network.signer, clockDoubt: () => doubt}
    const lost = planProtected(base, server.protection)
    const answers = [...planAnswers(reduceAll(base, lost), dependencies)].flat()
    const living = network.livingServers.map(({name}) => name)
    const shared = planReplicas(base, living, dependencies, {shared: true})
    const asked = [...lost, ...answers, ...shared]
    // As in server/leader/reconciler.ts.
    const evidence = shared.length === 0 ? this.#evidence(base) : undefined
    const {settings} = base
    if (settings === undefined) return asked
    const {isConfirmed} = clock
    const facts = {isClockConfirmed: isConfirmed, renewedBefore: server.renewedBefore, acknowledgeMs: ACKNOWLEDGE}
    const renewals = planRenewals(base, settings, now, {...facts, evidence, proxies: evidence?.proxies ?? []})
    if (!isConfirmed && doubt === undefined) for (const owner of renewals.owners) server.renewedBefore.add(owner)
    const planned = [...asked, ...planReconcile(reduceAll(base, asked), dependencies, {renewals, evidence})]
    return this.#planted === 'dropped-stage' ? planned.filter(change => !isStage(change)) : planned
  }

  /** A server that takes itself for the leader plans and writes. */
  pass(server: Server, {behind = 0, endsAfter = Infinity}: PassFaults = {}): PassOutcome {
    const network = this.#network
    const {store} = network
    const version = Math.max(store.oldest, server.version - behind)
    const seen = store.at(version)
    const planned = this.plan(server, seen)
    if (planned.length === 0) return 'nothing'
    network.step = {seen, version}
    let outcome: PassOutcome
    try {
      outcome = store.commit(version, planned, endsAfter)
    } finally {
      network.step = undefined
    }

    network.see(server)
    return outcome
  }

  #evidence(base: Fleet): Evidence | undefined {
    const evidence = evidenceIn(base)
    if (evidence === undefined || this.#planted === undefined) return evidence
    const {trust} = base
    if (this.#planted === 'skipped-gate' && trust !== undefined)
      return {...evidence, proxies: evidence.proxies.map(proxy => acknowledging(proxy, trust))}
    if (this.#planted === 'stale-evidence') return {...evidence, proxies: this.#once(base, evidence.proxies)}
    return evidence
  }

  /** The newest credential that an Envoy ever came with counts for good. */
  #once(base: Fleet, proxies: readonly ProxyReport[]): readonly ProxyReport[] {
    return proxies.map(proxy => {
      const key = `${proxy.cluster}/${proxy.id}`
      const known = this.#shownOnce.get(key)
      const isNewer = known === undefined || issuedAt(base, proxy.cluster, known) <= issuedAt(base, proxy.cluster, proxy.credential)
      const credential = isNewer ? proxy.credential : known
      this.#shownOnce.set(key, credential)
      return {...proxy, credential}
    })
  }
}

function issuedAt(fleet: Fleet, owner: Owner, {sha256}: ProxyReport['credential']): string {
  return recordOf(fleet, owner).credentials.find(record => record.sha256 === sha256)?.notBefore ?? ''
}

/** As if the Envoy had acknowledged whatever is stored. */
function acknowledging(proxy: ProxyReport, trust: TrustBundle): ProxyReport {
  return {...proxy, trust: trustSecret(trust).version, ...(proxy.cluster === OBSERVABILITY && {adsTrust: adsTrustSecret(trust).version})}
}

/** The record that a rotation has come to the leaves. */
function isStage(change: Change): boolean {
  return change.kind === 'rotation' && change.value?.stage === 'leaves'
}
