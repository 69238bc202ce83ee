/** What a rotation waits for: the facts in each sentence are those that it was made of. */
import {expect} from 'chai'
import fc from 'fast-check'
import {OBSERVABILITY, type Owner, parseClusterName} from '../../../src/lib/model/names.js'
import {printable} from '../../../src/lib/model/printable.js'
import {type Waited, describeWaited, isPlanned, readWaited} from '../../../src/lib/ops/rotation/waited.js'

const owner = fc.constantFrom<Owner>(OBSERVABILITY, parseClusterName('paris'), parseClusterName('client'), parseClusterName('server-1'))
const until = fc.date({min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true}).map(time => time.getTime())
const node = fc.stringMatching(/^[A-Za-z0-9._:/-]{1,20}$/)
const text = fc.string({unit: 'grapheme-ascii', minLength: 1, maxLength: 40}).map(printable)

const waited: fc.Arbitrary<Exclude<Waited, {readonly is: 'other'}>> = fc.oneof(
  fc.record({is: fc.constant('without an Envoy' as const), owner, byHand: fc.option(text, {nil: undefined})}),
  fc.record({is: fc.constant('away' as const), owner, node, until}),
  fc.record({is: fc.constant('client' as const), client: fc.stringMatching(/^[a-z0-9-]{1,10}$/), until}),
  fc.record({
    is: fc.constant('lacking' as const),
    owner,
    node,
    what: fc.constantFrom('has not acknowledged its new identity', 'is connected with another credential: apply it (there)'),
    refused: fc.option(text, {nil: undefined}),
  }),
)

describe('ops/rotation/waited', () => {
  it('a sentence gives back the facts that it was made of', () => {
    fc.assert(
      fc.property(waited, each => {
        const sentence = describeWaited(each)
        expect(readWaited(sentence)).to.deep.equal(each.is === 'lacking' && each.refused === undefined ? without(each) : each)
        expect(readWaited(printable(sentence)), 'as it is stored').to.deep.equal(readWaited(sentence))
        expect(isPlanned(sentence)).to.equal(each.is === 'away' || each.is === 'client')
      }),
    )
  })

  it('an Envoy to which nothing is sent has not refused anything', () => {
    const lack = {is: 'lacking', owner: parseClusterName('paris'), node: 'paris-0', what: 'has not acknowledged it'} as const
    const sentence = describeWaited({...lack, frozen: 'its identity is broken', refused: 'no matter'})
    expect(sentence).to.equal('paris (paris-0) has not acknowledged it: nothing is sent to it (its identity is broken)')
    expect(readWaited(sentence)).to.deep.equal({...lack, frozen: 'its identity is broken'})
  })

  it('of any other sentence nothing is concluded', () => {
    for (const each of [
      'server one-0 does not use the present trust bundle yet',
      'the ADS credential of paris is not issued yet',
      'the certificate of client x is not issued yet',
      'and 3 more',
      '',
    ])
      expect(readWaited(each)).to.deep.equal({is: 'other'})
  })
})

function without({refused: _, ...rest}: Extract<Waited, {readonly is: 'lacking'}>) {
  return rest
}
