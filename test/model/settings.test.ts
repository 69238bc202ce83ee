/** Settings that follow from others. */
import {expect} from 'chai'
import {parseHostPort, renderHostPort} from '../../src/lib/model/address.js'
import {type Settings, defaultSettings, pagesServersOf} from '../../src/lib/model/settings.js'

const pagesOf = (chosen: Partial<Settings>) => pagesServersOf({...defaultSettings, ...chosen}).map(each => renderHostPort(each))

describe('model/settings', () => {
  it('the web pages are asked for beside the ADS servers, at the next port, unless chosen', () => {
    const adsServers = ['10.0.0.5:6305', '10.0.0.5:16305', '[2001:db8::5]:7000'].map(text => parseHostPort(text))
    expect(pagesOf({})).to.deep.equal(['atlas-ads.atlas.svc.cluster.local:6306'])
    expect(pagesOf({namespace: 'monitoring', clusterDomain: 'corp.local'})).to.deep.equal(['atlas-ads.monitoring.svc.corp.local:6306'])
    expect(pagesOf({adsServers})).to.deep.equal(['10.0.0.5:6306', '10.0.0.5:16306', '[2001:db8::5]:7001'])
    expect(pagesOf({adsServers, pagesServers: [parseHostPort('10.0.0.9:7306')]})).to.deep.equal(['10.0.0.9:7306'])
  })
})
