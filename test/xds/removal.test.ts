import {expect} from 'chai'
import {Stream, type Words} from './stream.js'

/** An observability node that has everything and has acknowledged it. */
function settled(words: Words): Stream {
  const stream = new Stream('delta')
  stream.push(words)
  for (const kind of ['cluster', 'listener', 'scope'] as const) {
    stream.ask(kind)
    stream.ack(kind)
  }

  return stream
}

const listener = {l: '1'}

describe('xds/session order', () => {
  it('sends additions in push order, clusters before the scopes that use them', () => {
    const stream = settled({listener})
    stream.ask('secret', {subscribe: ['s']})
    stream.ask('route', {subscribe: ['r']})
    stream.ask('endpoint', {subscribe: ['e']})
    const words = {route: {r: '1'}, scope: {s: '1'}, listener: {l: '2'}, secret: {s: '1'}, endpoint: {e: '1'}, cluster: {c: '1'}}
    expect(stream.push(words)).to.deep.equal(['cluster +c=1', 'endpoint +e=1', 'secret +s=1', 'listener +l=2', 'scope +s=1', 'route +r=1'])
  })

  it('waits for no ACK with additions: a warming cluster withholds its own', () => {
    const stream = settled({listener})
    expect(stream.push({listener, cluster: {a: '1'}})).to.deep.equal(['cluster +a=1'])
    expect(stream.ask('secret', {subscribe: ['s']})).to.deep.equal(['secret -s'])
    expect(stream.push({listener, cluster: {a: '1', b: '1'}, secret: {s: '1'}})).to.deep.equal(['cluster +b=1', 'secret +s=1'])
  })

  it('holds at most one unwritten response, and computes the next from the newest snapshot', () => {
    const stream = settled({listener})
    stream.writes = false
    expect(stream.push({listener, cluster: {a: '1'}})).to.deep.equal(['cluster +a=1'])
    expect(stream.push({listener, cluster: {a: '2', b: '1'}})).to.deep.equal([])
    expect(stream.push({listener, cluster: {a: '3'}})).to.deep.equal([])
    expect(stream.ask('scope', {subscribe: ['x']})).to.deep.equal([])
    expect(stream.write()).to.deep.equal(['cluster +a=3', 'scope -x'])
  })
})

