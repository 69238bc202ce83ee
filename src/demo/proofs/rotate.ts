/** Proofs under load: all leaves are issued anew, and the server is killed, and no request notices. */
import type {HostPort} from '../../lib/model/address.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {readKey} from '../../lib/pki/read.js'
import {allDoors} from '../doors.js'
import {certificatesOf, plainSerial} from '../envoy-admin.js'
import type {RunningEnvoy} from '../envoys.js'
import {knock} from '../knock.js'
import {type Network, startServer} from '../network.js'
import {insist} from '../proof.js'
import {identityIn} from '../visitors.js'
import {pause, waitFor} from '../wait.js'
import {counted, seconds} from '../words.js'
import {startNetworkLoad} from './load.js'
import {untilSynced} from './status.js'

/** How long the load runs before and after. */
const AROUND_MS = 1500

/** @param query Thanos Query, where there is one */
export async function rotateUnderLoad(network: Network, query: HostPort | undefined): Promise<string> {
  const {atlas, store, signal} = network.stage
  const envoys = [network.observability, ...network.members.map(({envoy}) => envoy)]
  const before = await store.load()
  const load = startNetworkLoad(network, query)
  await pause(AROUND_MS, signal)
  const begin = performance.now()
  await atlas.run('rotate')
  const after = await store.load()
  for (const envoy of envoys) await untilRenewed(envoy, before, after, signal)
  const time = seconds(performance.now() - begin)
  const shown = await showsNewLeaves(network, after)
  await pause(AROUND_MS, signal)
  const calm = await load.stop()
  return `all ${envoys.length} Envoys show new serial numbers in /certs, and none of the old, ${time} after "rotate" began; ${shown} ports show them to new connections; meanwhile ${calm}`
}

/** The server is killed and started again under load: Envoys go on with what they have, and come back to it. */
export async function serverKilled(network: Network, query: HostPort | undefined): Promise<string> {
  const {stage} = network
  const load = startNetworkLoad(network, query)
  await pause(AROUND_MS, stage.signal)
  await network.server.kill()
  await pause(AROUND_MS, stage.signal)
  network.server = await startServer(stage, network.endpoints)
  const begin = performance.now()
  const {proxies} = await untilSynced(network, 10_000)
  const synced = proxies.filter(({state}) => state === 'synced')
  const time = seconds(performance.now() - begin)
  const calm = await load.stop()
  return `"atlas serve" was killed (SIGKILL) and started again: ${counted(synced.length, 'Envoy')} were connected and synced within ${time} of its return; meanwhile ${calm}`
}

async function untilRenewed({owner, admin}: RunningEnvoy, before: Fleet, after: Fleet, signal: AbortSignal): Promise<void> {
  const [old, wanted] = [before, after].map(fleet => plainSerial(readKey(identityIn(fleet, owner)).serial))
  insist(old !== wanted, `"rotate" left the identity of ${owner} as it was`)
  await waitFor(
    `the Envoy of ${owner} to show its new certificate`,
    async () => {
      const serials = (await certificatesOf(admin)).map(({serial}) => serial)
      if (old !== undefined && serials.includes(old)) throw new Error('it still shows the old one')
      return wanted !== undefined && serials.includes(wanted) ? true : undefined
    },
    {signal, timeoutMs: 10_000},
  )
}

/** How many doors show the leaf that the store holds to a new visitor. */
async function showsNewLeaves(network: Network, fleet: Fleet): Promise<number> {
  const doors = allDoors(network, fleet).filter(({log}) => log !== undefined)
  const serials = [network.observability, ...network.members.map(({envoy}) => envoy)].map(({owner}) =>
    plainSerial(readKey(identityIn(fleet, owner)).serial),
  )
  for (const door of doors) {
    const {serial} = await knock(door, {certificate: door.rightful})
    insist(serials.includes(plainSerial(serial ?? '')), `${door.title} still shows serial ${serial ?? 'none'} to new connections`)
  }

  return doors.length
}
