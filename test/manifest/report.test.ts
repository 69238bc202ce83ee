/** What server replicas tell each other: when a report says something new. */
import {expect} from 'chai'
import {gunzipSync} from 'node:zlib'
import {digestOf, packReport} from '../../src/lib/manifest/pack-report.js'
import type {ProxyReport, RefusalReport, Report} from '../../src/lib/model/report.js'

const refusal: RefusalReport = {
  at: '2026-11-24T00:00:00.000Z',
  reason: 'not-registered',
  message: 'cluster "paris" is not registered',
  peer: '198.51.100.4:40001',
}

const report: Report = {
  format: 1,
  at: '2026-11-24T00:00:00.000Z',
  startedAt: '2026-11-23T00:00:00.000Z',
  address: '[::]:6305',
  ready: true,
  reasons: [],
  warnings: [],
  store: {description: 'namespace atlas', reachable: true},
  proxies: [],
  withoutProxy: [],
  refusals: [refusal],
  unrepaired: [],
  faults: [],
}

describe('the digest of a report', () => {
  it('is the same when the same one is refused again, later and from another port: that alone is no reason to write', () => {
    const later = {...refusal, at: '2026-11-24T00:00:04.000Z', peer: '198.51.100.4:40002'}
    const again = {...report, at: '2026-11-24T00:00:04.000Z', refusals: [refusal, later]}
    expect(digestOf(again, [])).to.equal(digestOf(report, []))
  })

  it('is another when another client is refused, or for another reason', () => {
    const other = {...refusal, reason: 'generation', message: 'the credential of "paris" is of generation 1; the present one is 2'}
    expect(digestOf({...report, refusals: [refusal, other]}, [])).not.to.equal(digestOf(report, []))
  })
})

describe('a packed report', () => {
  const proxy = (index: number, sequence = index): ProxyReport => ({
    cluster: 'atlas',
    id: `node "${String(index)}"`,
    sequence,
    variant: 'delta',
    path: 'relay',
    connectedSince: '2026-11-24T00:00:00.000Z',
    types: [{type: 'Cluster', state: 'synced', sent: 1, acknowledged: 1}],
    credential: {sha256: 'aa'},
    equalIds: 1,
  })

  for (const count of [0, 1, 64, 65, 200])
    it(`of ${count} proxies is its JSON, whatever was packed before`, () => {
      for (const last of [1, 2]) {
        const proxies = Array.from({length: count}, (_, index) => proxy(index, index === count - 1 ? last : index))
        const leftovers = [{cluster: 'atlas' as const, id: 'x', types: {}}] as never
        const text = gunzipSync(packReport({report: {...report, proxies}, leftovers, digest: ''})).toString()
        expect(JSON.parse(text)).to.deep.equal({report: {...report, proxies}, leftovers})
      }
    })

  it('has the digest of its content without times', () => {
    const of = (...proxies: readonly ProxyReport[]): string => digestOf({...report, proxies}, [])
    expect(of(proxy(1, 7))).to.equal(of(proxy(1, 8)))
    expect(of(proxy(1))).not.to.equal(of(proxy(2)))
    expect(of(proxy(1), proxy(2))).not.to.equal(of(proxy(1)))
  })
})
