/** How the question before something is deleted is broken into lines. */
import {expect} from 'chai'
import {wrapWords} from '../../src/lib/cli/text/render.js'

describe('cli: a question on a narrow terminal', () => {
  const text = 'A new root asks for work in every cluster: twice, its new ADS credential must be applied there.'

  it('is broken between words, on lines that fill the terminal at most', () => {
    for (const width of [20, 40, 80]) {
      const lines = wrapWords(text, width).split('\n')
      expect(lines.join(' ')).to.equal(text)
      expect(lines.length).to.be.at.least(Math.ceil(text.length / width))
      for (const line of lines) expect(line.length, line).to.be.within(1, width)
    }
  })

  it('is one line where there is room, and a word that is too long stays whole', () => {
    expect(wrapWords(text, 200)).to.equal(text)
    expect(wrapWords('revoke credential 3f9ac1d27be04581 of it', 12)).to.equal('revoke\ncredential\n3f9ac1d27be04581\nof it')
  })
})
