/** A table that is wider than its terminal: which columns come on which line, and that nothing is lost. */
import {expect} from 'chai'
import {renderTable, wrapText} from '../../../src/lib/cli/text/render.js'

const head = ['NAME', 'STATE', 'ADDRESS', 'REMARK']
const rows = [
  ['paris', 'registered', '192.0.2.1', ''],
  ['lyon', 'unreadable', '192.0.2.20', 'service-lyon.yaml, goatlas.io/addresses: must be an address'],
]

describe('cli/text/render: a table', () => {
  it('is never folded where it fits, or goes elsewhere than to a terminal', () => {
    const plain = [
      'NAME   STATE       ADDRESS     REMARK',
      'paris  registered  192.0.2.1',
      'lyon   unreadable  192.0.2.20  service-lyon.yaml, goatlas.io/addresses: must be an address',
    ]
    const widest = plain[2]?.length ?? 0
    for (const fold of [undefined, {width: undefined, before: 3}, {width: widest, before: 3}])
      expect(renderTable(head, rows, fold).split('\n')).to.deep.equal(plain)
    expect(renderTable(head, rows, {width: widest - 1, before: 3}).split('\n').length).to.be.greaterThan(3)
  })

  it('has a second line for each row that needs one, in columns of its own, and a long last cell is broken between words', () => {
    expect(renderTable(head, rows, {width: 40, before: 3}).split('\n')).to.deep.equal([
      'NAME   STATE       ADDRESS',
      '  REMARK',
      'paris  registered  192.0.2.1',
      'lyon   unreadable  192.0.2.20',
      '  service-lyon.yaml,',
      '  goatlas.io/addresses: must be an',
      '  address',
    ])
    expect(
      renderTable(
        ['A', 'B', 'C'],
        [
          ['1'.repeat(8), '2', '3'],
          ['1', '2'.repeat(8), '3'],
        ],
        {width: 16, before: 1},
      ),
    ).to.equal(['A', '  B         C', '11111111', '  2         3', '1', '  22222222  3'].join('\n'))
  })

  it('keeps what fits on the first line, though a wide column stands between', () => {
    const wide = ['NAME', 'ADDRESS', 'REPLICAS', 'REMARK']
    expect(renderTable(wide, [['paris', 'x'.repeat(30), '2', 'is gone']], {width: 32, before: 3}).split('\n')).to.deep.equal([
      ...['NAME   REPLICAS', '  ADDRESS', '  REMARK'],
      ...['paris  2', `  ${'x'.repeat(30)}`, '  is gone'],
    ])
  })

  it('has as many lines for a row as the width asks for, and loses no cell, however narrow it is', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'].map(letter => letter.repeat(6))
    expect(renderTable(names, [], {width: 20, before: 2}).split('\n')).to.deep.equal([
      'aaaaaa  bbbbbb',
      '  cccccc  dddddd',
      '  eeeeee  ffffff',
    ])
    for (let width = 1; width < 50; width += 1) {
      const text = renderTable(names, [names], {width, before: 2})
      expect(text.split(/\s+/).filter(word => word !== '')).to.have.members([...names, ...names])
      if (width >= 8) for (const line of text.split('\n')) expect(line.length, text).to.be.at.most(width)
    }
  })
})

describe('cli/text/render: a text', () => {
  it('is broken at words, and goes on below the words of its first line', () => {
    const text = '1. announce: the next certificates are made\nAll Envoys trust them\n  path      Query to the Envoy downstream\nshort'
    expect(wrapText(text, 24).split('\n')).to.deep.equal([
      '1. announce: the next',
      '   certificates are made',
      'All Envoys trust them',
      '  path      Query to the',
      '            Envoy',
      '            downstream',
      'short',
    ])
    expect(wrapText(text)).to.equal(text)
  })

  it('breaks no command in quotes and no quoted path, so that each can be copied', () => {
    const command = '"atlas cluster revoke paris --reissue --store /srv/a-long-name/state"'
    const text = `If it was stolen, go on (${command}), or write to '/srv/my folder/state' with "atlas status".`
    expect(wrapText(text, 40).split('\n')).to.deep.equal([
      'If it was stolen, go on',
      `(${command}),`,
      "or write to '/srv/my folder/state' with",
      '"atlas status".',
    ])
    for (let width = 1; width < 120; width += 1)
      for (const whole of [command, "'/srv/my folder/state'", '"atlas status"']) expect(wrapText(text, width)).to.contain(whole)
    // What is no command stays words: an apostrophe begins no path.
    expect(wrapText(`the cluster's name "of two words" isn't '`, 14).split('\n').length).to.be.greaterThan(2)
  })

  it('loses no word, and no line is wider than the terminal unless a word is', () => {
    const text = '  a long title of several words  and its value\n- one two three four five\n\n    blanks in front'
    for (let width = 1; width < 60; width += 1) {
      const wrapped = wrapText(text, width)
      expect(wrapped.split(/\s+/)).to.deep.equal(text.split(/\s+/))
      if (width >= 14) for (const line of wrapped.split('\n')) expect(line.length, wrapped).to.be.at.most(width)
    }
  })
})
