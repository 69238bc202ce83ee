import {expect} from 'chai'
import {BLOCKS, DOWNSTREAMS_MAX, type SiteLayout, planSites, tcpPorts} from '../../../src/demo/lab/sites.js'
import {thrownBy} from '../../helpers/thrown.js'

describe('demo/sites', () => {
  it('gives each host its own address and the real ports', () => {
    const sites = planSites('own', 0, 2)
    expect(sites.observability).to.deep.include({address: '127.63.1.1'})
    expect(sites.observability.ports).to.deep.include({ads: 10_900, thanos: 10_901, server: 6305})
    expect(sites.downstreams.map(site => site.address)).to.deep.equal(['127.63.1.11', '127.63.1.12'])
    expect(sites.downstreams[0]?.ports.thanos).to.equal(11_901)
  })

  it('uses 127.0.0.1 and other ports with layout one', () => {
    const sites = planSites('one', 0, 3)
    expect(new Set(tcpPorts(sites).map(({host}) => host))).to.deep.equal(new Set(['127.0.0.1']))
  })

  for (const layout of ['own', 'one'] as SiteLayout[])
    it(`never uses an address and port twice, in any block (${layout})`, () => {
      const places = Array.from({length: BLOCKS}, (_, block) => planSites(layout, block, DOWNSTREAMS_MAX)).flatMap(sites => [
        sites.lock,
        ...tcpPorts(sites),
      ])
      const texts = places.map(({host, port}) => `${host}:${port}`)
      expect(new Set(texts).size).to.equal(texts.length)
    })

  it('stays below the ports of outgoing connections', () => {
    const ports = tcpPorts(planSites('one', BLOCKS - 1, DOWNSTREAMS_MAX)).map(({port}) => port)
    expect(Math.max(...ports)).to.be.below(32_768)
  })

  it('names the largest possible number of clusters', () => {
    expect(thrownBy(() => planSites('own', 0, DOWNSTREAMS_MAX + 1)).message).to.contain(String(DOWNSTREAMS_MAX))
  })
})
