/** Finds addresses that no program uses and reserves them for this process: tries to bind one block of addresses after the other. */
import {createSocket} from 'node:dgram'
import {type Server, createServer} from 'node:net'
import type {HostPort} from '../../lib/model/address.js'
import {AtlasError} from '../../lib/model/errors.js'
import {holderOf} from './port-holder.js'
import {BLOCKS, type SiteLayout, type Sites, planSites, tcpPorts} from './sites.js'

export interface ReservedSites {
  readonly sites: Sites
  release(): Promise<void>
}

/** Whether this machine has all addresses of 127.0.0.0/8, as Linux has; macOS has only 127.0.0.1. */
export async function hasManyLoopbackAddresses(): Promise<boolean> {
  const [server, error] = await listen({host: planSites('own', 0, 0).observability.address, port: 0})
  await close(server)
  return error?.code !== 'EADDRNOTAVAIL'
}

/**
 * Reserves the first block of addresses that is wholly free, by a listening socket, which the kernel closes when this process ends.
 * @throws AtlasError `conflict`, naming a busy port and its owner, when no block is free
 */
export async function reserveSites(layout: SiteLayout, downstreams: number): Promise<ReservedSites> {
  const busy: Busy[] = []
  for (let block = 0; block < BLOCKS; block += 1) {
    const sites = planSites(layout, block, downstreams)
    const [server, error] = await listen(sites.lock)
    const taken = error === undefined ? await findBusy(sites) : {...sites.lock, protocol: 'tcp' as const, reason: error.message}
    if (taken === undefined) return {sites, release: () => close(server)}
    await close(server)
    busy.push(taken)
  }

  throw busyError(busy)
}

interface Busy extends HostPort {
  readonly protocol: 'tcp' | 'udp'
  readonly reason: string
}

async function findBusy(sites: Sites): Promise<Busy | undefined> {
  for (const hostPort of tcpPorts(sites)) {
    const [server, error] = await listen(hostPort)
    await close(server)
    if (error !== undefined) return {...hostPort, protocol: 'tcp', reason: error.message}
  }

  const dns = {host: sites.observability.address, port: sites.observability.ports.dns}
  const reason = await udpFault(dns)
  return reason === undefined ? undefined : {...dns, protocol: 'udp', reason}
}

type ListenError = NodeJS.ErrnoException | undefined

async function listen({host, port}: HostPort): Promise<[Server, ListenError]> {
  const server = createServer()
  const error = await new Promise<ListenError>(resolve => {
    server.once('error', resolve)
    server.listen({host, port, exclusive: true}, () => {
      resolve(undefined)
    })
  })
  server.unref()
  return [server, error]
}

async function close(server: Server): Promise<void> {
  if (server.listening) await new Promise(resolve => server.close(resolve))
}

async function udpFault({host, port}: HostPort): Promise<string | undefined> {
  const socket = createSocket('udp4')
  return new Promise(resolve => {
    socket.once('error', error => {
      socket.close(() => {
        resolve(error.message)
      })
    })
    socket.bind({address: host, port, exclusive: true}, () => {
      socket.close(() => {
        resolve(undefined)
      })
    })
  })
}

/** Names the port that is busy in every block, since its owner listens on all addresses; else the first busy one. */
function busyError(busy: readonly Busy[]): AtlasError {
  const everywhere = busy.find(({port, protocol}) => busy.every(other => other.port === port && other.protocol === protocol))
  const named = everywhere ?? busy[0]
  if (named === undefined) return new AtlasError('conflict', 'no free addresses are left for the demo')
  const where = everywhere === undefined ? `${named.host}:${named.port}` : `${named.port} (on every address)`
  const holder = holderOf(named)
  return new AtlasError(
    'conflict',
    `the demo needs ${named.protocol.toUpperCase()} port ${where}, but it is busy${holder}: ${named.reason}`,
    {hint: 'stop that program, or try --one-address, which uses other ports; a killed demo frees its ports within 10 s'},
  )
}
