/** What strangers write into ConfigMaps that Atlas reads: it costs their entry, never the fleet. */
import {gzipSync} from 'node:zlib'
import {expect} from 'chai'
import {encodeOnto} from '../../src/lib/manifest/encode.js'
import {decodeEntry, entriesOf} from '../../src/lib/manifest/decode.js'
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import {digestOf} from '../../src/lib/manifest/pack-report.js'
import {decodeReport, encodeReport} from '../../src/lib/manifest/report.js'
import {decodeRegistration} from '../../src/lib/manifest/registration.js'
import {parseRecord, renderRecord} from '../../src/lib/manifest/record.js'
import {shardOf} from '../../src/lib/manifest/layout.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {objectNames, parseClusterName} from '../../src/lib/model/names.js'
import {thrownBy} from '../helpers/thrown.js'
import type {Report} from '../../src/lib/model/report.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'

const paris = parseClusterName('paris')
const fleet = testFleet(testDependencies(), ['paris'])
const report: Report = {
  format: 1,
  at: '2026-11-25T00:00:00.000Z',
  startedAt: '2026-11-25T00:00:00.000Z',
  address: '127.0.0.1:6305',
  ready: true,
  reasons: [],
  warnings: [],
  store: {description: 'x', reachable: true},
  tls: {certificate: 'aa', trust: 'bb', identities: 'cc'},
  proxies: [
    {
      cluster: paris,
      id: 'paris-0',
      sequence: 7,
      variant: 'delta',
      path: 'relay',
      connectedSince: '2026-11-25T00:00:00.000Z',
      types: [{type: 'Cluster', state: 'nack', sent: 2, acknowledged: 1, nack: 'no', nackNames: ['a']}],
      credential: {sha256: 'aa'},
      equalIds: 1,
    },
  ],
  absent: [
    {cluster: paris, id: 'paris-1', since: '2026-11-25T00:00:00.000Z'},
    {cluster: paris, id: 'paris-2', since: '2026-11-25T00:00:00.000Z', leftWithServer: true},
  ],
  withoutProxy: ['atlas'],
  refusals: [{at: '2026-11-25T00:00:00.000Z', reason: 'generation', message: 'old', peer: '127.0.0.1:1'}],
  unrepaired: [{cluster: paris, id: 'paris-0', names: {Cluster: ['a']}}],
  faults: [{subject: 'identity/paris', object: 'Secret/x', key: 'data.paris', message: 'broken'}],
}
const leftovers = [{cluster: paris, id: 'paris-0', typeUrl: 'x', sent: ['a'], removed: []}]

function configMap(name: string, data: Record<string, string>): Manifest {
  return {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name, labels: {'app.kubernetes.io/managed-by': 'atlas'}}, data}
}

function packed(value: unknown): Manifest {
  return {
    ...configMap('atlas-proxies-x', {digest: 'd'}),
    binaryData: {'report.json.gz': gzipSync(JSON.stringify(value)).toString('base64')},
  }
}

