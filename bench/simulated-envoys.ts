/**
 * A process with many simulated Envoys: each has its own connection, speaks delta ADS as Envoy does (legacy wildcard for
 * clusters and listeners, names for secrets, `initial_resource_versions` after a reconnect), acknowledges all, and measures.
 */
import {fromBinary, toBinary} from '@bufbuild/protobuf'
import {create} from '@bufbuild/protobuf'
import * as grpc from '@grpc/grpc-js'
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {openTurns} from '../src/server/ads/turns.js'

const T = 'type.googleapis.com/'
const CDS = `${T}envoy.config.cluster.v3.Cluster`
const LDS = `${T}envoy.config.listener.v3.Listener`
const RDS = `${T}envoy.config.route.v3.RouteConfiguration`
const SRDS = `${T}envoy.config.route.v3.ScopedRouteConfiguration`
const SDS = `${T}envoy.extensions.transport_sockets.tls.v3.Secret`
const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** The messages from the bench to this process. */
export interface Fleet {
  readonly kind: 'fleet'
  readonly retryMs: number
  /** Pauses between attempts are random and double up to this, as Envoy's; default: each is `retryMs`. */
  readonly retryMaxMs?: number
  /** How many nodes open their first stream at a time; default: all. */
  readonly openAtOnce?: number
  readonly nodes: readonly {
    readonly cluster: string
    readonly id: string
    /** HOST:PORT of ADS, and the name on its certificate. */
    readonly address: string
    readonly serverName: string
    readonly certificate: string
    readonly key: string
    readonly roots: string
    readonly secrets: readonly string[]
    readonly routes: readonly string[]
  }[]
}

/** After `hold` no stream is opened; after `release` each node that has none opens one at a random time within `retryMaxMs`. */
export interface Pause {
  readonly kind: 'hold' | 'release'
}

/** The messages from this process to the bench; `at` is the machine's monotonic clock in milliseconds. */
export type Event =
  | {readonly kind: 'connected'; readonly count: number}
  | {
      readonly kind: 'received'
      readonly cluster: string
      readonly type: string
      readonly at: number
      readonly bytes: number
      readonly resources: number
      readonly removed: number
    }
  | {readonly kind: 'ready'; readonly cluster: string; readonly at: number}

/**
 * When a server comes back, thousands of nodes of this process open a stream within seconds. An Envoy of its own answers the pings of the
 * observability Envoy meanwhile; without turns this process would not within their 5 s, lose all connections, and spend minutes on handshakes.
 */
const turns = openTurns()

const now = (): number => Number(process.hrtime.bigint() / 1000n) / 1000

