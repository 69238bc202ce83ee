/** The web pages of a cluster in `cluster show` and `cluster add`. */
import {expect} from 'chai'
import {pageAddresses, pageAddressFields, pageFields} from '../../../src/lib/cli/text/cluster-pages.js'
import {defaultPages} from '../../../src/lib/model/page.js'
import {testCluster} from '../../helpers/fleet.js'

const paris = testCluster('paris')

describe('cli/text/cluster-pages', () => {
  it('are at a URL, at a path or at both, as the settings choose; nowhere before the cluster has an address', () => {
    const on = {webDomain: 'web.example', pagesByPath: true}
    expect(pageAddresses(paris, on)?.prom).to.deep.equal({url: 'https://paris.prom.web.example/', path: '/prom/paris/'})
    expect(pageAddresses(paris, {...on, pagesByPath: false})?.thanos).to.deep.equal({url: 'https://paris.thanos.web.example/'})
    expect(pageAddresses(paris, {...on, webDomain: undefined})?.alertmanager).to.deep.equal({path: '/alertmanager/paris/'})
    expect(pageAddresses(paris, {webDomain: undefined, pagesByPath: false})).to.equal(undefined)
    expect(pageAddresses({...paris, addresses: []}, on)).to.equal(undefined)
    expect(pageAddressFields(pageAddresses(paris, on))).to.include({'prom page': 'https://paris.prom.web.example/, /prom/paris/'})
    expect(pageAddressFields(undefined)).to.deep.equal({})
  })

  it('that are refused have a reason instead', () => {
    const local = {...paris, services: {...paris.services, alertmanager: {host: '127.0.0.1', port: 9093}}}
    const addresses = pageAddresses(local, {webDomain: 'web.example', pagesByPath: false})
    expect(addresses?.alertmanager).to.deep.equal({refused: 'its address is a loopback address'})
    expect(pageAddressFields(addresses)).to.include({'alertmanager page': 'refused: its address is a loopback address'})
    expect(addresses?.prom).to.have.property('url')
  })

  it('have fields, named as the flags, where the registration differs from the defaults', () => {
    expect(pageFields(paris)).to.deep.equal({})
    const paths = {...defaultPages.paths, prom: '/prometheus', thanos: '/t'}
    const pages = {thanosHttpPort: 19_191, paths, allowAdmin: true, allowSilences: false, allowLocalTargets: true}
    expect(pageFields({...paris, pages})).to.deep.equal({
      'thanos-http-port': '19191',
      'page-path': 'prom=/prometheus, thanos=/t',
      'allow-admin': 'yes',
      'allow-silences': 'no',
      'allow-local-targets': 'yes',
    })
  })
})