describe('xds/session removals', () => {
  it('removes the scope, then the cluster, each after the ACK of the one before', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
    expect(stream.push({listener})).to.deep.equal(['scope -s'])
    expect(stream.ack('scope')).to.deep.equal(['cluster -c'])
    stream.ack('cluster')
    expect(stream.wakeAt).to.equal(undefined)
  })

  it('sends additions first and removals in responses of their own', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
    expect(stream.push({listener, scope: {t: '1'}, cluster: {d: '1'}})).to.deep.equal(['cluster +d=1', 'scope +t=1'])
    expect(stream.ack('cluster')).to.deep.equal([])
    expect(stream.ack('scope')).to.deep.equal(['scope -s'])
    expect(stream.ack('scope')).to.deep.equal(['cluster -c'])
  })

  it('removes listeners after scopes, and routes after the listeners that used them', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}, route: {r: '1'}})
    stream.ask('route', {subscribe: ['r']})
    stream.ack('route')
    expect(stream.push({})).to.deep.equal(['scope -s'])
    expect(stream.ack('scope')).to.deep.equal(['listener -l'])
    expect(stream.ack('listener')).to.deep.equal(['route -r'])
    expect(stream.ack('route')).to.deep.equal(['cluster -c'])
  })

  it('removes secrets last', () => {
    const stream = settled({listener, cluster: {c: '1'}, secret: {s: '1'}})
    stream.ask('secret', {subscribe: ['s']})
    stream.ack('secret')
    expect(stream.push({listener})).to.deep.equal(['cluster -c'])
    expect(stream.ack('cluster')).to.deep.equal(['secret -s'])
  })

  it('goes on after the delay without an ACK, in the same order, and notes it', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
    expect(stream.push({listener, scope: {t: '1'}})).to.deep.equal(['scope +t=1'])
    expect(stream.wakeAt?.getTime()).to.equal(stream.now.getTime() + 5000)
    expect(stream.wait(5000)).to.deep.equal(['scope -s', 'cluster -c'])
    expect(stream.heard('removal-forced').map(({names}) => names)).to.deep.equal([['s'], ['c']])
  })

  it('sends additions first even when the delay is over before they could be sent', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
    stream.writes = false
    expect(stream.push({listener: {l: '2'}, scope: {s: '1'}, cluster: {c: '1'}})).to.deep.equal(['listener +l=2'])
    stream.push({listener: {l: '2'}, scope: {s: '2'}})
    expect(stream.wait(5000)).to.deep.equal([])
    expect(stream.write()).to.deep.equal(['scope +s=2', 'cluster -c'])
  })

  it('counts the delay for each resource separately', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1', d: '1'}})
    stream.push({listener: {l: '2'}, scope: {s: '1'}, cluster: {d: '1'}})
    stream.wait(3000)
    stream.push({listener: {l: '2'}, scope: {s: '1'}})
    expect(stream.wait(2000)).to.deep.equal(['cluster -c'])
    expect(stream.wait(3000)).to.deep.equal(['cluster -d'])
  })

  it('takes its delay from the options', () => {
    const stream = new Stream('delta', {removalDelayMs: 100})
    stream.push({})
    stream.ask('cluster', {initial: {c: '1'}})
    expect(stream.wait(99)).to.deep.equal([])
    expect(stream.wait(1)).to.deep.equal(['cluster -c'])
  })

  it('waits for the ACK of a changed listener, scope or route', () => {
    for (const changed of [
      {listener: {l: '2'}, scope: {s: '1'}},
      {listener, scope: {s: '2'}},
    ]) {
      const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
      const kind = 'l' in changed.listener && changed.listener.l === '2' ? 'listener' : 'scope'
      expect(stream.push(changed)).to.have.length(1)
      expect(stream.ack(kind)).to.deep.equal(['cluster -c'])
    }
  })

  it('does not remove what the old route uses after a NACK of the new one', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
    stream.push({listener, scope: {s: 'bad'}})
    expect(stream.nack('scope', 'no')).to.deep.equal([])
    expect(stream.wait(5000)).to.deep.equal(['cluster -c'])
  })

  it('drops a removal whose resource is back before it was sent', () => {
    const stream = settled({listener, scope: {s: '1'}, cluster: {c: '1'}})
    stream.push({listener: {l: '2'}, scope: {s: '1'}})
    expect(stream.push({listener: {l: '2'}, scope: {s: '1'}, cluster: {c: '1'}})).to.deep.equal([])
    expect(stream.ack('listener')).to.deep.equal([])
    expect(stream.wait(5000)).to.deep.equal([])
    stream.push({listener: {l: '3'}, scope: {s: '1'}})
    expect(stream.push({listener: {l: '3'}, scope: {s: '1'}, cluster: {c: '2'}}), 'back and changed').to.deep.equal(['cluster +c=2'])
  })

  it('sends a resource that is back after its removal', () => {
    const stream = settled({listener, cluster: {c: '1'}})
    expect(stream.push({listener})).to.deep.equal(['cluster -c'])
    expect(stream.push({listener, cluster: {c: '1'}})).to.deep.equal(['cluster +c=1'])
  })

  it('needs no ACK of clusters, which Envoy withholds while one warms', () => {
    const stream = settled({listener, cluster: {c: '1'}})
    stream.push({listener, cluster: {c: '1', warming: '1'}})
    expect(stream.push({listener, cluster: {warming: '1'}})).to.deep.equal(['cluster -c'])
  })

  describe('on a new stream', () => {
    it('waits until listeners and scopes are acknowledged on this stream', () => {
      const stream = new Stream('delta')
      stream.push({listener, scope: {s: '1'}, cluster: {}})
      expect(stream.ask('cluster', {initial: {c: '1'}})).to.deep.equal(['cluster'])
      expect(stream.ack('cluster')).to.deep.equal([])
      expect(stream.ask('listener', {initial: listener})).to.deep.equal(['listener'])
      expect(stream.ack('listener'), 'the client has scopes, too').to.deep.equal([])
      expect(stream.ask('scope', {initial: {s: '1', gone: '1'}})).to.deep.equal(['scope'])
      expect(stream.ack('scope')).to.deep.equal(['scope -gone'])
      expect(stream.ack('scope')).to.deep.equal(['cluster -c'])
    })

    it('waits for scopes that the client subscribes to, even if none is left', () => {
      const stream = new Stream('delta')
      stream.push({listener})
      stream.ask('cluster', {initial: {c: '1'}})
      stream.ask('listener', {initial: listener})
      stream.ask('scope', {initial: {gone: '1'}})
      expect(stream.ack('listener')).to.deep.equal([])
      expect(stream.ack('scope')).to.deep.equal(['scope -gone'])
      expect(stream.ack('scope')).to.deep.equal(['cluster -c'])
    })

    it('does not take the NACK of an empty response for an ACK', () => {
      const stream = new Stream('delta')
      stream.push({})
      stream.ask('cluster', {initial: {c: '1'}})
      stream.ask('listener')
      expect(stream.nack('listener', 'no')).to.deep.equal([])
      expect(stream.wait(5000)).to.deep.equal(['cluster -c'])
    })

    it('does not wait for a type that neither client nor snapshot knows', () => {
      const stream = new Stream('delta')
      stream.push({listener})
      stream.ask('cluster', {initial: {c: '1'}})
      stream.ask('listener', {initial: listener})
      stream.ask('route')
      expect(stream.ack('listener')).to.deep.equal(['cluster -c'])
    })

    it('waits for the delay when the client never requests listeners', () => {
      const stream = new Stream('delta')
      stream.push({listener})
      stream.ask('cluster', {initial: {c: '1'}})
      stream.ack('cluster')
      expect(stream.wait(4000)).to.deep.equal([])
      expect(stream.wait(1000)).to.deep.equal(['cluster -c'])
    })
  })
})
