/** What a client has NACKed is sent again in other bytes, where it would not look at the same ones: Envoy's secrets. */
import {expect} from 'chai'
import {unacknowledged} from '../../src/lib/xds/session.js'
import {toSnapshot} from '../../src/lib/xds/snapshot.js'
import {markable, resource, Stream} from './stream.js'

const snapshot = toSnapshot([markable('s', '1'), resource('secret', 't', '1')])
const both = {names: ['s', 't'], subscribe: ['s', 't']}

describe('xds/session, marked bytes', () => {
  it('are others in each delta response, on each stream', () => {
    const stream = new Stream('delta', {mark: 'a'})
    stream.take({kind: 'snapshot', snapshot})
    expect(stream.ask('secret', both)).to.deep.equal(['secret +s=1 +t=1'])
    expect(stream.nack('secret', 'one of them')).to.deep.equal(['secret +s=1', 'secret +t=1'])
    stream.nack('secret', 'this one', {nonce: '2'})
    stream.ack('secret', {nonce: '3'})
    expect(stream.wait(15_000)).to.deep.equal(['secret +s=1'])
    const next = new Stream('delta', {mark: 'b'})
    next.take({kind: 'snapshot', snapshot})
    expect(next.ask('secret', {...both, initial: {s: '0', t: '1'}})).to.deep.equal(['secret +s=1'])
    const sent = [...stream.bodies, ...next.bodies].filter(body => body.startsWith('s=1 '))
    expect([sent.length, new Set(sent).size]).to.deep.equal([4, 4])
    expect(stream.bodies).to.include('t=1')
  })

  it('are sent in state of the world only after a NACK, on the next stream too', () => {
    const stream = new Stream('sotw', {mark: 'a'})
    stream.take({kind: 'snapshot', snapshot})
    stream.ask('secret', both)
    expect(stream.bodies).to.deep.equal(['s=1', 't=1'])
    stream.nack('secret', 'one of them', both)
    stream.nack('secret', 'this one', both)
    const next = new Stream('sotw', {mark: 'b'})
    next.take({kind: 'snapshot', snapshot, before: unacknowledged(stream.session)})
    next.ask('secret', both)
    const sent = [...stream.bodies, ...next.bodies].filter(body => body.startsWith('s=1'))
    expect([sent.length, new Set(sent).size]).to.deep.equal([3, 3])
    const calm = new Stream('sotw', {mark: 'c'})
    calm.take({kind: 'snapshot', snapshot})
    calm.ask('secret', both)
    expect(calm.bodies).to.deep.equal(['s=1', 't=1'])
  })
})
