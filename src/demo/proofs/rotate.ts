/** Proofs under load: every leaf certificate is replaced, and the server is killed, and no request fails. */
import type {HostPort} from '../../lib/model/address.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {readKey} from '../../lib/pki/read.js'
import {allMtlsPorts} from '../mtls-ports.js'
import {certificatesOf, plainSerial} from '../lab/envoy-admin.js'
import type {RunningEnvoy} from '../envoys.js'
import {probeTls} from '../lab/tls-probe.js'
import {type Network, startServer} from '../network.js'
import {insist} from '../proof.js'
import {identityIn} from '../lab/certificates.js'
import {pause, waitFor} from '../lab/wait.js'
import {counted, seconds} from '../format.js'
import {underLoad} from './load.js'
import {untilSynced} from './status.js'

/** @param query Thanos Query, where there is one */
export async function rotateUnderLoad(network: Network, query: HostPort | undefined): Promise<string> {
  const {atlas, store, signal} = network.context
  const envoys = [network.observability, ...network.members.map(({envoy}) => envoy)]
  const {result, calm} = await underLoad(network, query, async () => {
    const before = await store.load()
    const begin = performance.now()
    await atlas.run('rotate')
    const after = await store.load()
    for (const envoy of envoys) await untilRenewed(envoy, before, after, signal)
    const time = seconds(performance.now() - begin)
    return {time, ports: await showsNewLeaves(network, after)}
  })
  return `all ${envoys.length} Envoys show new serial numbers in /certs, and none of the old, ${result.time} after "rotate" began; ${result.ports} ports show them to new connections; meanwhile ${calm}`
}

/** Kills the server and starts it again under load: the Envoys keep their configuration and reconnect. */
export async function serverKilled(network: Network, query: HostPort | undefined): Promise<string> {
  const {context} = network
  const {result, calm} = await underLoad(network, query, async () => {
    await network.server.kill()
    await pause(WITHOUT_SERVER_MS, context.signal)
    network.server = await startServer(context, network.endpoints)
    const [begin, back] = [performance.now(), Date.now()]
    const {proxies} = await untilSynced(network)
    const again = proxies.filter(({state}) => state === 'synced')
    // By the clock of the server: on a busy machine the command that shows it takes some seconds, too.
    for (const {cluster, connectedSince = ''} of again)
      insist(
        Date.parse(connectedSince) <= back + BACK_MS,
        `the Envoy of ${cluster} connected again at ${connectedSince || 'no time'}, too late`,
      )
    return {synced: again.length, time: seconds(performance.now() - begin)}
  })
  return `"atlas serve" was killed (SIGKILL) and started again: ${counted(result.synced, 'Envoy')} were connected and synced within ${result.time} of its return; meanwhile ${calm}`
}

const WITHOUT_SERVER_MS = 1500
/** Every Envoy must be connected again within this time. */
const BACK_MS = 10_000

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
    {signal, timeoutMs: 60_000},
  )
}

/** @returns how many ports show new connections the leaf certificate that the store holds */
async function showsNewLeaves(network: Network, fleet: Fleet): Promise<number> {
  const ports = allMtlsPorts(network, fleet).filter(({log}) => log !== undefined)
  const serials = [network.observability, ...network.members.map(({envoy}) => envoy)].map(({owner}) =>
    plainSerial(readKey(identityIn(fleet, owner)).serial),
  )
  for (const port of ports) {
    const {serial} = await probeTls(port, {certificate: port.admitted})
    insist(serials.includes(plainSerial(serial ?? '')), `${port.title} still shows serial ${serial ?? 'none'} to new connections`)
  }

  return ports.length
}