class SimulatedEnvoy {
  #call: grpc.ClientDuplexStream<Buffer, {response: DeltaDiscoveryResponse; bytes: number}> | undefined
  readonly #client: grpc.Client
  readonly #known = new Map<string, Map<string, string>>()
  #waiting = new Set<string>()
  #failures = 0
  #isHeld = false
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly fleet: Fleet,
    private readonly node: Fleet['nodes'][number],
    private readonly tell: (event: Event) => void,
    /** Called once, when the node is configured for the first time. */
    private configured: () => void,
  ) {
    const credentials = grpc.credentials.createSsl(Buffer.from(node.roots), Buffer.from(node.key), Buffer.from(node.certificate))
    this.#client = new grpc.Client(node.address, credentials, {
      'grpc.ssl_target_name_override': node.serverName,
      'grpc.default_authority': node.serverName,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': fleet.retryMs,
      'grpc.min_reconnect_backoff_ms': fleet.retryMs,
      'grpc.max_reconnect_backoff_ms': fleet.retryMs,
      'grpc.max_receive_message_length': 64 << 20,
    })
  }

  open(): void {
    const call = this.#client.makeBidiStreamRequest<Buffer, {response: DeltaDiscoveryResponse; bytes: number}>(
      METHOD,
      bytes => bytes,
      bytes => ({response: fromBinary(DeltaDiscoveryResponseSchema, bytes), bytes: bytes.length}),
    )
    this.#call = call
    // What it has of secrets and route tables it works with; no response follows where that is what is wanted.
    this.#waiting = new Set(this.#types().filter(type => !this.#hasAll(type)))
    call.on('error', () => undefined)
    // 'close' waits for both directions; the status arrives when the server has ended the stream.
    call.on('status', () => this.#again(call))
    call.on('data', ({response, bytes}: {response: DeltaDiscoveryResponse; bytes: number}) => this.#receive(response, bytes))
    for (const type of this.#types()) this.#subscribe(type)
  }

  #types(): readonly string[] {
    const scopes = this.node.cluster === 'atlas' ? [SRDS] : []
    return [CDS, LDS, ...scopes, SDS, RDS]
  }

  #namesOf(type: string): readonly string[] {
    return type === SDS ? this.node.secrets : type === RDS ? this.node.routes : []
  }

  #hasAll(type: string): boolean {
    const names = this.#namesOf(type)
    return names.length > 0 && names.every(name => this.#known.get(type)?.has(name))
  }

  #subscribe(type: string): void {
    const names = this.#namesOf(type)
    this.#send({
      node: {id: this.node.id, cluster: this.node.cluster},
      typeUrl: type,
      resourceNamesSubscribe: [...names],
      initialResourceVersions: Object.fromEntries(this.#known.get(type) ?? []),
    })
  }

  #receive(response: DeltaDiscoveryResponse, bytes: number): void {
    const known = this.#known.get(response.typeUrl) ?? new Map<string, string>()
    this.#known.set(response.typeUrl, known)
    for (const {name, version} of response.resources) known.set(name, version)
    for (const name of response.removedResources) known.delete(name)
    this.#send({typeUrl: response.typeUrl, responseNonce: response.nonce})
    const {length: resources} = response.resources
    this.tell({
      kind: 'received',
      cluster: this.node.cluster,
      type: response.typeUrl.slice(response.typeUrl.lastIndexOf('.') + 1),
      at: now(),
      bytes,
      resources,
      removed: response.removedResources.length,
    })
    this.#failures = 0
    if (!this.#waiting.delete(response.typeUrl) || this.#waiting.size > 0) return
    this.tell({kind: 'ready', cluster: this.node.cluster, at: now()})
    this.configured()
    this.configured = () => undefined
  }

  #send(request: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]): void {
    this.#call?.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request))))
  }

  #again(call: unknown): void {
    if (this.#call !== call) return
    this.#call = undefined
    if (this.#isHeld) return
    const {retryMs, retryMaxMs} = this.fleet
    const pause = retryMaxMs === undefined ? retryMs : Math.random() * Math.min(retryMaxMs, retryMs * 2 ** this.#failures)
    this.#failures += 1
    this.#openAfter(pause)
  }

  hold(): void {
    this.#isHeld = true
    clearTimeout(this.#timer)
  }

  release(): void {
    this.#isHeld = false
    if (this.#call === undefined) this.#openAfter(Math.random() * (this.fleet.retryMaxMs ?? 0))
  }

  #openAfter(pauseMs: number): void {
    this.#timer = setTimeout(() => {
      turns.add(() => {
        if (!this.#isHeld && this.#call === undefined) this.open()
      })
    }, pauseMs)
  }
}

/** Events are sent in batches: a message for each would slow down the measured work. */
function batches(): (event: Event) => void {
  let batch: Event[] = []
  return event => {
    if (batch.length === 0)
      setImmediate(() => {
        process.send?.(batch)
        batch = []
      })
    batch.push(event)
  }
}

process.once('message', (fleet: Fleet) => {
  const tell = batches()
  const envoys = fleet.nodes.map(node => new SimulatedEnvoy(fleet, node, tell, () => openNext()))
  const unopened = envoys[Symbol.iterator]()
  const openNext = (): void => unopened.next().value?.open()
  for (let opened = 0; opened < (fleet.openAtOnce ?? envoys.length); opened += 1) openNext()
  process.on('message', ({kind}: Pause) => {
    for (const envoy of envoys) envoy[kind]()
  })
})
process.on('disconnect', () => process.exit(0))
