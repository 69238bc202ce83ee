/** What `atlas status` says of the proxies, as the proofs read it. */
import type {Status} from '../../lib/ops/status.js'
import type {Network} from '../network.js'
import {waitFor} from '../lab/wait.js'

/** Asks for the status once. */
export async function askStatus({context}: Network): Promise<Status> {
  return context.atlas.json<Status>('status')
}

/**
 * Waits until each of these owners has a proxy that has acknowledged all that it was sent.
 * @returns the status that says so
 */
export async function untilSynced(network: Network, timeoutMs: number): Promise<Status> {
  const owners = [network.observability, ...network.members.map(({envoy}) => envoy)].map(({owner}) => owner)
  return waitFor(
    'every proxy to be synced',
    async () => {
      const status = await askStatus(network)
      const lagging = owners.filter(owner => !status.proxies.some(({cluster, state}) => cluster === owner && state === 'synced'))
      if (lagging.length === 0) return status
      throw new Error(`not yet: ${lagging.join(', ')}`)
    },
    {signal: network.context.signal, timeoutMs},
  )
}
