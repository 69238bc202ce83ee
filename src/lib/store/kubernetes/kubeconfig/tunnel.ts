/** Connections through a proxy, up to where TLS or HTTP with the API server begins: CONNECT, SOCKS 5, or to the proxy itself for plain HTTP. */
import {type Socket, connect as connectTcp} from 'node:net'
import {type ConnectionOptions, connect as connectTls} from 'node:tls'
import {type Proxy, addressOf, bare, portOf, proxyAuthorization} from './proxy.js'
import {requestSocks} from './socks.js'

/** Not imported, as in plain-agent.ts. */
const {request} = process.getBuiltinModule('node:http')

/** After this, milliseconds, a proxy that has not answered counts as failed. */
const LIMIT = 30_000

/**
 * A connection for requests to `server`.
 * @param tls how TLS with the API server is verified: TLS with an https:// proxy is verified in the same way, as in Go
 */
export async function openTunnel(server: URL, proxy: Proxy, tls: ConnectionOptions): Promise<Socket> {
  const socket = connectProxy(proxy, tls)
  const limit = setTimeout(() => socket.destroy(new Error(`no answer within ${LIMIT / 1000} s`)), LIMIT)
  try {
    await connected(socket)
    const target = {host: bare(server.hostname), port: portOf(server)}
    if (proxy.url.protocol.startsWith('socks')) await requestSocks(socket, proxy, target)
    else if (server.protocol === 'https:') await requestTunnel(socket, proxy, target)
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(limit)
  }
}

function connectProxy(proxy: Proxy, tls: ConnectionOptions): Socket {
  const address = addressOf(proxy)
  if (proxy.url.protocol !== 'https:') return connectTcp(address)
  return connectTls({...tls, ...address})
}

/** After the handshake, for TLS. */
async function connected(socket: Socket & {readonly encrypted?: boolean}): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(socket.encrypted === true ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject)
      resolve()
    })
    socket.once('error', reject)
  })
}

async function requestTunnel(socket: Socket, proxy: Proxy, {host, port}: {readonly host: string; readonly port: number}): Promise<void> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    const connect = request({
      method: 'CONNECT',
      path: authority,
      headers: {host: authority, ...proxyAuthorization(proxy)},
      createConnection: () => socket,
    })
    connect.once('error', reject)
    connect.once('connect', ({statusCode, statusMessage}) => {
      if (statusCode === 200) resolve()
      else reject(new Error(`it answers ${String(statusCode)} ${statusMessage ?? ''}`.trimEnd()))
    })
    connect.end()
  })
}
