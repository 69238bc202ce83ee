/** `cluster list` as text. */
import {expect} from 'chai'
import {renderList} from '../../../src/lib/cli/text/cluster.js'

describe('cli/text/cluster', () => {
  it('a row shows three addresses and counts the others, and whether an Envoy is connected', () => {
    const addresses = Array.from({length: 64}, (_, index) => `198.51.100.${index}`)
    const row = (differing: object): string =>
      renderList([{name: 'paris', state: 'registered', generation: 1, replicas: 1, ...differing}]).split('\n')[1] ?? ''
    expect(row({addresses})).to.equal('paris  registered  unknown    198.51.100.0,198.51.100.1,198.51.100.2 and 61 more  1')
    expect(row({addresses: addresses.slice(0, 3), connected: true})).to.match(/ yes +198\.51\.100\.0,198\.51\.100\.1,198\.51\.100\.2 +1$/)
    expect(row({addresses: [], connected: false})).to.match(/ no +- +1$/)
  })
})
