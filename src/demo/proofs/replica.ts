/** Proof: a replica that dies is reported for itself alone, and the cluster's other replica goes on answering. */
import {type HostPort, renderHostPort} from '../../lib/model/address.js'
import {sidecarName} from '../../lib/model/names.js'
import {counted, listed} from '../format.js'
import {callOnce, grpcCodes, openPlain} from '../lab/grpc.js'
import {healthCall, serveStandIn} from '../lab/health.js'
import {storesOf} from '../lab/query-api.js'
import {waitFor} from '../lab/wait.js'
import type {MonitoringPrograms} from '../monitoring.js'
import {type Member, type Network, authorityOf, thanosAddress} from '../network.js'
import {startPrometheus} from '../prometheus.js'
import {startSidecar} from '../thanos.js'
import {envoyPath, untilAnswered} from './paths.js'

/** A target of its own beside the cluster's sidecar: replicas of one target share a port, which one address for all does not allow. */
const TARGET = 'second'

const WAIT_MS = 60_000

/** Gives `member` a second replica, waits until it answers, and kills it. */
export async function replicaDies(
  network: Network,
  member: Member,
  {query, programs}: {readonly query: HostPort | undefined; readonly programs: MonitoringPrograms | undefined},
): Promise<string> {
  const {context} = network
  const {signal} = context
  const replica = await startReplica(network, member, programs)
  try {
    const {address, ports} = context.sites.secondReplica
    const grpc = renderHostPort({host: address, port: ports.sidecarGrpc})
    await context.atlas.run('cluster', 'add', member.name, '--thanos', `${TARGET}=${grpc}`)
    const service = sidecarName(member.name, 0, TARGET)
    const authority = authorityOf(context, service)
    const statusIs = async (wanted: number): Promise<true | undefined> => {
      const {grpcStatus} = await callOnce(openPlain(thanosAddress(context)), healthCall(authority))
      if (grpcStatus === wanted) return true
      throw new Error(`it answers gRPC status ${grpcStatus ?? 'none'}`)
    }
    await waitFor(`${service} to answer`, async () => statusIs(grpcCodes.ok), {signal, timeoutMs: WAIT_MS})
    if (query !== undefined) await untilHealth(query, service, {healthy: true, signal})
    await replica.kill()
    const begin = performance.now()
    await waitFor(`${service} to be unavailable`, async () => statusIs(grpcCodes.unavailable), {signal, timeoutMs: WAIT_MS})
    const time = Math.ceil(performance.now() - begin)
    const names = network.members.map(({name}) => name)
    const said = `the second replica of ${member.name} was killed: ${time} ms later its name, ${service}, answered UNAVAILABLE`
    await envoyPath(network)
    if (query === undefined) return `${said}; ${listed(names)} answer as before`
    const others = await untilHealth(query, service, {healthy: false, signal})
    await untilAnswered(network, query, names)
    return `${said}, and Thanos Query shows that endpoint alone as down; its ${counted(others, 'other endpoint')} and PromQL with series of ${listed(names)} answer as before`
  } finally {
    await replica.stop()
    await context.atlas.run('cluster', 'add', member.name, '--thanos', 'none')
  }
}

interface Replica {
  kill(): Promise<void>
  /** Stops what is left of it. */
  stop(): Promise<void>
}

async function startReplica({context}: Network, {name, site}: Member, programs: MonitoringPrograms | undefined): Promise<Replica> {
  const {address, ports} = context.sites.secondReplica
  const at = (port: number): HostPort => ({host: address, port})
  if (programs === undefined) {
    const standIn = await serveStandIn(at(ports.sidecarGrpc), name)
    return {kill: standIn.close, stop: async () => undefined}
  }

  const place = {cluster: name, replica: 1, listen: at(ports.prometheus), alerts: {host: site.address, port: site.ports.alerts}}
  const prometheus = await startPrometheus(place, programs.prometheus, context)
  const sidecar = await startSidecar(
    {prometheus: place, grpc: at(ports.sidecarGrpc), http: at(ports.sidecarHttp)},
    programs.thanos,
    context,
  )
  return {
    kill: async () => {
      await Promise.all([sidecar.kill(), prometheus.kill()])
    },
    stop: async () => {
      await Promise.all([sidecar.stop(), prometheus.stop()])
    },
  }
}

/** Waits until Thanos Query shows this endpoint as up, or as down and every other as up. @returns how many others there are */
async function untilHealth(
  query: HostPort,
  service: string,
  {healthy, signal}: {readonly healthy: boolean; readonly signal: AbortSignal},
): Promise<number> {
  return waitFor(
    `Thanos Query to show ${service} as ${healthy ? 'up' : 'down'}`,
    async () => {
      const stores = await storesOf(query)
      const own = stores.find(({name}) => name.includes(`/${service}.`))
      const others = stores.filter(store => store !== own)
      if (own === undefined || (own.error === '') !== healthy) throw new Error('not yet')
      const down = others.filter(({error}) => error !== '')
      if (down.length > 0) throw new Error(`${listed(down.map(({name}) => name))} are down, too`)
      return others.length
    },
    {signal, timeoutMs: WAIT_MS},
  )
}
