/** Reading `x-forwarded-client-cert`: what Envoy writes is read, all else is refused. */
import {expect} from 'chai'
import fc from 'fast-check'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {type XfccElement, parseXfcc, xfccValues} from '../../../src/server/ads/xfcc.js'
import {thrownBy} from '../../helpers/thrown.js'

describe('parseXfcc', () => {
  it('reads what Envoy 1.40 writes', () => {
    const [element, ...others] = parseXfcc(
      'By=spiffe://atlas.internal/observability;Hash=ab12;Cert="-----BEGIN%20CERTIFICATE-----%0A";Subject="CN=paris,O=\\"A;B\\"";URI=spiffe://atlas.internal/ads-client/paris/1',
    )
    expect(others).to.have.length(0)
    expect(element).to.deep.equal([
      ['by', 'spiffe://atlas.internal/observability'],
      ['hash', 'ab12'],
      ['cert', '-----BEGIN%20CERTIFICATE-----%0A'],
      ['subject', 'CN=paris,O="A;B"'],
      ['uri', 'spiffe://atlas.internal/ads-client/paris/1'],
    ])
  })

  it('takes keys in any case and keeps repeated ones', () => {
    expect(xfccValues(parseXfcc('uri=a;URI=b;Uri=c')[0] ?? [], 'uri')).to.deep.equal(['a', 'b', 'c'])
  })

  it('finds every element', () => {
    expect(parseXfcc('By=a;URI=b, By=c;URI=d')).to.have.length(2)
    expect(parseXfcc('By=a,By=c')).to.have.length(2)
  })

  it('does not split at separators in quotes', () => {
    expect(parseXfcc('By=a;Subject="x,By=b;URI=spiffe://evil"')).to.have.length(1)
  })

  for (const text of [
    '',
    ',',
    ';',
    'By',
    '=x',
    'By=a;',
    'By=a,',
    'By=a;;URI=b',
    'By="a',
    'By="a"b',
    'By=a"b"',
    'By=a=b',
    'By=a b',
    'B y=a',
    'By="a\\"',
    `By=${'a'.repeat(17_000)}`,
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      expect(thrownBy(() => parseXfcc(text)).code).to.equal('invalid')
    })
  }

  it('throws nothing but AtlasError, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({unit: fc.constantFrom('B', 'y', '=', ';', ',', '"', '\\', ' ', 'a')})), text => {
        try {
          return parseXfcc(text).every(element => element.length > 0)
        } catch (error) {
          return error instanceof AtlasError
        }
      }),
      {numRuns: 2000},
    )
  })

  it('reads back every valid header', () => {
    const key = fc.constantFrom('By', 'Hash', 'URI', 'Subject', 'DNS')
    const value = fc.string({unit: fc.constantFrom('a', '/', ':', ',', ';', '=', '"', ' ')})
    const element = fc.array(fc.tuple(key, value), {minLength: 1, maxLength: 4})
    fc.assert(
      fc.property(fc.array(element, {minLength: 1, maxLength: 3}), elements => {
        const text = elements.map(pairs => pairs.map(([k, v]) => `${k}=${written(v)}`).join(';')).join(',')
        const wanted: readonly XfccElement[] = elements.map(pairs => pairs.map(([k, v]) => [k.toLowerCase(), v] as const))
        expect(parseXfcc(text)).to.deep.equal(wanted)
      }),
      {numRuns: 500},
    )
  })
})

function written(value: string): string {
  return /[",;=\s]/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : value
}
