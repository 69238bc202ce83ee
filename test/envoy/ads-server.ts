/** A small ADS server for one real Envoy: sessions as Atlas's own have them, and a test decides what is withheld and when a stream breaks. */
import {fromBinary, toBinary} from '@bufbuild/protobuf'
import * as grpc from '@grpc/grpc-js'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {type Input, type Step, openSession, step} from '../../src/lib/xds/session.js'
import type {Snapshot} from '../../src/lib/xds/snapshot.js'
import {shortType} from '../../src/lib/xds/type-url.js'
import {adsService} from '../../src/server/ads/service.js'

export interface AdsServer {
  /** The Envoy's requests, and `TYPE NAME` of all that was sent, since the present stream began. */
  requests: DeltaDiscoveryRequest[]
  sent: string[]
  /** What the next streams serve. */
  snapshot: Snapshot
  /** What was sent and answered since the present stream began, in order: `+thanos` and `-thanos` of a response, `ACK`, `NACK: message`. */
  events: AdsEvent[]
  /** Resources, as `TYPE NAME`, that are never written. */
  withheld: ReadonlySet<string>
  /** Open streams serve this from now on, and the next ones too. */
  push(snapshot: Snapshot): void
  /** Ends all streams; the Envoy opens the next one soon. */
  breakStreams(): void
  close(): void
}

export interface AdsEvent {
  /** As `Listener`. */
  readonly type: string
  readonly text: string
  /** What made the server send it: a request, a time that was over, a new snapshot; or that the Envoy has sent it. */
  readonly cause: Input['kind']
}

/** Listens without TLS. */
export async function serveAds({host, port}: HostPort, first: Snapshot): Promise<AdsServer> {
  const server = new grpc.Server()
  const calls = new Map<grpc.ServerDuplexStream<Buffer, Buffer>, (input: Input) => void>()
  const ads: AdsServer = {
    requests: [],
    sent: [],
    snapshot: first,
    events: [],
    withheld: new Set(),
    push(snapshot) {
      ads.snapshot = snapshot
      for (const take of calls.values()) take({kind: 'snapshot', snapshot})
    },
    breakStreams() {
      for (const call of calls.keys()) call.emit('error', {code: grpc.status.UNAVAILABLE, details: 'the test breaks the stream'})
    },
    close: () => server.forceShutdown(),
  }
  const serve = (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    ads.requests = []
    ads.sent = []
    ads.events = []
    let session = openSession('delta')
    let wake: NodeJS.Timeout | undefined
    const take = (input: Input, cause: Input['kind'] = input.kind): void => {
      const result = step(session, input, new Date())
      session = result.session
      clearTimeout(wake)
      if (result.wakeAt !== undefined) wake = setTimeout(() => take({kind: 'wake'}), Math.max(0, result.wakeAt.getTime() - Date.now()))
      if (!write(result.send, cause)) return
      take({kind: 'writable'}, cause)
    }
    const write = (send: Step['send'], cause: Input['kind']): boolean => {
      if (send?.$typeName !== 'envoy.service.discovery.v3.DeltaDiscoveryResponse') return false
      const response = withoutWithheld(send, ads.withheld)
      const type = shortType(response.typeUrl)
      ads.sent.push(...response.resources.map(({name}) => `${type} ${name}`))
      const texts = [...response.resources.map(({name}) => `+${name}`), ...response.removedResources.map(name => `-${name}`)]
      ads.events.push(...texts.map(text => ({type, text, cause})))
      // An empty response is written where nothing was withheld from it.
      if (response.resources.length > 0 || response === send) call.write(Buffer.from(toBinary(DeltaDiscoveryResponseSchema, response)))
      return true
    }
    calls.set(call, take)
    call.on('data', (bytes: Buffer) => {
      const request = fromBinary(DeltaDiscoveryRequestSchema, bytes)
      ads.requests.push(request)
      const {typeUrl, responseNonce, errorDetail} = request
      const text = errorDetail === undefined ? 'ACK' : `NACK: ${errorDetail.message}`
      if (responseNonce !== '') ads.events.push({type: shortType(typeUrl), text, cause: 'request'})
      take({kind: 'request', request})
    })
    const end = (): void => {
      clearTimeout(wake)
      calls.delete(call)
    }
    for (const event of ['end', 'error', 'cancelled']) call.on(event, end)
    take({kind: 'snapshot', snapshot: ads.snapshot})
  }
  server.addService({deltaAggregatedResources: adsService.deltaAggregatedResources}, {deltaAggregatedResources: serve})
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), error => (error === null ? resolve() : reject(error))),
  )
  return ads
}

function withoutWithheld(response: DeltaDiscoveryResponse, withheld: ReadonlySet<string>): DeltaDiscoveryResponse {
  const resources = response.resources.filter(({name}) => !withheld.has(`${shortType(response.typeUrl)} ${name}`))
  return resources.length === response.resources.length ? response : {...response, resources}
}

/** The bootstrap of an Envoy that reads everything from such a server. */
export function adsBootstrap({admin, ads}: {readonly admin: HostPort; readonly ads: HostPort}): object {
  return {
    node: {id: 'atlas-0', cluster: 'atlas'},
    admin: {address: {socket_address: {address: admin.host, port_value: admin.port}}},
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{envoy_grpc: {cluster_name: 'xds', retry_policy: {retry_back_off: {base_interval: '0.1s', max_interval: '0.2s'}}}}],
      },
      cds_config: {resource_api_version: 'V3', ads: {}},
      lds_config: {resource_api_version: 'V3', ads: {}},
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: {http2_protocol_options: {}},
            },
          },
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ads.host, port_value: ads.port}}}}]}],
          },
        },
      ],
    },
  }
}
