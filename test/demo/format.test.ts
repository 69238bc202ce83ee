import {expect} from 'chai'
import {counted, listed, range, seconds} from '../../src/demo/format.js'

describe('demo/format', () => {
  it('formats numbers and lists for sentences', () => {
    expect([listed([]), listed(['a']), listed(['a', 'b', 'c'])]).to.deep.equal(['', 'a', 'a, b and c'])
    expect([counted(1, 'byte'), counted(0, 'byte')]).to.deep.equal(['1 byte', '0 bytes'])
    expect([range([9, 9]), range([55, 9])]).to.deep.equal(['9', '9 to 55'])
    expect(seconds(1234)).to.equal('1.2 s')
  })
})
