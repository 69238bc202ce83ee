import {expect} from 'chai'
import {describeSession, type SessionOptions, unacknowledged} from '../../src/lib/xds/session.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {Stream, type Words} from './stream.js'

function opened(words?: Words, options?: SessionOptions): Stream {
  const stream = new Stream('delta', options)
  if (words !== undefined) stream.push(words)
  return stream
}

describe('xds/session delta', () => {
  describe('large responses', () => {
    /** Two resources of these tests take at most this many bytes, three take more. */
    const parts = {maxPartBytes: 300}

    it('go in parts, all of a type before the next type, and are computed from the newest snapshot', () => {
      const stream = opened(undefined, parts)
      stream.ask('cluster')
      stream.ask('listener')
      stream.writes = false
      expect(stream.push({cluster: {a: '1', b: '1', c: '1', d: '1', e: '1'}, listener: {l: '1'}})).to.deep.equal(['cluster +a=1 +b=1'])
      stream.push({cluster: {a: '1', b: '1', c: '1', d: '2'}, listener: {l: '1'}})
      expect(stream.write()).to.deep.equal(['cluster +c=1 +d=2', 'listener +l=1'])
    })

    it('a resource that is larger than a part goes alone', () => {
      const stream = opened({cluster: {a: '1', b: 'x'.repeat(1000), c: '1'}}, parts)
      expect(stream.ask('cluster').map(response => response.slice(0, 14))).to.deep.equal(['cluster +a=1', 'cluster +b=xxx', 'cluster +c=1'])
    })

    it('answer each requested name once, though it was refused before, and missing names after the last part', () => {
      const stream = opened({secret: {a: '1', b: '1', c: 'bad'}}, parts)
      stream.ask('secret', {subscribe: ['c']})
      stream.nack('secret', 'no')
      expect(stream.ask('secret', {subscribe: ['a', 'b', 'x', 'c']})).to.deep.equal(['secret +a=1 +b=1', 'secret +c=bad', 'secret -x'])
    })

    it('wait for the answer to each part where a client keeps what it refuses', () => {
      const stream = opened({scope: {a: '1', b: '1', c: '1'}}, parts)
      expect(stream.ask('scope')).to.deep.equal(['scope +a=1 +b=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope +c=1'])
    })
  })

  describe('subscriptions', () => {
    it('answers nothing before the first snapshot, then everything that is subscribed', () => {
      const stream = opened()
      expect(stream.ask('cluster')).to.deep.equal([])
      expect(stream.ask('secret', {subscribe: ['s', 'x']})).to.deep.equal([])
      expect(stream.wait(60_000)).to.deep.equal([])
      expect(stream.push({cluster: {a: '1'}, secret: {s: '1'}})).to.deep.equal(['cluster +a=1', 'secret +s=1', 'secret -x'])
    })

    it('answers a first wildcard request even when the snapshot is empty', () => {
      const stream = opened({})
      for (const kind of ['cluster', 'listener', 'scope'] as const) expect(stream.ask(kind)).to.deep.equal([kind])
      expect(stream.ask('secret')).to.deep.equal([])
    })

    it('sends nothing after an ACK or an unchanged snapshot', () => {
      const stream = opened({cluster: {a: '1'}})
      stream.ask('cluster')
      expect(stream.ack('cluster')).to.deep.equal([])
      expect(stream.push({cluster: {a: '1'}, listener: {l: '1'}})).to.deep.equal([])
    })

    it('sends only what changed', () => {
      const stream = opened({cluster: {a: '1', b: '1'}})
      stream.ask('cluster')
      expect(stream.push({cluster: {a: '2', b: '1', c: '1'}})).to.deep.equal(['cluster +a=2 +c=1'])
    })

    it('names a missing resource in removed_resources, and sends it once it exists', () => {
      const stream = opened({})
      expect(stream.ask('secret', {subscribe: ['late']})).to.deep.equal(['secret -late'])
      expect(stream.push({secret: {late: '1', other: '1'}})).to.deep.equal(['secret +late=1'])
    })

    it('sends a name again that is subscribed again, or names it as missing again', () => {
      const stream = opened({secret: {s: '1'}})
      stream.ask('secret', {subscribe: ['s', 'x']})
      expect(stream.ack('secret', {subscribe: ['s', 'x']})).to.deep.equal(['secret +s=1', 'secret -x'])
    })

    it('sends a name again that was unsubscribed and subscribed, and nothing in between', () => {
      const stream = opened({secret: {s: '1'}})
      stream.ask('secret', {subscribe: ['s']})
      expect(stream.ack('secret', {unsubscribe: ['s']})).to.deep.equal([])
      expect(stream.push({secret: {s: '2'}})).to.deep.equal([])
      expect(stream.push({secret: {s: '1'}})).to.deep.equal([])
      expect(stream.ask('secret', {subscribe: ['s']})).to.deep.equal(['secret +s=1'])
    })

    it('never removes a resource that the client unsubscribed before', () => {
      const stream = opened({secret: {s: '1', t: '1'}})
      stream.ask('secret', {subscribe: ['s', 't']})
      stream.ack('secret', {unsubscribe: ['s']})
      stream.push({secret: {t: '1'}})
      expect(stream.wait(6000)).to.deep.equal([])
    })

    it('keeps sending everything when a name joins the legacy wildcard, and only the names when the wildcard ends', () => {
      const stream = opened({cluster: {a: '1', b: '1'}})
      expect(stream.ask('cluster')).to.deep.equal(['cluster +a=1 +b=1'])
      expect(stream.ask('cluster', {subscribe: ['a']})).to.deep.equal(['cluster +a=1'])
      expect(stream.push({cluster: {a: '1', b: '2'}})).to.deep.equal(['cluster +b=2'])
      expect(stream.ask('cluster', {unsubscribe: ['*']})).to.deep.equal([])
      expect(stream.push({cluster: {a: '2', b: '3'}})).to.deep.equal(['cluster +a=2'])
    })

    it('sends what the wildcard covers when it begins again', () => {
      const stream = opened({cluster: {a: '1', b: '1'}})
      stream.ask('cluster', {subscribe: ['a']})
      expect(stream.ask('cluster', {subscribe: ['*']})).to.deep.equal(['cluster +b=1'])
      expect(stream.ask('cluster', {unsubscribe: ['*']})).to.deep.equal([])
      expect(stream.ask('cluster', {subscribe: ['*']})).to.deep.equal(['cluster +b=1'])
    })

    it('answers an unsubscribed name that the wildcard still covers', () => {
      const stream = opened({cluster: {a: '1'}})
      stream.ask('cluster', {subscribe: ['*', 'a', 'x']})
      expect(stream.ack('cluster', {unsubscribe: ['a', 'x']})).to.deep.equal(['cluster +a=1', 'cluster -x'])
      expect(stream.ack('cluster', {unsubscribe: ['a']}), 'a phantom').to.deep.equal([])
    })

    it('sends names alone when a wildcard type is subscribed by name', () => {
      const stream = opened({cluster: {a: '1', b: '1'}})
      expect(stream.ask('cluster', {subscribe: ['a', 'x']})).to.deep.equal(['cluster +a=1', 'cluster -x'])
      expect(stream.push({cluster: {a: '1', b: '2'}})).to.deep.equal([])
    })

    it('ignores "*" for secrets, notes it, and serves the other names', () => {
      const stream = opened({secret: {s: '1'}})
      expect(stream.ask('secret', {subscribe: ['*']})).to.deep.equal([])
      expect(stream.heard('wildcard-refused')).to.have.length(1)
    })
  })

  describe('NACK', () => {
    it('is error_detail: the NACKed version is not sent again, the next one is', () => {
      const stream = opened({cluster: {a: 'bad'}})
      stream.ask('cluster')
      expect(stream.nack('cluster', 'a: no good')).to.deep.equal([])
      expect(stream.heard('nacked').map(({message, names, refused}) => ({message, names, refused}))).to.deep.equal([
        {message: 'a: no good', names: ['a'], refused: ['a']},
      ])
      expect(stream.push({cluster: {a: 'bad', b: '1'}})).to.deep.equal(['cluster +b=1'])
      expect(stream.push({cluster: {a: '2', b: '1'}})).to.deep.equal(['cluster +a=2'])
      expect(stream.push({cluster: {a: 'bad', b: '1'}}), 'equal content in a later snapshot').to.deep.equal([])
    })

    it('sends the previous version again after a roll-back, since a NACK leaves open which one the client has', () => {
      const stream = opened({cluster: {a: '1'}})
      stream.ask('cluster')
      stream.ack('cluster')
      stream.push({cluster: {a: 'bad'}})
      stream.nack('cluster', 'no')
      expect(stream.push({cluster: {a: '1'}})).to.deep.equal(['cluster +a=1'])
      stream.ack('cluster')
      expect(stream.heard('repaired')).to.have.length(1)
    })

    it('is repaired by sending the resources that it does not name together, then the named ones one by one', () => {
      const stream = opened({listener: {a: '1', b: 'bad', c: '1', d: 'bad'}})
      stream.ask('listener')
      const repair = stream.nack('listener', 'Duplicate entry of domain x in route b; and y in route d')
      expect(repair).to.deep.equal(['listener +a=1 +c=1', 'listener +b=bad', 'listener +d=bad'])
      const [good, b, d] = ['2', '3', '4']
      stream.ack('listener', {nonce: good})
      expect(stream.nack('listener', 'b is bad', {nonce: b})).to.deep.equal([])
      expect(stream.nack('listener', 'd is bad', {nonce: d})).to.deep.equal([])
      const report = describeSession(stream.session)[0]
      expect([...(report?.refused ?? [])]).to.deep.equal([
        ['b', 'b is bad'],
        ['d', 'd is bad'],
      ])
      expect([...(report?.acked ?? [])].sort()).to.deep.equal([
        ['a', '1'],
        ['c', '1'],
      ])
      expect(report?.state).to.equal('nack')
    })

    it('is repaired in halves where it names no resource', () => {
      const stream = opened({listener: {a: '1', b: '1', c: 'bad', d: '1'}})
      stream.ask('listener')
      expect(stream.nack('listener', 'no')).to.deep.equal(['listener +a=1 +b=1', 'listener +c=bad +d=1'])
      stream.ack('listener', {nonce: '2'})
      expect(stream.nack('listener', 'no', {nonce: '3'})).to.deep.equal(['listener +c=bad', 'listener +d=1'])
      stream.nack('listener', 'no', {nonce: '4'})
      stream.ack('listener', {nonce: '5'})
      expect(stream.heard('nacked').at(-1)?.refused).to.deep.equal(['c'])
      expect(stream.push({listener: {a: '1', b: '1', d: '1'}}), 'it may be there').to.deep.equal(['listener -c'])
      stream.ack('listener')
      expect(describeSession(stream.session)[0]?.state).to.equal('synced')
    })

    it('leaves resources that changed since out of the repair', () => {
      const stream = opened({listener: {a: '1', b: 'bad'}})
      stream.ask('listener')
      stream.writes = false
      stream.push({listener: {a: '1', b: 'bad'}, cluster: {}})
      expect(stream.nack('listener', 'no')).to.deep.equal(['listener +a=1'])
      expect(stream.push({listener: {a: '1', b: '2'}})).to.deep.equal([])
      expect(stream.write()).to.deep.equal(['listener +b=2'])
    })

    it('answers a client that subscribes to a NACKed resource by name', () => {
      const stream = opened({secret: {s: 'bad'}})
      stream.ask('secret', {subscribe: ['s']})
      expect(stream.nack('secret', 'no')).to.deep.equal([])
      expect(stream.ask('secret', {subscribe: ['s']})).to.deep.equal(['secret +s=bad'])
      expect(stream.nack('secret', 'no')).to.deep.equal([])
      stream.ask('secret', {subscribe: ['s']})
      stream.ack('secret')
      expect(describeSession(stream.session)[0]?.state, 'it takes it at last').to.equal('synced')
      expect(stream.push({secret: {s: '2'}})).to.deep.equal(['secret +s=2'])
      expect(stream.push({secret: {s: 'bad'}}), 'and then it is as good as any').to.deep.equal(['secret +s=bad'])
    })

    it('answers a client that subscribed again before its NACK arrived', () => {
      const stream = opened({secret: {s: 'bad', t: '1'}})
      stream.ask('secret', {subscribe: ['s']})
      stream.writes = false
      expect(stream.ask('secret', {subscribe: ['t']})).to.deep.equal(['secret +t=1'])
      expect(stream.ask('secret', {subscribe: ['s']})).to.deep.equal([])
      expect(stream.nack('secret', 'no', {nonce: '1'})).to.deep.equal([])
      expect(stream.write()).to.deep.equal(['secret +s=bad'])
    })

    it('answers a suspect that is subscribed again at once', () => {
      const stream = opened({secret: {s: '1', t: 'bad', u: '1'}})
      stream.ask('secret', {subscribe: ['s', 't']})
      stream.writes = false
      expect(stream.ask('secret', {subscribe: ['u']})).to.deep.equal(['secret +u=1'])
      stream.nack('secret', 'no', {nonce: '1'})
      stream.ask('secret', {subscribe: ['s']})
      expect(stream.write()).to.deep.equal(['secret +s=1', 'secret +t=bad'])
    })

    it('tries no version again that was refused alone, though another response held it too', () => {
      const stream = opened({cluster: {a: 'bad'}})
      stream.ask('cluster')
      stream.push({cluster: {a: '1'}})
      stream.push({cluster: {a: 'bad', b: '1'}})
      expect(stream.nack('cluster', 'no', {nonce: '1'})).to.deep.equal([])
      stream.ack('cluster', {nonce: '2'})
      expect(stream.nack('cluster', 'no', {nonce: '3'})).to.deep.equal(['cluster +b=1'])
    })

    it('with a stale nonce has no effect, but its subscription counts', () => {
      const stream = opened({secret: {s: '1', t: '1'}})
      stream.ask('secret', {subscribe: ['s']})
      expect(stream.ask('secret', {subscribe: ['t'], nonce: '77', error: 'no'})).to.deep.equal(['secret +t=1'])
      expect(stream.heard('stale-nonce').map(({nonce}) => nonce)).to.deep.equal(['77'])
      expect(stream.heard('nacked')).to.deep.equal([])
      expect(stream.ask('secret', {unsubscribe: ['t'], nonce: 'nonsense'})).to.deep.equal([])
      expect(stream.push({secret: {s: '1', t: '2'}})).to.deep.equal([])
    })

    it('of an older response does not concern what a newer response sent since', () => {
      const stream = opened({cluster: {a: 'bad', b: '1'}})
      stream.ask('cluster')
      stream.push({cluster: {a: '2', b: '1'}})
      expect(stream.nack('cluster', 'a', {nonce: '1'})).to.deep.equal(['cluster +b=1'])
      stream.ack('cluster', {nonce: '2'})
      stream.ack('cluster', {nonce: '3'})
      expect(stream.heard('repaired')).to.have.length(1)
    })

    it('of a removal is not answered with the same removal, and a name that is back is sent', () => {
      const stream = opened({cluster: {a: '1'}, listener: {l: '1'}})
      stream.ask('cluster')
      stream.ask('listener')
      stream.ack('listener')
      expect(stream.push({listener: {l: '1'}})).to.deep.equal(['cluster -a'])
      expect(stream.nack('cluster', 'no')).to.deep.equal([])
      expect(stream.wait(10_000)).to.deep.equal([])
      expect(unacknowledged(stream.session).get(typeUrls.cluster)?.sent).to.deep.equal(['a'])
      expect(stream.push({cluster: {a: '1'}, listener: {l: '1'}})).to.deep.equal(['cluster +a=1'])
    })
  })

  describe('resources of a NACKed response that a client keeps without applying them, and does not apply when they are sent again (Envoy, scopes)', () => {
    it('are removed before a new resource is sent again', () => {
      const stream = opened({scope: {a: '1', b: 'bad'}})
      stream.ask('scope')
      expect(stream.nack('scope', 'route b')).to.deep.equal(['scope -a -b', 'scope +a=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope +b=bad'])
      expect(stream.nack('scope', 'route b'), 'NACKed alone it leaves none').to.deep.equal([])
    })

    it('are replaced by the previous version, so that nothing is missing meanwhile', () => {
      const stream = opened({scope: {a: '1', b: '1'}})
      stream.ask('scope')
      stream.ack('scope')
      stream.push({scope: {a: '2', b: 'bad', c: '1'}})
      expect(stream.nack('scope', 'route b')).to.deep.equal(['scope +a=1 +b=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope -c', 'scope +a=2 +c=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope +b=bad'])
    })

    it('are left by every NACKed group of the repair', () => {
      const stream = opened({scope: {a: '1', b: 'bad', c: '1', d: 'bad'}})
      stream.ask('scope')
      expect(stream.nack('scope', 'route b')).to.deep.equal(['scope -a -b -c -d', 'scope +a=1 +c=1 +d=bad'])
      expect(stream.nack('scope', 'route d')).to.deep.equal(['scope -a -c -d', 'scope +b=bad'])
      expect(stream.nack('scope', 'route b')).to.deep.equal(['scope +a=1 +c=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope +d=bad'])
      expect(stream.nack('scope', 'route d')).to.deep.equal([])
    })

    it('make additions wait for the answer to the last ones, but not removals', () => {
      const stream = opened({scope: {a: '1', b: '1'}, listener: {l: '1'}})
      for (const kind of ['scope', 'listener'] as const) {
        stream.ask(kind)
        stream.ack(kind)
      }

      expect(stream.push({scope: {a: '2', b: '1'}, listener: {l: '1'}})).to.deep.equal(['scope +a=2'])
      expect(stream.push({scope: {a: '3'}, listener: {l: '2'}})).to.deep.equal(['listener +l=2'])
      expect(stream.wait(5000)).to.deep.equal(['scope -b'])
      expect(stream.ack('scope', {nonce: '3'})).to.deep.equal(['scope +a=3'])
    })

    it('do not matter when another version is sent', () => {
      const stream = opened({scope: {a: '1', b: 'bad'}})
      stream.ask('scope')
      stream.writes = false
      stream.ask('cluster')
      stream.nack('scope', 'route b')
      stream.push({scope: {a: '2', b: '2'}})
      expect(stream.write()).to.deep.equal(['scope +a=2 +b=2'])
    })

    it('are remembered while another version is wanted but not sent', () => {
      const stream = opened({scope: {a: '1', b: 'bad'}})
      stream.ask('scope')
      stream.writes = false
      stream.ask('cluster')
      stream.nack('scope', 'route b')
      stream.push({scope: {a: '2', b: '2'}})
      stream.push({scope: {a: '1', b: '2'}})
      expect(stream.write()).to.deep.equal(['scope -a', 'scope +a=1 +b=2'])
    })

    it('are cleared for a name that was subscribed meanwhile too', () => {
      const stream = opened({scope: {a: '1', b: 'bad'}})
      stream.ask('scope')
      expect(stream.ask('scope', {subscribe: ['a']})).to.deep.equal([])
      expect(stream.nack('scope', 'route b')).to.deep.equal(['scope -a -b', 'scope +a=1'])
      expect(stream.ack('scope')).to.deep.equal(['scope +b=bad'])
    })

    it('may be left by an earlier stream, but not where the client lists the wanted version', () => {
      const before = new Map([[typeUrls.scope, {sent: ['a', 'b', 'c'], removed: []}]])
      const second = opened()
      second.push({scope: {a: '2', b: '2', c: '1'}}, before)
      expect(second.ask('scope', {initial: {a: '1', c: '1'}})).to.deep.equal(['scope -a -b', 'scope +a=2 +b=2 +c=1'])
    })

    it('are not left by other types', () => {
      const stream = opened({cluster: {a: '1', b: 'bad'}})
      stream.ask('cluster')
      expect(stream.nack('cluster', 'b: no')).to.deep.equal(['cluster +a=1', 'cluster +b=bad'])
    })
  })

  describe('after a reconnect with an unrepaired NACK', () => {
    it('names in removed_resources what the NACKed response sent and is gone, listed or not', () => {
      const first = opened({cluster: {good: '1', bad: 'bad'}})
      first.ask('cluster')
      first.nack('cluster', 'bad')
      const before = unacknowledged(first.session)
      const second = opened()
      second.push({}, before)
      second.ask('cluster')
      expect(second.wait(5000)).to.deep.equal(['cluster -bad -good'])
    })

    it('sends again what it sent or removed and exists, although the client lists that version', () => {
      const second = opened()
      second.push({cluster: {x: '1', y: '1', z: '1'}}, new Map([[typeUrls.cluster, {sent: ['x'], removed: ['y']}]]))
      expect(second.ask('cluster', {initial: {x: '1', y: '1', z: '1'}})).to.deep.equal(['cluster +x=1 +y=1'])
    })

    it('does so when the snapshot comes after the request too', () => {
      const second = opened()
      second.ask('cluster', {initial: {x: '1', z: '1'}})
      expect(second.push({cluster: {x: '1', z: '1'}}, new Map([[typeUrls.cluster, {sent: ['x', 'gone'], removed: []}]]))).to.deep.equal([
        'cluster +x=1',
      ])
      expect(second.wait(5000)).to.deep.equal(['cluster -gone'])
    })

    it('keeps what is still unacknowledged for the stream after that', () => {
      const left = {sent: ['x'], removed: []}
      const second = opened()
      second.push(
        {cluster: {x: '1'}, scope: {s: '1'}},
        new Map([
          [typeUrls.cluster, left],
          [typeUrls.scope, left],
        ]),
      )
      second.ask('cluster')
      expect(unacknowledged(second.session).get(typeUrls.cluster)?.sent, 'sent, not acknowledged').to.deep.equal(['x'])
      second.ack('cluster')
      expect([...unacknowledged(second.session).keys()], 'a type not requested yet').to.deep.equal([typeUrls.scope])
    })

    it('removes again what it had sent, when the removal was never answered', () => {
      const first = opened({scope: {a: '1'}})
      first.ask('scope')
      first.ack('scope')
      first.push({})
      const before = unacknowledged(first.session)
      expect(before.get(typeUrls.scope)).to.deep.equal({sent: [], removed: ['a']})
      const second = opened()
      second.push({}, before)
      expect(second.ask('scope', {initial: {}})).to.deep.equal(['scope'])
      expect(second.ack('scope')).to.deep.equal(['scope -a'])
    })

    it('treats a response that was never answered in the same way', () => {
      const stream = opened({cluster: {a: '1'}})
      stream.ask('cluster')
      expect(unacknowledged(stream.session).get(typeUrls.cluster)).to.deep.equal({sent: ['a'], removed: []})
      stream.ack('cluster')
      expect(unacknowledged(stream.session).size).to.equal(0)
    })
  })
})
