import {expect} from 'chai'
import {describeSession} from '../../src/lib/xds/session.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {snapshotOf, Stream, type Words} from './stream.js'

function opened(words?: Words): Stream {
  const stream = new Stream('sotw')
  if (words !== undefined) stream.push(words)
  return stream
}

describe('xds/session SotW', () => {
  it('ends the stream, and says why, where all resources of a type take more bytes than a response may have', () => {
    const stream = new Stream('sotw', {maxResponseBytes: 300})
    stream.push({cluster: {a: '1', b: '1'}})
    expect(stream.ask('cluster')).to.deep.equal(['cluster: a=1 b=1'])
    expect(stream.ack('cluster')).to.deep.equal([])
    expect(stream.push({cluster: {a: '1', b: '1', c: '1'}})).to.deep.equal([])
    expect(stream.close)
      .to.match(
        /^A state-of-the-world response with all 3 resources of type Cluster would have up to 0\.\d MiB, and at most 0\.0 MiB are sent/,
      )
      .and.contain('set "api_type: DELTA_GRPC" in the Envoy\'s bootstrap')
    expect(stream.heard('too-large')).to.deep.equal([{kind: 'too-large', typeUrl: typeUrls.cluster, message: stream.close}])
    expect(stream.push({cluster: {a: '1'}}), 'nothing is sent any more').to.deep.equal([])
  })

  describe('subscriptions', () => {
    it('answers nothing before the first snapshot, then everything that is subscribed', () => {
      const stream = opened()
      expect(stream.ask('cluster')).to.deep.equal([])
      expect(stream.ask('secret', {names: ['s']})).to.deep.equal([])
      expect(stream.push({cluster: {a: '1'}, secret: {s: '1', t: '1'}})).to.deep.equal(['cluster: a=1', 'secret: s=1'])
    })

    it('answers a first wildcard request even when the snapshot is empty', () => {
      const stream = opened({})
      for (const kind of ['cluster', 'listener', 'scope'] as const) expect(stream.ask(kind)).to.deep.equal([`${kind}:`])
    })

    it('never sends an empty response of a named type', () => {
      const stream = opened({})
      expect(stream.ask('secret', {names: ['s']})).to.deep.equal([])
      expect(stream.ask('route', {names: ['r']})).to.deep.equal([])
      expect(stream.push({secret: {s: '1'}})).to.deep.equal(['secret: s=1'])
      expect(stream.push({})).to.deep.equal([])
      expect(stream.wait(5000)).to.deep.equal([])
      expect(stream.push({secret: {s: '1'}}), 'back: it has never lost it').to.deep.equal([])
      expect(stream.push({secret: {s: '2'}})).to.deep.equal(['secret: s=2'])
    })

    it('always answers the first request of a named type on a new stream, whichever version the client names', () => {
      expect(opened({secret: {s: '1'}}).ask('secret', {names: ['s']})).to.deep.equal(['secret: s=1'])
    })

    it('answers a grown subscription at equal version, with the new name alone where absence means nothing', () => {
      const stream = opened({secret: {s: '1', t: '1'}, cluster: {a: '1', b: '1'}})
      stream.ask('secret', {names: ['s']})
      expect(stream.ack('secret', {names: ['s']})).to.deep.equal([])
      expect(stream.ack('secret', {names: ['s', 't']})).to.deep.equal(['secret: t=1'])
      stream.ask('cluster', {names: ['a']})
      expect(stream.ack('cluster', {names: ['a', 'b']})).to.deep.equal(['cluster: a=1 b=1'])
      expect(stream.ack('cluster', {names: ['a', 'b', 'missing']}), 'absence says that it does not exist').to.deep.equal([
        'cluster: a=1 b=1',
      ])
    })

    it('sends a name again that was dropped from the list and came back', () => {
      const stream = opened({secret: {s: '1', t: '1'}})
      stream.ask('secret', {names: ['s', 't']})
      expect(stream.ack('secret', {names: ['s']})).to.deep.equal([])
      expect(stream.ack('secret', {names: ['s', 't']})).to.deep.equal(['secret: t=1'])
    })

    it('takes an empty list after names as nothing, never as all', () => {
      const stream = opened({cluster: {a: '1', b: '1'}})
      stream.ask('cluster', {names: ['a']})
      expect(stream.ack('cluster', {names: []})).to.deep.equal([])
      expect(stream.push({cluster: {a: '2', b: '2'}})).to.deep.equal([])
    })

    it('applies the names of a request with a stale nonce, and nothing else of it', () => {
      const stream = opened({secret: {s: '1', t: '1'}})
      stream.ask('secret', {names: ['s']})
      stream.ack('secret', {names: ['s']})
      expect(stream.ask('secret', {names: ['s', 't'], nonce: '99', error: 'no'})).to.deep.equal(['secret: t=1'])
      expect(stream.heard('nacked')).to.deep.equal([])
      expect(stream.heard('stale-nonce')).to.have.length(1)
    })

    it('counts an answer to an earlier response of a wildcard type for that response alone', () => {
      const stream = opened({cluster: {a: 'bad'}})
      stream.ask('cluster')
      stream.push({cluster: {a: '2'}})
      expect(stream.nack('cluster', 'no', {nonce: '1'})).to.deep.equal([])
      expect(stream.heard('nacked')).to.have.length(1)
      expect(stream.ack('cluster')).to.deep.equal([])
      expect(describeSession(stream.session)[0]?.state).to.equal('synced')
    })

    it('keeps what an ACK acknowledged that comes after the next response was sent, if that one is NACKed', () => {
      const stream = opened({cluster: {a: '1'}})
      stream.ask('cluster')
      expect(stream.push({cluster: {a: '1', b: 'bad'}})).to.deep.equal(['cluster: a=1 b=bad'])
      stream.ack('cluster', {nonce: '1'})
      expect(stream.nack('cluster', 'b: no good')).to.deep.equal([])
      expect(stream.push({cluster: {a: '1', b: '2'}})).to.deep.equal(['cluster: a=1 b=2'])
    })

    it('lets an ACK speak for the responses before it', () => {
      const stream = opened({secret: {s: '1', t: '1'}})
      stream.ask('secret', {names: ['s']})
      stream.ask('secret', {names: ['s', 't']})
      stream.ack('secret', {names: ['s', 't']})
      expect([...(describeSession(stream.session)[0]?.acked.keys() ?? [])].sort()).to.deep.equal(['s', 't'])
    })
  })

  describe('versions', () => {
    it('gives equal content an equal version_info, on any stream, and other content another', () => {
      const versions = [
        {a: '1', b: '1'},
        {b: '1', a: '1'},
        {a: '1', b: '2'},
      ].map(cluster => {
        const stream = opened()
        stream.take({kind: 'snapshot', snapshot: snapshotOf({cluster})})
        return stream.firstVersion('cluster')
      })
      expect(versions[0]).to.equal(versions[1]).and.not.equal(versions[2])
      expect(versions[0]).to.match(/^[\w-]{16}$/)
    })
  })

  describe('removals', () => {
    it('sends a removed cluster along until the listeners that used it are acknowledged', () => {
      const stream = opened({cluster: {a: '1', b: '1'}, listener: {l: '1'}})
      for (const kind of ['cluster', 'listener'] as const) {
        stream.ask(kind)
        stream.ack(kind)
      }

      expect(stream.push({cluster: {b: '2'}, listener: {l: '2'}})).to.deep.equal(['cluster: a=1 b=2', 'listener: l=2'])
      expect(stream.ack('cluster')).to.deep.equal([])
      expect(stream.ack('listener')).to.deep.equal(['cluster: b=2'])
    })

    it('leaves a removed cluster out after the delay in any case', () => {
      const stream = opened({cluster: {a: '1'}})
      stream.ask('cluster')
      stream.ack('cluster')
      expect(stream.push({})).to.deep.equal([])
      expect(stream.wait(5000)).to.deep.equal(['cluster:'])
    })
  })

  describe('NACK', () => {
    it('is repaired with the previous version in place of the NACKed one', () => {
      const stream = opened({listener: {a: '1', b: '1'}})
      stream.ask('listener')
      stream.ack('listener')
      stream.push({listener: {a: '2', b: 'bad'}})
      expect(stream.nack('listener', 'Duplicate domain in route b')).to.deep.equal(['listener: a=2 b=1'])
      expect(stream.ack('listener'), 'is it really b?').to.deep.equal(['listener: a=2 b=bad'])
      expect(stream.nack('listener', 'b again')).to.deep.equal([])
      expect(stream.push({listener: {a: '3', b: 'bad'}})).to.deep.equal(['listener: a=3 b=1'])
      stream.ack('listener')
      const report = describeSession(stream.session)[0]
      expect([...(report?.acked ?? [])].sort()).to.deep.equal([
        ['a', '3'],
        ['b', '1'],
      ])
      expect([report?.state, report?.refused.get('b')]).to.deep.equal(['nack', 'b again'])
      expect(stream.heard('repaired')).to.deep.equal([])
      stream.push({listener: {a: '3', b: '4'}})
      stream.ack('listener')
      expect(describeSession(stream.session)[0]?.state).to.equal('synced')
    })

    it('goes group by group, waiting for each answer: every response replaces the one before', () => {
      const stream = opened({listener: {a: '1', b: '1', c: 'bad', d: '1'}})
      stream.ask('listener')
      expect(stream.nack('listener', 'no')).to.deep.equal(['listener: a=1 b=1'])
      expect(stream.push({listener: {a: '1', b: '1', c: 'bad', d: '1', e: '1'}})).to.deep.equal([])
      expect(stream.ack('listener')).to.deep.equal(['listener: a=1 b=1 c=bad d=1'])
      expect(stream.nack('listener', 'no')).to.deep.equal(['listener: a=1 b=1 c=bad'])
      expect(stream.nack('listener', 'no')).to.deep.equal(['listener: a=1 b=1 d=1'])
      expect(stream.ack('listener')).to.deep.equal(['listener: a=1 b=1 d=1 e=1'])
    })

    it('clears what the client keeps of it without applying it, by the previous version or by omission', () => {
      const stream = opened({scope: {a: '1'}})
      stream.ask('scope')
      stream.ack('scope')
      stream.push({scope: {a: '2', b: '1', c: 'bad'}})
      expect(stream.nack('scope', 'route c')).to.deep.equal(['scope: a=1', 'scope: a=2 b=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope: a=2 b=1 c=bad'])
      expect(stream.nack('scope', 'route c')).to.deep.equal([])
    })

    it('makes removals wait for the answer to the last response too', () => {
      const stream = opened({scope: {a: '1', b: '1'}})
      stream.ask('scope')
      stream.ack('scope')
      expect(stream.push({scope: {a: '2'}})).to.deep.equal(['scope: a=2 b=1'])
      expect(stream.wait(5000)).to.deep.equal([])
      expect(stream.wakeAt).to.equal(undefined)
      expect(stream.ack('scope')).to.deep.equal(['scope: a=2'])
    })

    it('is cleared on the next stream too', () => {
      const second = opened()
      second.push({scope: {a: '2', b: '1'}}, new Map([[typeUrls.scope, {sent: ['a'], removed: []}]]))
      expect(second.ask('scope')).to.deep.equal(['scope:', 'scope: a=2 b=1'])
    })

    it('of a secret is repaired one by one: its message names no secret', () => {
      const stream = opened({secret: {s: '1', t: 'bad'}})
      stream.ask('secret', {names: ['s', 't']})
      expect(stream.nack('secret', 'KEY_VALUES_MISMATCH', {names: ['s', 't']})).to.deep.equal(['secret: s=1', 'secret: t=bad'])
      stream.ack('secret', {nonce: '2', names: ['s', 't']})
      expect(stream.nack('secret', 'KEY_VALUES_MISMATCH', {nonce: '3', names: ['s', 't']})).to.deep.equal([])
      expect(stream.heard('nacked').at(-1)?.refused).to.deep.equal(['t'])
    })
  })
})
