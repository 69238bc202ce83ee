/** What server replicas tell each other: when a report says something new. */
import {expect} from 'chai'
import {digestOf} from '../../src/lib/manifest/report.js'
import type {RefusalReport, Report} from '../../src/lib/model/report.js'

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
