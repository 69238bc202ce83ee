/** A raw ADS client over real gRPC: sends the given requests, keeps the responses, and acknowledges none on its own. */
import {create, fromBinary, toBinary, type MessageInitShape} from '@bufbuild/protobuf'
import {Client, type ClientDuplexStream, Metadata, type StatusObject, credentials} from '@grpc/grpc-js'
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from '../../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import type {CertifiedKey} from '../../../src/lib/model/authority.js'

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'

export interface ClientOptions {
  readonly address: string
  readonly roots: string
  readonly key?: CertifiedKey
  readonly serverName?: string
  readonly metadata?: Readonly<Record<string, string>>
}

/** A connection of its own. */
export interface Connection {
  readonly client: Client
  /** @param instead the metadata of this stream, instead of the connection's */
  readonly delta: (instead?: Readonly<Record<string, string>>) => DeltaClient
  readonly sotw: () => SotwClient
  close(): void
}

export type DeltaClient = TestStream<MessageInitShape<typeof DeltaDiscoveryRequestSchema>, DeltaDiscoveryResponse>
export type SotwClient = TestStream<MessageInitShape<typeof DiscoveryRequestSchema>, DiscoveryResponse>

export interface TestStream<Request, Response> {
  readonly responses: readonly Response[]
  send(request: Request): void
  /** Resolves with the next response that was not taken yet. @throws Error after the time limit, and when the stream has ended without one */
  next(timeoutMs?: number): Promise<Response>
  /** Resolves with what ended the stream. */
  readonly status: Promise<StatusObject>
  readonly call: ClientDuplexStream<unknown, Response>
  cancel(): void
}

/** A wait for a response counts turns of the event loop this long, milliseconds: in a pause of this process neither client nor server does anything. */
const TURN = 10

let serial = 0

export function connect({address, roots, key, serverName = 'ads.atlas.internal', metadata = {}}: ClientOptions): Connection {
  serial += 1
  const tls = credentials.createSsl(
    Buffer.from(roots),
    key === undefined ? null : Buffer.from(key.key.reveal()),
    key === undefined ? null : Buffer.from(key.certificate),
  )
  const client = new Client(address, tls, {
    'grpc.ssl_target_name_override': serverName,
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.primary_user_agent': `test-${serial}`,
    'grpc.max_receive_message_length': -1,
  })
  const head = (fields = metadata): Metadata => {
    const result = new Metadata()
    for (const [name, value] of Object.entries(fields)) result.add(name, value)
    return result
  }

  return {
    client,
    delta: instead =>
      stream(
        client.makeBidiStreamRequest(
          `${service}DeltaAggregatedResources`,
          request => Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request as object))),
          bytes => fromBinary(DeltaDiscoveryResponseSchema, bytes),
          head(instead),
        ),
      ),
    sotw: () =>
      stream(
        client.makeBidiStreamRequest(
          `${service}StreamAggregatedResources`,
          request => Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, request as object))),
          bytes => fromBinary(DiscoveryResponseSchema, bytes),
          head(),
        ),
      ),
    close() {
      client.close()
    },
  }
}

function stream<Request, Response>(call: ClientDuplexStream<unknown, Response>): TestStream<Request, Response> {
  const responses: Response[] = []
  let taken = 0
  let isOver = false
  let wake: (() => void) | undefined
  call.on('data', (response: Response) => {
    responses.push(response)
    wake?.()
  })
  call.on('error', () => undefined)
  const status = new Promise<StatusObject>(resolve => {
    call.on('status', found => {
      isOver = true
      resolve(found)
      wake?.()
    })
  })
  return {
    responses,
    call,
    status,
    send: request => call.write(request),
    async next(timeoutMs = 20_000) {
      for (let left = timeoutMs; responses.length <= taken; left -= TURN) {
        // A timer would keep the process from ending.
        if (isOver) throw new Error('the stream has ended, and there was no further response')
        if (left <= 0) throw new Error(`no response within ${timeoutMs} ms`)
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, Math.min(TURN, left))
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }

      const response = responses[taken] as Response
      taken += 1
      return response
    },
    cancel() {
      call.cancel()
    },
  }
}
