import {expect} from 'chai'
import {defaultPages, refusalOf} from '../../src/lib/model/page.js'
import {testCluster} from '../helpers/fleet.js'

describe('model/page', () => {
  it('refusalOf() looks at every replica', () => {
    const cluster = (host: string, replicas: number, pages = defaultPages) => {
      const {services} = testCluster('paris')
      return testCluster('paris', {services: {...services, prometheus: {host, port: 9090}}, replicas, pages})
    }
    expect(refusalOf(cluster('12{replica}.0.0.1', 7), 'prom')).to.equal(undefined)
    expect(refusalOf(cluster('12{replica}.0.0.1', 8), 'prom')).to.equal('a loopback address')
    expect(refusalOf(cluster('169.25{replica}.169.254', 5), 'prom')).to.equal('a link-local address')
    expect(refusalOf(cluster('12{replica}.0.0.1', 8, {...defaultPages, allowLocalTargets: true}), 'prom')).to.equal(undefined)
  })
})
