/** ADS over plain HTTP/2, for what no gRPC client does. */
import {type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders, type Settings, connect as connectHttp2} from 'node:http2'
import {connect as connectTls} from 'node:tls'
import {create, toBinary} from '@bufbuild/protobuf'
import {DeltaDiscoveryRequestSchema} from '../../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import type {Owner} from '../../../src/lib/model/names.js'
import {type Network, need} from './network.js'

export interface RawConnection {
  readonly session: ClientHttp2Session
  /** A delta stream whose flow-control window is 1000 bytes. */
  open(): ClientHttp2Stream
}

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** A connection with the ADS credential of `owner`. @param headers of every stream */
export async function rawConnection(network: Network, owner: string, headers: OutgoingHttpHeaders = {}): Promise<RawConnection> {
  const session = await rawSession(network, owner, {initialWindowSize: 1000})
  return {
    session,
    open() {
      const stream = session.request({':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers})
      stream.on('error', () => undefined)
      return stream
    },
  }
}

/** An HTTP/2 session to the ADS port with the ADS credential of `owner`. */
export async function rawSession(network: Network, owner: string, settings: Settings = {}): Promise<ClientHttp2Session> {
  const [host = '', port = ''] = network.serving.address.split(':')
  const {certificate, key} = need(network.store.fleet().credentials.get(owner as Owner))
  const ca = need(network.store.fleet().trust).roots.join('')
  const session = connectHttp2('https://ads.atlas.internal', {
    settings,
    createConnection: () =>
      connectTls({
        host,
        port: Number(port),
        servername: 'ads.atlas.internal',
        ca,
        ALPNProtocols: ['h2'],
        cert: certificate,
        key: key.reveal(),
      }),
  })
  session.on('error', () => undefined)
  await new Promise(resolve => session.once('connect', resolve))
  return session
}

/** A message as gRPC frames it. */
export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

export function requestFrame(init: object): Buffer {
  return frame(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)))
}
