/** Binds a server to its address, or says which process has it. What is served there is decided by its caller: mtls/listener.ts, admin.ts. */
import type {Server} from 'node:net'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import {AtlasError} from '../lib/model/errors.js'
import {holderInProc, renderHolder} from './port-holder.js'

export interface ListenPlace {
  /** For messages, such as `ADS port`. */
  readonly name: string
  /** The flag that chooses the address. */
  readonly flag: string
  /** The command that tells the observability Envoy another address. */
  readonly toldBy?: string
}

/**
 * Listens; port 0 takes any free one. `::` stands for every address of this machine: where the machine has no IPv6 it is 0.0.0.0. Any other
 * IPv6 address is an error there.
 * @throws AtlasError `failed` where the address can't be bound
 */
export async function listenOn(server: Server, at: HostPort, place: ListenPlace): Promise<void> {
  const error = await failureOf(server, at)
  if (error === undefined) return
  if (at.host === '::' && error.code === 'EAFNOSUPPORT') {
    await listenOn(server, {...at, host: '0.0.0.0'}, place)
    return
  }

  const hint = hintOf(error.code, at, place)
  throw new AtlasError('failed', `the ${place.name} ${renderHostPort(at)} can't be opened: ${error.message}`, {
    cause: error,
    ...(hint !== undefined && {hint}),
  })
}

/** Undefined once the server listens. */
async function failureOf(server: Server, {host, port}: HostPort): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise(resolve => {
    const ended = (error?: NodeJS.ErrnoException): void => {
      server.off('error', ended).off('listening', ended)
      resolve(error)
    }
    server.once('error', ended).once('listening', ended)
    server.listen(port, host)
  })
}

function hintOf(code: string | undefined, {host, port}: HostPort, {flag, toldBy}: ListenPlace): string | undefined {
  switch (code) {
    case 'EADDRINUSE': {
      // For every address, a program that listens on a single one is in the way, such as the demo. If it listens on all, no address is free.
      const oneAddress = ['::', '0.0.0.0'].includes(host)
        ? `; if the other one listens on a single address, one that it leaves free is enough here, such as ${flag} 127.0.0.1:${port}, which other machines do not reach`
        : ''
      const told = toldBy === undefined ? '' : `; where the Envoy here is to connect is set by "${toldBy}"`
      const holder = renderHolder(holderInProc({host, port, protocol: 'tcp'}))
      const whose = holder === '' ? ', such as another "atlas serve" or a demo: end it (ss -ltnp shows it)' : `${holder}: end it`
      return `another program uses that port${whose}, or choose another port with ${flag}${oneAddress}${told}`
    }

    case 'EADDRNOTAVAIL': {
      return `this machine does not have that address: choose one of its own with ${flag}, or all of them with ${flag} 0.0.0.0:${port}`
    }

    case 'EAFNOSUPPORT': {
      return `this machine has no IPv6: ${flag} 0.0.0.0:${port} listens on all its addresses`
    }

    case 'EACCES': {
      return `ports below 1024 need a right that this user lacks: choose a higher one with ${flag}`
    }

    default: {
      return undefined
    }
  }
}