describe('manifest: what strangers write', () => {
  it('a registration with an address that no connection can be made to, or with too many, is refused, and one that was accepted before stays', () => {
    const text = (address: string): string => {
      const record = fleet.records.get(paris)
      if (record?.registration === undefined) throw new Error('the fixture has a record with a registration')
      return renderRecord({...record, registration: {...record.registration, addresses: parseAddresses(address)}})
    }
    expect(parseRecord(paris, text('0.0.0.0')).registration?.addresses[0]?.host).to.equal('0.0.0.0')
    const service = (addresses: string): Manifest => {
      const {labels, annotations} = (JSON.parse(text(addresses)) as {registration: Pick<Manifest['metadata'], 'annotations' | 'labels'>})
        .registration
      const metadata = {name: paris, ...(labels === undefined ? {} : {labels}), ...(annotations === undefined ? {} : {annotations})}
      return {apiVersion: 'v1', kind: 'Service', metadata}
    }
    const many = Array.from({length: 15_000}, (_, index) => `a${index}.example`).join(',')
    expect(parseRecord(paris, text(many)).registration?.addresses).to.have.length(15_000)
    expect(thrownBy(() => decodeRegistration(service(many))).message).to.include('at most 64 addresses; cluster "paris" has 15000')
    expect(thrownBy(() => decodeRegistration(service('0.0.0.0'))).message).to.include(
      'a connection can be made to; 0.0.0.0 is in 0.0.0.0/8',
    )
  })

  it('an entry in a shard that is not its owner’s says nothing there, and is named', () => {
    const change = {kind: 'record', owner: paris, value: fleet.records.get(paris)} as const
    const own = encodeOnto(undefined, change, 'atlas')
    const text = own?.data?.['paris'] ?? ''
    const wrong = objectNames.records((shardOf('paris') + 1) % 32)
    const [entry, ...others] = entriesOf(configMap(wrong, {paris: text}))
    if (entry === undefined) throw new Error('no entry')
    expect(others).to.deep.equal([])
    const found = decodeEntry(entry, `ConfigMap/${wrong}`, undefined)
    expect(found).to.include({kind: 'fault', subject: `object/ConfigMap/${wrong}/paris`})
    expect(entriesOf(configMap(objectNames.records(shardOf('paris')), {paris: text})).map(({subject}) => subject)).to.deep.equal([
      'record/paris',
    ])
  })

  it('a record denies its owner’s names alone', () => {
    const record = fleet.records.get(paris)
    if (record === undefined) throw new Error('no record')
    const until = '2027-01-01T00:00:00.000Z'
    const denying = (name: string): string => renderRecord({...record, denied: [{name, until}]})
    expect(parseRecord(paris, denying('spiffe://atlas.internal/ads-client/paris/1')).denied).to.have.length(1)
    for (const name of [
      'spiffe://atlas.internal/ads-client/lyon/1',
      'spiffe://atlas.internal/observability',
      'spiffe://atlas.internal/downstream/paris/1/x',
      'spiffe:///ads-client/paris/1',
    ])
      expect(() => parseRecord(paris, denying(name)), name).to.throw(/name of paris/)
  })

  it('a report comes back as it was written', () => {
    const digest = digestOf(report, leftovers)
    const {binaryData, data} = encodeReport({report, leftovers, digest})
    expect(decodeReport({...configMap('atlas-proxies-a', data), binaryData})).to.deep.equal({report, leftovers, digest})
  })

  it('times that go on are nothing new; what a proxy refuses is', () => {
    const [proxy] = report.proxies
    if (proxy === undefined) throw new Error('no proxy')
    const later = {
      ...report,
      at: '2026-11-26T00:00:00.000Z',
      proxies: [{...proxy, connectedSince: '2026-11-26T00:00:00.000Z', sequence: 9}],
    }
    expect(digestOf(later, leftovers)).to.equal(digestOf(report, leftovers))
    const refusing = {...report, proxies: [{...proxy, types: []}]}
    expect(digestOf(refusing, leftovers)).not.to.equal(digestOf(report, leftovers))
  })

  for (const [what, value] of Object.entries({
    nothing: null,
    'no report': {leftovers},
    'a proxy that is null': {report: {...report, proxies: [null]}, leftovers},
    'a leftover that is null': {report, leftovers: [null]},
    'another format': {report: {...report, format: 2}, leftovers},
    'a cluster that can not be': {report: {...report, proxies: [{...report.proxies[0], cluster: '../x'}]}, leftovers},
    'a text without end': {report: {...report, address: 'x'.repeat(5000)}, leftovers},
    'a list without end': {report: {...report, warnings: Array.from({length: 100_000}, () => '')}, leftovers},
  }))
    it(`is no report: ${what}`, () => {
      expect(() => decodeReport(packed(value))).to.throw(/report of a server replica/)
    })

  it('what packs small and unpacks large is refused before it is unpacked', () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, '{},')).toString('base64')
    const before = process.memoryUsage().rss
    expect(() => decodeReport({...configMap('atlas-proxies-x', {}), binaryData: {'report.json.gz': bomb}})).to.throw(/report of a server/)
    expect(process.memoryUsage().rss - before).to.be.lessThan(128 * 1024 * 1024)
  })
})
