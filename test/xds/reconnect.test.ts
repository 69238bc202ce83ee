/** What a client lists in `initial_resource_versions` decides what its new stream sends. */
import {expect} from 'chai'
import {describeSession} from '../../src/lib/xds/session.js'
import {Stream, type Words} from './stream.js'

function opened(words?: Words): Stream {
  const stream = new Stream('delta')
  if (words !== undefined) stream.push(words)
  return stream
}

describe('xds/session on a new stream', () => {
  it('diffs initial_resource_versions of a wildcard: changed and new at once, gone after the delay', () => {
    const stream = opened({cluster: {same: '1', changed: '2', fresh: '1'}})
    expect(stream.ask('cluster', {initial: {same: '1', changed: '1', gone: '1'}})).to.deep.equal(['cluster +changed=2 +fresh=1'])
    expect(stream.wakeAt?.getTime()).to.equal(stream.now.getTime() + 5000)
    expect(stream.wait(4999)).to.deep.equal([])
    expect(stream.wait(1)).to.deep.equal(['cluster -gone'])
  })

  it('does so when the snapshot comes after the request too', () => {
    const stream = opened()
    stream.ask('cluster', {initial: {same: '1', gone: '1'}})
    expect(stream.push({cluster: {same: '1'}})).to.deep.equal(['cluster'])
    expect(stream.wait(5000)).to.deep.equal(['cluster -gone'])
  })

  it('answers an empty diff with an empty response', () => {
    const stream = opened({cluster: {a: '1'}})
    expect(stream.ask('cluster', {initial: {a: '1'}})).to.deep.equal(['cluster'])
  })

  it('sends secrets and route tables that the client lists only in another version, and what it waits for', () => {
    const stream = opened({secret: {same: '1', changed: '2', waiting: '1'}, route: {r: '1'}})
    const initial = {same: '1', changed: '1'}
    expect(stream.ask('secret', {subscribe: ['same', 'changed', 'waiting'], initial})).to.deep.equal(['secret +changed=2 +waiting=1'])
    expect(stream.ask('route', {subscribe: ['r'], initial: {r: '1'}})).to.deep.equal([])
    const [, routes] = describeSession(stream.session)
    expect([routes?.state, routes?.acked.get('r')]).to.deep.equal(['synced', '1'])
    expect(stream.ask('route', {subscribe: ['r']}), 'subscribed again on the same stream').to.deep.equal(['route +r=1'])
  })

  it('does so when the snapshot comes after the request too, and sends what changes later', () => {
    const stream = opened()
    stream.ask('secret', {subscribe: ['same', 'waiting'], initial: {same: '1'}})
    expect(stream.push({secret: {same: '1', waiting: '1'}})).to.deep.equal(['secret +waiting=1'])
    expect(stream.push({secret: {same: '2', waiting: '1'}})).to.deep.equal(['secret +same=2'])
  })

  it('sends endpoints that the client lists again: a cluster that is warmed waits for a response of its own (envoyproxy/envoy#22418)', () => {
    const stream = opened({endpoint: {e: '1'}})
    expect(stream.ask('endpoint', {subscribe: ['e'], initial: {e: '1'}})).to.deep.equal(['endpoint +e=1'])
  })

  it('sends names that are subscribed beside the wildcard again, and diffs the rest', () => {
    const stream = opened({cluster: {a: '1', b: '1'}})
    expect(stream.ask('cluster', {subscribe: ['*', 'a'], initial: {a: '1', b: '1'}})).to.deep.equal(['cluster +a=1'])
  })

  it('removes a listed name that does not exist like any other, and answers a name that is not listed at once', () => {
    const stream = opened({listener: {l: '1'}})
    expect(stream.ask('secret', {subscribe: ['had', 'waiting'], initial: {had: '1'}})).to.deep.equal(['secret -waiting'])
    expect(stream.ask('listener', {initial: {l: '1'}})).to.deep.equal(['listener'])
    expect(stream.ack('listener')).to.deep.equal(['secret -had'])
  })

  it('ignores initial_resource_versions after the first request, and of names that are not subscribed', () => {
    const stream = opened({cluster: {a: '1'}})
    stream.ask('cluster', {subscribe: ['a'], initial: {foreign: '1'}})
    stream.ask('cluster', {initial: {a: '0', foreign: '1'}})
    expect(stream.push({cluster: {a: '1'}, listener: {}})).to.deep.equal([])
    expect(stream.wait(5000)).to.deep.equal([])
  })

  describe('a removal', () => {
    it('does not wait for a route table that the client lists as it is wanted: no response follows that could be acknowledged', () => {
      const stream = reopened({route: {r: '1'}})
      expect(stream.ack('listener')).to.deep.equal(['cluster -c'])
    })

    it('waits for a route table that the client lists in another version', () => {
      const stream = reopened({route: {r: '2'}})
      expect(stream.ack('listener')).to.deep.equal([])
      expect(stream.ack('route')).to.deep.equal(['cluster -c'])
    })

    /** A client that has listener l, route table r in version 1, and cluster c, which is gone. */
    function reopened(words: Words): Stream {
      const stream = opened({listener: {l: '1'}, ...words})
      stream.ask('cluster', {initial: {c: '1'}})
      stream.ask('listener', {initial: {l: '1'}})
      stream.ask('route', {subscribe: ['r'], initial: {r: '1'}})
      stream.ack('cluster')
      return stream
    }
  })
})
