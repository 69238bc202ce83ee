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
import {type Input, openSession, step} from '../../src/lib/xds/session.js'
import type {Snapshot} from '../../src/lib/xds/snapshot.js'
import {shortType} from '../../src/lib/xds/type-url.js'
import {adsService} from '../../src/server/ads/service.js'

export interface AdsServer {
  /** The Envoy's requests, and `TYPE NAME` of all that was sent, since the present stream began. */
  requests: DeltaDiscoveryRequest[]
  sent: string[]
  /** What the next streams serve. */
  snapshot: Snapshot
  /** Resources, as `TYPE NAME`, that are never written. */
  withheld: ReadonlySet<string>
  /** Ends all streams; the Envoy opens the next one soon. */
  breakStreams(): void
  close(): void
}

/** Listens without TLS. */
export async function serveAds({host, port}: HostPort, first: Snapshot): Promise<AdsServer> {
  const server = new grpc.Server()
  const calls = new Set<grpc.ServerDuplexStream<Buffer, Buffer>>()
  const ads: AdsServer = {
    requests: [],
    sent: [],
    snapshot: first,
    withheld: new Set(),
    breakStreams() {
      for (const call of calls) call.emit('error', {code: grpc.status.UNAVAILABLE, details: 'the test breaks the stream'})
    },
    close: () => server.forceShutdown(),
  }
  const serve = (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    calls.add(call)
    ads.requests = []
    ads.sent = []
    let session = openSession('delta')
    const take = (input: Input): void => {
      const result = step(session, input, new Date())
      session = result.session
      if (result.send?.$typeName !== 'envoy.service.discovery.v3.DeltaDiscoveryResponse') return
      const response = withoutWithheld(result.send, ads.withheld)
      ads.sent.push(...response.resources.map(({name}) => `${shortType(response.typeUrl)} ${name}`))
      // An empty response is written where nothing was withheld from it.
      if (response.resources.length > 0 || response === result.send)
        call.write(Buffer.from(toBinary(DeltaDiscoveryResponseSchema, response)))
      take({kind: 'writable'})
    }
    call.on('data', (bytes: Buffer) => {
      const request = fromBinary(DeltaDiscoveryRequestSchema, bytes)
      ads.requests.push(request)
      take({kind: 'request', request})
    })
    for (const event of ['end', 'error', 'cancelled']) call.on(event, () => calls.delete(call))
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
