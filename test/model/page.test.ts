import {expect} from 'chai'
import {defaultPages, refusalOf} from '../../src/lib/model/page.js'
import {testCluster} from '../helpers/fleet.js'

describe('model/page', () => {
  it('refusalOf() names what is local: names, loopback, link-local and metadata addresses, and ports of the Envoy itself', () => {
    const why = (host: string, port = 9090, moved?: ReadonlyMap<number, number>): string | undefined => {
      const {services} = testCluster('paris')
      return refusalOf(testCluster('paris', {services: {...services, prometheus: {host, port}}}), 'prom', moved)
    }
    for (const host of ['localhost', 'a.localhost', 'a.b.localhost.', 'ip6-loopback', 'metadata.google.internal', 'instance-data'])
      expect(why(host), host).to.equal('a name of the machine itself, or of its metadata service')
    for (const host of ['127.0.0.1', '127.255.1.2', '::1']) expect(why(host), host).to.equal('a loopback address')
    for (const host of ['169.254.1.1', '169.254.169.254', 'fe80::1', 'fe80::a:b', 'febf::1'])
      expect(why(host), host).to.equal('a link-local address')
    for (const host of ['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254'])
      expect(why(host), host).to.equal('the address of a metadata service')
    for (const port of [11_901, 11_902, 11_903, 11_904, 10_903, 9902])
      expect(why('prometheus.x', port), String(port)).to.equal('a port on which the downstream Envoy listens')
    expect(why('prometheus.x', 21_904)).to.equal(undefined)
    expect(why('prometheus.x', 21_904, new Map([[11_904, 21_904]]))).to.equal('a port on which the downstream Envoy listens')
    for (const host of ['prometheus.x', 'localhost.example', '128.0.0.1', '169.253.1.1', 'fec0::1', '2001:db8::1', '100.100.100.201'])
      expect(why(host), host).to.equal(undefined)
  })

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
