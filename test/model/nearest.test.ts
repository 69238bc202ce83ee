/** Which known word was meant: the nearest, and none where too much differs. */
import {expect} from 'chai'
import {nearest} from '../../src/lib/model/nearest.js'

describe('model/nearest', () => {
  it('is the known word with the fewest letters that differ', () => {
    expect(nearest('adress', ['port', 'address', 'addresses'], 2)).to.equal('address')
    expect(nearest('address', ['addresses', 'address'], 2)).to.equal('address')
  })

  it('is none where more letters differ than may, or than half of the text has', () => {
    expect(nearest('adres', ['addresses'], 3)).to.equal(undefined)
    expect(nearest('adres', ['addresses'], 4)).to.equal(undefined)
    expect(nearest('adresse', ['addresses'], 2)).to.equal('addresses')
    expect(nearest('at', ['add', 'a'], 2)).to.equal('a')
    expect(nearest('at', ['add'], 2)).to.equal(undefined)
    expect(nearest('adress', [], 2)).to.equal(undefined)
  })

  it('takes no time for a text of any length', () => {
    expect(nearest('x'.repeat(1_000_000), ['address'], 2)).to.equal(undefined)
  })
})
