/** Names as people read them. */
import {expect} from 'chai'
import {byKey, byText, someOf, withMore} from '../../src/lib/model/listing.js'

describe('model/listing', () => {
  it('names a few, and says how many more there are, where there are more', () => {
    const names = ['lyon', 'oslo', 'rome']
    expect([0, 1, 2, 3, 4].map(most => someOf(names, most))).to.deep.equal([
      ' and 3 more',
      'lyon and 2 more',
      'lyon, oslo and 1 more',
      'lyon, oslo, rome',
      'lyon, oslo, rome',
    ])
    expect(someOf([], 3)).to.equal('')
    expect(someOf(names, 2, ',')).to.equal('lyon,oslo and 1 more')
    expect([withMore(['lyon'], 4), withMore(['lyon'], 0), withMore(['lyon'], -1)]).to.deep.equal(['lyon and 4 more', 'lyon', 'lyon'])
  })

  it('sorts by code unit, whatever the locale says, and leaves equal texts as they are', () => {
    expect(['b', 'ä', 'a', 'B', 'a'].sort(byText)).to.deep.equal(['B', 'a', 'a', 'b', 'ä'])
    expect([byText('a', 'a'), byText('a', 'b'), byText('b', 'a')]).to.deep.equal([0, -1, 1])
    const entries: [string, number][] = [
      ['b', 1],
      ['a', 2],
      ['a', 1],
    ]
    expect(entries.sort(byKey)).to.deep.equal([
      ['a', 2],
      ['a', 1],
      ['b', 1],
    ])
  })
})
