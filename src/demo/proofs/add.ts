/** Proof: a cluster that is added to the running network is reachable within seconds, and only the Envoys concerned receive an update. */
import type {HostPort} from '../../lib/model/address.js'
import type {ClusterName} from '../../lib/model/names.js'
import {adsBytesReceived, differing, dumpedResources} from '../lab/envoy-admin.js'
import type {RunningEnvoy} from '../envoys.js'
import {type Backend, type Member, type Network, joinCluster} from '../network.js'
import {insist} from '../proof.js'
import type {DownstreamSite} from '../lab/sites.js'
import {untilAnswered, untilReachable} from './paths.js'
import {counted, seconds} from '../format.js'
import {askStatus, untilSynced} from './status.js'

export interface Newcomer {
  readonly name: ClusterName
  readonly site: DownstreamSite
  /** The running server behind its Envoy. */
  readonly backend: Backend
}

/** @param query Thanos Query; without it the proof ends at the Envoys */
export async function addWhileRunning(network: Network, {name, site, backend}: Newcomer, query: HostPort | undefined): Promise<string> {
  const others = network.members.map(({envoy}) => envoy)
  await untilSynced(network)
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
  await untilSynced(network)
  const after = await picture(network, others)
  const idleBytes = judgeOthers(before, after)
  const gained = judgeObservability(before, after, member)
  const bytes = after.observability.bytes - before.observability.bytes
  const appeared = query === undefined ? '' : `, and its series in Thanos Query after ${seconds(answered)}`
  return `${name} answered through both Envoys ${seconds(reachable)} after "cluster add" began${appeared}; over ADS the observability Envoy received ${bytes} bytes (${gained.join(', ')}), the Envoys of the ${counted(others.length, 'other cluster')} no resource and ${counted(idleBytes, 'byte')}`
}

/** What one Envoy has received so far. */
interface Received {
  readonly owner: string
  readonly resources: ReadonlyMap<string, string>
  readonly bytes: number
  /** When the server last sent it something, as `status` reports. */
  readonly lastChange: string
}

interface Picture {
  readonly observability: Received
  readonly others: readonly Received[]
}

/** HTTP/2 pings and their answers stay below this during the proof. */
const PING_BYTES = 300

async function picture(network: Network, others: readonly RunningEnvoy[]): Promise<Picture> {
  const {proxies} = await askStatus(network)
  const received = async ({owner, admin}: RunningEnvoy): Promise<Received> => ({
    owner,
    resources: await dumpedResources(admin),
    bytes: await adsBytesReceived(admin),
    lastChange: proxies.find(({cluster}) => cluster === owner)?.lastChange ?? 'never',
  })
  return {observability: await received(network.observability), others: await Promise.all(others.map(async envoy => received(envoy)))}
}

/** @returns the largest number of bytes that one of them received: pings */
function judgeOthers(before: Picture, after: Picture): number {
  const grown = before.others.map((was, index) => {
    const now = after.others[index] ?? was
    const changed = differing(was.resources, now.resources)
    insist(changed.length === 0, `the Envoy of ${was.owner} received ${changed.join(', ')}, which does not concern it`)
    insist(now.lastChange === was.lastChange, `the server sent something to ${was.owner} at ${now.lastChange}`)
    return now.bytes - was.bytes
  })
  const most = Math.max(0, ...grown)
  insist(most <= PING_BYTES, `an Envoy that is not concerned received ${most} bytes`)
  return most
}

function judgeObservability(before: Picture, after: Picture, {name}: Member): readonly string[] {
  const changed = differing(before.observability.resources, after.observability.resources)
  const foreign = changed.filter(key => !key.includes(name))
  insist(foreign.length === 0, `the observability Envoy received ${foreign.join(', ')}, which ${name} does not need`)
  insist(changed.length > 0, 'the observability Envoy received no resource')
  return changed
}
