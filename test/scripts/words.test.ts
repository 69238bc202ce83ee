/** The gate's rule on words finds the refused ones in texts for people, and nothing else. */
import {expect} from 'chai'
import {refusedWords} from '../../scripts/gate/words.mjs'

const found = (text: string, path = 'src/a.ts'): string[] => refusedWords({path, text})

describe('gate: words', () => {
  it('names the file, the line and the replacement', () => {
    expect(found('/** A. */\n// issued anew\n')).to.deep.equal([
      'src/a.ts:2: "anew" is not a word of this project; write: again, or "issue a new …", or replace',
    ])
  })

  it('finds each word in each of its forms', () => {
    for (const word of [
      'Nobody',
      'somebody',
      'anybody',
      'everybody',
      'whoever',
      'whom',
      'mended',
      'handed out',
      'hands them out',
      'dialled',
      'by itself',
    ])
      expect(found(`// ${word} x`), word).to.have.length(1)
    expect(found('// nobody mends whatever somebody dialled')).to.have.length(4)
  })

  it('accepts words that only look like them', () => {
    expect(found('// recommended, amend, handle, a handout, dial (a port option), who, knob, the thing itself')).to.deep.equal([])
  })

  it('reads the comments and titles of a test, not its code', () => {
    const test = "/** Anew. */\nit('nobody asks', () => {\n  expect(out).to.equal('mended by somebody') // whoever\n})\n"
    expect(found(test, 'test/a.test.ts').map(line => line.split('"').slice(0, 2).join(''))).to.have.members([
      'test/a.test.ts:1: Anew',
      'test/a.test.ts:2: nobody',
      'test/a.test.ts:3: whoever',
    ])
  })
})
