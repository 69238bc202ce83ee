/** Proof: a cluster that is added while all runs appears within seconds, and only the Envoys concerned are sent anything. */
import type {HostPort} from '../../lib/model/address.js'
import type {ClusterName} from '../../lib/model/names.js'
import {differing, resourcesOf} from '../envoy-admin.js'
import type {RunningEnvoy} from '../envoys.js'
import {type Backend, type Member, type Network, joinCluster} from '../network.js'
import {insist} from '../proof.js'
import type {DownstreamSite} from '../sites.js'
import {untilAnswered, untilReachable} from './paths.js'
import {statusOf, untilSynced} from './status.js'

export interface Newcomer {
  readonly name: ClusterName
  readonly site: DownstreamSite
  /** What answers behind its Envoy; it runs already. */
  readonly backend: Backend
}

/** @param query Thanos Query; without it the proof ends at the Envoys */
export async function addWhileRunning(network: Network, {name, site, backend}: Newcomer, query: HostPort | undefined): Promise<string> {
  const others = network.members.map(({envoy}) => envoy)
  await untilSynced(network, 10_000)
  const before = await picture(network, others)
  const begin = performance.now()
  const member = await joinCluster(network, name, site, backend)
  await untilReachable(network, member)
  const reachable = performance.now() - begin
  if (query !== undefined)
    await untilAnswered(
      network,
      query,
      network.members.map(each => each.name),
    )
  const answered = performance.now() - begin
  await untilSynced(network, 10_000)
  const after = await picture(network, others)
  judgeOthers(before, after)
  const gained = judgeObservability(before, after, member)
  const appeared = query === undefined ? '' : `, and its series in Thanos Query after ${seconds(answered)}`
  return `${name} answered through both Envoys ${seconds(reachable)} after "cluster add" began${appeared}; the observability Envoy got ${gained.length} resources (${gained.join(', ')}), the ${others.length} other Envoys nothing: their configuration is unchanged to the byte and the time`
}

/** What was sent to whom so far: each Envoy's resources with their times, and when the server last sent something. */
interface Picture {
  readonly observability: ReadonlyMap<string, string>
  readonly others: readonly {readonly owner: string; readonly resources: ReadonlyMap<string, string>; readonly lastChange: string}[]
}

async function picture(network: Network, others: readonly RunningEnvoy[]): Promise<Picture> {
  const {proxies} = await statusOf(network)
  return {
    observability: await resourcesOf(network.observability.admin),
    others: await Promise.all(
      others.map(async ({owner, admin}) => ({
        owner,
        resources: await resourcesOf(admin),
        lastChange: proxies.find(({cluster}) => cluster === owner)?.lastChange ?? 'never',
      })),
    ),
  }
}

function judgeOthers(before: Picture, after: Picture): void {
  for (const [index, {owner, resources, lastChange}] of before.others.entries()) {
    const now = after.others[index]
    const changed = now === undefined ? [] : differing(resources, now.resources)
    insist(changed.length === 0, `the Envoy of ${owner} was sent ${changed.join(', ')}, which is no business of its`)
    insist(now?.lastChange === lastChange, `the server sent something to ${owner} at ${now?.lastChange ?? '?'}`)
  }
}

function judgeObservability(before: Picture, after: Picture, {name}: Member): readonly string[] {
  const changed = differing(before.observability, after.observability)
  const foreign = changed.filter(key => !key.includes(name))
  insist(foreign.length === 0, `the observability Envoy was sent ${foreign.join(', ')}, beside what ${name} needs`)
  insist(changed.length > 0, `the observability Envoy was sent nothing`)
  return changed
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
