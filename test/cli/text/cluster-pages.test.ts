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
    expect(pageAddresses(paris, {...on, pagesByPath: false})?.prom).to.deep.equal({url: 'https://paris.prom.web.example/'})
    expect(pageAddresses(paris, {...on, webDomain: undefined})?.alertmanager).to.deep.equal({path: '/alertmanager/paris/'})
    expect(pageAddresses(paris, {webDomain: undefined, pagesByPath: false})).to.equal(undefined)
    expect(pageAddresses({...paris, addresses: []}, on)).to.equal(undefined)
    expect(pageAddressFields(pageAddresses(paris, on))).to.include({
      'prom page': 'paris.prom.web.example/, /prom/paris/',
      pages:
        'on port 10904 of the observability Envoy, by http; with https where an ingress or login proxy in front of it has a certificate',
    })
    expect(pageAddressFields(undefined)).to.deep.equal({})
  })

  it('of Thanos are the metrics of a sidecar, which has no page at its root; those of another Thanos are where the registration says', () => {
    const on = {webDomain: 'web.example', pagesByPath: true}
    const [name, path] = ['paris.thanos.web.example/', '/thanos/paris/']
    const url = `https://${name}`
    const sidecar = pageAddresses(paris, on)
    expect(sidecar?.thanos).to.deep.equal({url: `${url}metrics`, path: `${path}metrics`, metricsOnly: true})
    expect(pageAddressFields(sidecar))
      .to.include({'thanos metrics': `${name}metrics, ${path}metrics`})
      .and.not.have.property('thanos page')
    const withPages = [
      {...defaultPages, thanosHttpPort: 19_192},
      {...defaultPages, paths: {...defaultPages.paths, thanos: '/query'}},
    ]
    for (const pages of withPages) {
      const query = pageAddresses({...paris, pages}, on)
      expect(query?.thanos).to.deep.equal({url, path})
      expect(pageAddressFields(query)).to.include({'thanos page': `${name}, ${path}`})
    }
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
