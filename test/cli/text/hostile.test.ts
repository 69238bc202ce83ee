/** Hostile characters of Envoys, objects and servers, over each printer. */
import {expect} from 'chai'
import {AtlasError, invalid, quote} from '../../../src/lib/model/errors.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {printable, printableLines} from '../../../src/lib/model/printable.js'
import {renderList} from '../../../src/lib/cli/text/cluster.js'
import {renderError, errorReport} from '../../../src/lib/cli/text/error.js'
import {renderDifference, renderFields, renderTable} from '../../../src/lib/cli/text/render.js'
import {renderStatus} from '../../../src/lib/cli/text/status.js'
import type {ShownStatus} from '../../../src/lib/ops/status.js'
import {bounded, openLog} from '../../../src/server/log.js'

/** What a character does, the character, and what is shown instead. */
const characters: readonly (readonly [string, string, string])[] = [
  ['begins an escape sequence', '\u001B', String.raw`\u001b`],
  ['begins a line', '\n', String.raw`\n`],
  ['returns to the beginning of the line', '\r', String.raw`\u000d`],
  ['deletes', '\u007F', String.raw`\u007f`],
  ['is NUL', '\u0000', String.raw`\u0000`],
  ['begins a C1 sequence', '\u009B', String.raw`\u009b`],
  ['is NEL', '\u0085', String.raw`\u0085`],
  ['reorders text', '\u202E', String.raw`\u202e`],
  ['isolates text', '\u2066', String.raw`\u2066`],
  ['is the Arabic letter mark', '\u061C', String.raw`\u061c`],
  ['has no width', '\u200B', String.raw`\u200b`],
  ['is a byte order mark', '\uFEFF', String.raw`\ufeff`],
  ['separates lines', '\u2028', String.raw`\u2028`],
  ['separates paragraphs', '\u2029', String.raw`\u2029`],
  ['is an invisible tag', '\u{E0041}', String.raw`\udb40\udc41`],
  ['is half a pair', '\uD800', String.raw`\ud800`],
]

const paris = parseClusterName('paris')
const now = new Date('2026-11-01T00:00:00Z')

function statusWith(text: string): ShownStatus {
  return {
    servers: [{replica: text, address: text, startedAt: now.toISOString(), reasons: [text], warnings: [text]}],
    leader: text,
    proxies: [{cluster: paris, id: text, state: 'rejected', types: [], remark: text}],
    faults: [{object: text, key: text, message: text, subject: text}],
    refusals: [{at: now.toISOString(), reason: text, message: text, peer: text}],
    warnings: [text],
    findings: [{kind: 'warning', message: text, next: text}],
  } as unknown as ShownStatus
}

/** Everything that prints text from outside. The argument may be anywhere in it. */
const printers: Readonly<Record<string, (text: string) => string>> = {
  'status: proxies, remarks, refusals, servers': text => renderStatus(statusWith(text), now).split('\n').join('|'),
  'cluster list': text =>
    renderList([{name: text, state: text, generation: 1, addresses: [text], fault: {object: text, key: text, message: text}}])
      .split('\n')
      .join('|'),
  table: text =>
    renderTable(['A'], [[text]])
      .split('\n')
      .join('|'),
  fields: text => renderFields({a: text}),
  difference: text => renderDifference({a: text}, {a: 'b'}),
  'quote, in errors': text => quote(text),
  'an error about a value': text => renderError(errorReport(invalid('a name', 'a name', text))),
  'report, Event': text => bounded(text),
  log: text => {
    let line = ''
    openLog({to: {write: (written: string) => (line = written)}}).warn(text, {text, list: [text]})
    const {msg, text: field, list} = JSON.parse(line) as {readonly msg: string; readonly text: string; readonly list: readonly string[]}
    expect(line.trimEnd()).to.equal(printable(line.trimEnd()))
    return [msg, field, ...list].join('|')
  },
}

describe('text from outside', () => {
  for (const [name, print] of Object.entries(printers))
    it(`is escaped: ${name}`, () => {
      for (const [what, character, shown] of characters) {
        const printed = print(`a${character}b`)
        expect(printed, what).not.to.include(character)
        expect(printed, what).to.match(/a.*b/)
        expect(printed.replaceAll('\\r', '\\u000d'), what).to.include(shown)
      }
    })

  it('stays as it is where it is printable, in every script', () => {
    for (const text of ['paris', 'zażółć gęślą', '東京', 'αθήνα', 'القاهرة', '😀', 'a "b" \\ c'])
      expect([printable(text), printableLines(text)]).to.deep.equal([text, text])
  })

  it('keeps lines and tabs where several lines are printed, and escapes the rest', () => {
    expect(printableLines('a\n\tb\u001B[2J\r')).to.equal(`a\n\tb${String.raw`\u001b[2J\u000d`}`)
    expect(JSON.parse(printableLines(JSON.stringify({a: '\u202E\u{E0041}'})))).to.deep.equal({a: '\u202E\u{E0041}'})
    expect(printableLines(renderError(errorReport(new AtlasError('failed', 'a\u001B')))).includes('\u001B')).to.equal(false)
  })
})
