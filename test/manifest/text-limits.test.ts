/** That real readers take what is within the limits: test/charts/coredns.kubernetes.test.ts, test/server/text-limits.kubernetes.test.ts. */
import {expect} from 'chai'
import {renderEndpoints} from '../../src/lib/manifest/endpoints.js'
import {CONFIG_MAP_MAX, DNS_ANSWER_MAX, whyEndpointsTooLong, whyNameTooLong} from '../../src/lib/manifest/text-limits.js'
import {zoneNames} from '../../src/lib/manifest/zone.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {type Settings, defaultSettings} from '../../src/lib/model/settings.js'
import {fleetOf} from '../envoy/fixture.js'
import {testCluster} from '../helpers/fleet.js'

const fleetOfSize = (size: number, settings: Settings = defaultSettings) =>
  fleetOf(
    Array.from({length: size}, (_, index) => testCluster(`cluster-${String(index).padStart(5, '0')}`)),
    {settings},
  )
const zoneOf = (size: number): string => zoneNames(fleetOfSize(size), defaultSettings, undefined)[0]?.records ?? ''
const bytesOf = (size: number, settings?: Settings): number => Buffer.byteLength(renderEndpoints(fleetOfSize(size, settings)))

describe('manifest/text-limits', () => {
  it('a zone is too long by its longest answer: 73 bytes for each of these replicas', () => {
    const most = Math.floor(DNS_ANSWER_MAX / 73)
    expect(most).to.equal(895)
    expect(whyNameTooLong(zoneOf(most))).to.equal(undefined)
    expect(whyNameTooLong(zoneOf(most + 1))).to.include('its answer would have 65408 bytes for 896 replicas, and DNS carries 65400')
  })

  it('also where one of its two names has more records than the other, as one that was taken over may have', () => {
    const lines = zoneOf(896).split('\n')
    const grpc = lines.filter(line => line.startsWith('_grpc')).length
    expect(grpc).to.equal(896)
    const half = lines.filter(line => !line.startsWith('_grpc') || line.includes('cluster-00000')).join('\n')
    expect(whyNameTooLong(half)).to.include('896 replicas')
  })

  it('endpoints are too long from the first byte beyond the limit of a ConfigMap on', () => {
    const text = `endpoints:\n- address: a:1\n${'#'.repeat(CONFIG_MAP_MAX)}`
    expect(whyEndpointsTooLong(text.slice(0, CONFIG_MAP_MAX))).to.equal(undefined)
    expect(whyEndpointsTooLong(text.slice(0, CONFIG_MAP_MAX + 1))).to.include(
      'it would have 1048577 bytes for 1 replicas, and a ConfigMap holds 1048576',
    )
    expect(whyEndpointsTooLong(`${text.slice(0, CONFIG_MAP_MAX - 1)}ä`), 'bytes, not letters').to.include('1048577 bytes')
  })

  it('an endpoint costs as many bytes as docs/reference/limits.md states', () => {
    const perEndpoint = (settings?: Settings): number => (bytesOf(1100, settings) - bytesOf(100, settings)) / 1000
    expect(perEndpoint()).to.equal(71)
    expect(perEndpoint({...defaultSettings, endpointTemplate: '{service}:10901'})).to.equal(47)
    expect(perEndpoint({...defaultSettings, clients: [parseInternalClient('thanos')], internalTls: [10_901]})).to.equal(93)
  })

  it('a reason fits into the annotation of a Lease, whose texts are cut after 300 characters', () => {
    expect(whyNameTooLong(zoneOf(20_000))?.length).to.be.within(200, 300)
    expect(whyEndpointsTooLong(renderEndpoints(fleetOfSize(20_000)))?.length).to.be.within(200, 300)
  })
})
