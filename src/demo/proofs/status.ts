/** Reads `atlas status` for the proofs. */
import type {Status} from '../../lib/ops/status.js'
import type {Network} from '../network.js'
import {waitFor} from '../lab/wait.js'

/** Runs `atlas status` once. */
export async function askStatus({context}: Network): Promise<Status> {
  return context.atlas.json<Status>('status')
}

/**
 * Waits until every owner has a proxy that has acknowledged its whole configuration.
 * @returns that status
 */
export async function untilSynced(network: Network): Promise<Status> {
  const owners = [network.observability, ...network.members.map(({envoy}) => envoy)].map(({owner}) => owner)
  return waitFor(
    'every proxy to be synced',
    async () => {
      const status = await askStatus(network)
      const lagging = owners.filter(owner => !status.proxies.some(({cluster, state}) => cluster === owner && state === 'synced'))
      if (lagging.length === 0) return status
      throw new Error(`not yet: ${lagging.join(', ')}`)
    },
    {signal: network.context.signal, timeoutMs: 60_000},
  )
}
