/** A process that attacks a server with the ADS credential of one registered cluster, as `attack.ts` orders; it receives nothing but the order. */
import {type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2} from 'node:http2'
import {connect as connectTcp} from 'node:net'
import {connect as connectTls} from 'node:tls'
import {gzipSync} from 'node:zlib'
import {create, toBinary} from '@bufbuild/protobuf'
import {DeltaDiscoveryRequestSchema} from '../src/gen/envoy/service/discovery/v3/discovery_pb.js'

/** Each attack by its name. */
export const attacks = ['messages', 'compressed', 'refused', 'nacks', 'connections', 'unread', 'streams'] as const
export type Attack = (typeof attacks)[number]

/** The order to this process. */
export interface Order {
  readonly attack: Attack
  readonly host: string
  readonly port: number
  readonly serverName: string
  readonly cluster: string
  readonly certificate: string
  readonly key: string
  readonly roots: string
}

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret'
const CONNECTIONS = 10_500
const SESSIONS = 8

function frame(message: Uint8Array, isCompressed = false): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(isCompressed ? 1 : 0, 0)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

function encode(request: object): Uint8Array {
  return toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request))
}

function run({attack, host, port, serverName, cluster, certificate, key, roots}: Order): void {
  if (attack === 'connections') {
    // One that is closed comes back a second later.
    const hold = (): void =>
      void connectTcp({host, port})
        .on('error', () => undefined)
        .on('close', () => setTimeout(hold, 1000))
    for (let count = 0; count < CONNECTIONS; count += 1) hold()
    return
  }

  const dial = (): ClientHttp2Session =>
    connectHttp2(`https://${serverName}`, {
      createConnection: () => connectTls({host, port, servername: serverName, ca: roots, cert: certificate, key, ALPNProtocols: ['h2']}),
    }).on('error', () => undefined)
  // 10900 allows few streams on one connection.
  const sessions = Array.from({length: SESSIONS}, dial)
  let opened = 0
  const node = {cluster, id: `${cluster}-attacker`}
  const open = (headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream => {
    opened += 1
    const at = opened % SESSIONS
    let session = sessions[at] ?? dial()
    if (session.closed || session.destroyed) session = dial()
    sessions[at] = session
    const stream = session.request({':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers})
    stream.on('error', () => undefined)
    return stream
  }

  const large = encode({node: {...node, metadata: {list: Array.from({length: 1_000_000}, () => true)}}, typeUrl: SECRET})
  const first = frame(encode({node, typeUrl: SECRET, resourceNamesSubscribe: ['identity']}))
  switch (attack) {
    case 'messages': {
      setInterval(() => open().resume().write(frame(large)), 1000)
      break
    }

    case 'compressed': {
      const packed = frame(gzipSync(large), true)
      setInterval(() => open({'grpc-encoding': 'gzip'}).resume().write(packed), 1000)
      break
    }

    case 'refused': {
      const other = frame(encode({node: {...node, cluster: 'c0'}, typeUrl: SECRET}))
      setInterval(() => {
        for (let count = 0; count < 15; count += 1) open().resume().write(other)
      }, 100)
      break
    }

    case 'nacks': {
      const stream = open()
      stream.write(first)
      let nonce = 0
      stream.on('data', () => {
        nonce += 1
        const names = ['identity']
        stream.write(frame(encode({typeUrl: SECRET, responseNonce: String(nonce), errorDetail: {code: 13, message: `no ${nonce}`}})))
        stream.write(frame(encode({typeUrl: SECRET, resourceNamesUnsubscribe: names})))
        stream.write(frame(encode({typeUrl: SECRET, resourceNamesSubscribe: names})))
      })
      break
    }

    case 'unread': {
      open().pause().write(first)
      break
    }

    case 'streams': {
      for (let count = 0; count < 64; count += 1) open().resume().write(first)
    }
  }
}

process.once('message', run)
process.on('disconnect', () => process.exit(0))
