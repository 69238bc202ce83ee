/**
 * The least that a Node server does for the streams of a fleet: TLS 1.3 with certificates on both sides, HTTP/2, grpc-js, one request of
 * each type decoded and answered with the same bytes each time. It decides nothing and knows no fleet. What `atlas serve` takes beyond
 * this is its own: `npm run bench -- --bare --nodes 1000`.
 */
import {fromBinary, toBinary, create} from '@bufbuild/protobuf'
import {type ServerDuplexStream, Server, ServerCredentials} from '@grpc/grpc-js'
import {createSecureContext, createServer} from 'node:tls'
import {monitorEventLoopDelay} from 'node:perf_hooks'
import {DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema} from '../src/gen/envoy/service/discovery/v3/discovery_pb.js'

/** The message from the bench: what the server shows and trusts, PEM, and how many bytes a response of each type has. */
export interface BareMaterial {
  readonly certificate: string
  readonly key: string
  readonly anchors: readonly string[]
  readonly port: number
  readonly bytes: number
}

type Call = ServerDuplexStream<Buffer, Buffer>

process.once('message', ({certificate, key, anchors, port, bytes}: BareMaterial) => {
  const context = createSecureContext({cert: certificate, key, ca: [...anchors], allowPartialTrustChain: true, minVersion: 'TLSv1.3'})
  // Pings as often as `defaultConnectionTimes` has them, whose modules would be loaded with it.
  const grpc = new Server({'grpc.enable_channelz': 0, 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 10_000})
  const bare = (value: Buffer): Buffer => value
  const method = {
    path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
    requestStream: true as const,
    responseStream: true as const,
    requestSerialize: bare,
    requestDeserialize: bare,
    responseSerialize: bare,
    responseDeserialize: bare,
  }
  const answers = new Map<string, Buffer>()
  const answer = (typeUrl: string): Buffer => {
    const known = answers.get(typeUrl)
    if (known !== undefined) return known
    const resources = [{name: 'all', version: '1', resource: {typeUrl, value: new Uint8Array(bytes)}}]
    const made = Buffer.from(toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, {typeUrl, nonce: '1', resources})))
    answers.set(typeUrl, made)
    return made
  }
  grpc.addService(
    {deltaAggregatedResources: method},
    {
      deltaAggregatedResources(call: Call) {
        call.on('error', () => undefined)
        call.on('data', (request: Buffer) => {
          const {typeUrl, responseNonce} = fromBinary(DeltaDiscoveryRequestSchema, request)
          if (responseNonce === '') call.write(answer(typeUrl))
        })
      },
    },
  )
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
  const tls = createServer({
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
    SNICallback: (_name, done) => done(null, context),
  })
  tls.on('secureConnection', socket => {
    socket.on('error', () => undefined)
    injector.injectConnection(socket)
  })
  tls.on('tlsClientError', () => undefined)
  const delay = monitorEventLoopDelay({resolution: 5})
  tls.listen(port, '127.0.0.1', () => {
    delay.enable()
    process.send?.('open')
  })
  process.on('message', () => {
    process.send?.(delay.max / 1e6 - 5)
    // It wakes the process 200 times a second, which would be most of an idle minute.
    delay.disable()
  })
})
