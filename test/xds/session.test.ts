import {create} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {DiscoveryRequestSchema} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {acknowledgedVersion, describeSession} from '../../src/lib/xds/session.js'
import {namesInMessage} from '../../src/lib/xds/ack.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {Stream} from './stream.js'

describe('xds/session', () => {
  describe('requests', () => {
    it('closes for an empty type_url, and does nothing after that', () => {
      const stream = new Stream('delta')
      stream.push({cluster: {a: '1'}})
      stream.ask({typeUrl: ''})
      expect(stream.close).to.include('must have a type_url')
      expect(stream.heard('closed')).to.have.length(1)
      expect(stream.ask('cluster')).to.deep.equal([])
    })

    it('ignores a type that is not served, notes it once, and keeps the stream open', () => {
      const stream = new Stream('delta')
      stream.push({cluster: {a: '1'}})
      const runtime = {typeUrl: 'type.googleapis.com/envoy.service.runtime.v3.Runtime'}
      expect(stream.ask(runtime, {subscribe: ['x']})).to.deep.equal([])
      stream.ask(runtime)
      expect(stream.heard('unknown-type').map(note => note.typeUrl)).to.deep.equal([runtime.typeUrl])
      expect(stream.ask('cluster')).to.deep.equal(['cluster +a=1'])
    })

    it('closes for more unknown types than allowed', () => {
      const stream = new Stream('delta', {maxUnknownTypes: 2})
      for (const typeUrl of ['x', 'y', 'x', 'y']) stream.ask({typeUrl})
      expect(stream.close).to.equal(undefined)
      stream.ask({typeUrl: 'z'})
      expect(stream.close).to.include('at most 2 types')
    })

    it('closes for more names than allowed, in one request or in several', () => {
      for (const variant of ['delta', 'sotw'] as const) {
        const stream = new Stream(variant, {maxNames: 2})
        stream.ask('secret', {subscribe: ['a', 'b'], names: ['a', 'b']})
        expect(stream.close).to.equal(undefined)
        stream.ask('secret', {subscribe: ['c'], names: ['a', 'b', 'c']})
        expect(stream.close).to.include('at most 2 names')
      }
    })

    it('closes for a name longer than allowed', () => {
      for (const variant of ['delta', 'sotw'] as const) {
        const stream = new Stream(variant)
        stream.ask('secret', {subscribe: ['x'.repeat(512)], names: ['x'.repeat(512)]})
        expect(stream.close).to.equal(undefined)
        stream.ask('secret', {subscribe: ['y'.repeat(513)], names: ['y'.repeat(513)]})
        expect(stream.close).to.include('at most 512 characters')
      }
    })

    it('needs the node in the first request only, and closes when it changes', () => {
      const node = {id: 'envoy-0', cluster: 'paris'}
      const stream = new Stream('delta')
      stream.ask('cluster', {node})
      stream.ask('listener')
      stream.ask('listener', {node})
      stream.ask('scope', {node: {id: '', cluster: ''}})
      expect(stream.close, 'an empty node is none').to.equal(undefined)
      expect(stream.close).to.equal(undefined)
      stream.ask('listener', {node: {id: 'envoy-1', cluster: 'paris'}})
      expect(stream.close).to.include('node of a stream may not change')
      expect(stream.heard('node-changed')).to.deep.equal([{kind: 'node-changed', was: 'paris envoy-0', is: 'paris envoy-1'}])
      const other = new Stream('delta')
      other.ask('cluster', {node})
      other.ask('cluster', {node: {id: 'envoy-0', cluster: 'lyon'}})
      expect(other.close).to.include('may not change')
    })

    it('counts a name that a request repeats once, and notes it', () => {
      const stream = new Stream('delta')
      stream.push({secret: {s: '1'}})
      expect(stream.ask('secret', {subscribe: ['s', 's']})).to.deep.equal(['secret +s=1'])
      expect(stream.heard('duplicate-names').map(({names}) => names)).to.deep.equal([['s']])
    })

    it('notes what was subscribed', () => {
      const stream = new Stream('delta')
      stream.ask('cluster')
      stream.ask('secret', {subscribe: ['s']})
      stream.ask('secret', {unsubscribe: ['s']})
      expect(stream.heard('subscribed').map(({wildcard, names, dropped}) => ({wildcard, names, dropped}))).to.deep.equal([
        {wildcard: true, names: [], dropped: []},
        {wildcard: false, names: ['s'], dropped: []},
        {wildcard: false, names: [], dropped: ['s']},
      ])
    })

    it('throws for a request of the other variant, a mistake of its caller', () => {
      const stream = new Stream('delta')
      const request = create(DiscoveryRequestSchema, {typeUrl: typeUrls.cluster})
      expect(() => stream.take({kind: 'request', request})).to.throw('delta session')
    })

    it('cuts the message of a NACK', () => {
      const stream = new Stream('delta')
      stream.push({cluster: {a: '1'}})
      stream.ask('cluster')
      stream.nack('cluster', 'x'.repeat(100_000))
      expect(stream.heard('nacked')[0]?.message).to.have.length(4096)
    })
  })

  describe('acknowledged versions', () => {
    it('are those that the client acknowledged, resource by resource', () => {
      const stream = new Stream('delta')
      stream.push({secret: {identity: '1', trust: '1'}})
      stream.ask('secret', {subscribe: ['identity', 'trust']})
      const acked = (name: string) => acknowledgedVersion(stream.session, typeUrls.secret, name)
      expect(acked('identity')).to.equal(undefined)
      stream.ack('secret')
      expect(acked('identity')).to.equal('1')
      stream.push({secret: {identity: '2', trust: '1'}})
      stream.push({secret: {identity: '2', trust: '2'}})
      expect([acked('identity'), acked('trust')]).to.deep.equal(['1', '1'])
      stream.ack('secret', {nonce: '3'})
      expect([acked('identity'), acked('trust')], 'each response is answered for itself').to.deep.equal(['1', '2'])
      stream.ack('secret', {nonce: '2'})
      expect([acked('identity'), acked('trust')]).to.deep.equal(['2', '2'])
      stream.push({secret: {identity: 'bad', trust: '2'}})
      stream.nack('secret', 'no')
      expect(acked('identity'), 'what it had').to.equal('2')
    })

    it('do not include what is removed, whatever else is in flight', () => {
      const stream = new Stream('delta')
      stream.push({cluster: {a: '1', b: '1'}})
      for (const kind of ['cluster', 'listener'] as const) {
        stream.ask(kind)
        stream.ack(kind)
      }

      const acked = (name: string) => acknowledgedVersion(stream.session, typeUrls.cluster, name)
      expect(stream.push({cluster: {b: '1'}})).to.deep.equal(['cluster -a'])
      const removal = stream.nonces.get('cluster') ?? ''
      stream.push({cluster: {b: '2'}})
      expect([acked('a'), acked('b')]).to.deep.equal(['1', '1'])
      stream.ack('cluster', {nonce: removal})
      expect([acked('a'), acked('b')]).to.deep.equal([undefined, '1'])
    })

    it('keep the last one of a NACKed name while other names go on', () => {
      const stream = new Stream('delta')
      stream.push({secret: {identity: '1', trust: '1'}})
      stream.ask('secret', {subscribe: ['identity', 'trust']})
      stream.ack('secret')
      stream.push({secret: {identity: 'bad', trust: '1'}})
      stream.nack('secret', 'no')
      for (const version of ['2', '3']) {
        stream.push({secret: {identity: 'bad', trust: version}})
        stream.ack('secret')
        expect(acknowledgedVersion(stream.session, typeUrls.secret, 'identity')).to.equal('1')
        expect(acknowledgedVersion(stream.session, typeUrls.secret, 'trust')).to.equal(version)
      }
    })

    it('include what a client lists on a new stream, until it is in doubt', () => {
      const stream = new Stream('delta')
      stream.push({cluster: {a: '1', b: '1'}}, new Map([[typeUrls.cluster, {sent: ['b'], removed: []}]]))
      stream.ask('cluster', {initial: {a: '1', b: '1'}})
      expect(acknowledgedVersion(stream.session, typeUrls.cluster, 'a')).to.equal('1')
      expect(acknowledgedVersion(stream.session, typeUrls.cluster, 'b')).to.equal(undefined)
    })

    it('wait while a client leaves 64 responses unanswered; the newest state is sent once it answers', () => {
      const stream = new Stream('delta')
      stream.ask('cluster')
      for (let version = 1; version <= 1000; version += 1) stream.push({cluster: {a: `${version}`, [`b${version % 3}`]: '1'}})
      expect(stream.session.types.get(typeUrls.cluster)?.inFlight).to.have.length(64)
      for (let nonce = 1; nonce <= Number(stream.nonces.get('cluster')); nonce += 1) stream.ack('cluster', {nonce: `${nonce}`})
      expect([...(describeSession(stream.session)[0]?.acked ?? [])].filter(([name]) => name === 'a')).to.deep.equal([['a', '1000']])
      expect(stream.heard('stale-nonce')).to.deep.equal([])
    })

    it('hold back their own type alone: a denial and a certificate do not wait for clusters that warm', () => {
      const stream = new Stream('delta')
      stream.ask('cluster')
      stream.ask('route', {subscribe: ['ads']})
      stream.ask('secret', {subscribe: ['identity']})
      const routes = (text: string) => ({route: {ads: text}, secret: {identity: text}})
      stream.push(routes('first'))
      stream.ack('route')
      stream.ack('secret')
      for (let version = 1; version <= 70; version += 1) stream.push({cluster: {a: `${version}`}, ...routes('first')})
      expect(stream.session.types.get(typeUrls.cluster)?.inFlight).to.have.length(64)
      stream.push({cluster: {a: '71'}, ...routes('second')})
      for (const kind of ['route', 'secret'] as const) expect(stream.session.types.get(typeUrls[kind])?.inFlight).to.have.length(1)
      expect(stream.session.types.get(typeUrls.cluster)?.inFlight).to.have.length(64)
    })
  })

  describe('a retry of what was NACKed alone', () => {
    const opened = (): Stream => {
      const stream = new Stream('delta')
      stream.push({listener: {l: 'busy'}})
      stream.ask('listener')
      expect(stream.nack('listener', 'Address already in use')).to.deep.equal([])
      return stream
    }

    it('comes after 15 s, then after twice as long each time, at most 5 min', () => {
      const stream = opened()
      for (const seconds of [15, 30, 60, 120, 240, 300, 300]) {
        expect(stream.wait(seconds * 1000 - 1), `${seconds} s`).to.deep.equal([])
        expect(stream.wait(1), `${seconds} s`).to.deep.equal(['listener +l=busy'])
        expect(stream.nack('listener', 'Address already in use')).to.deep.equal([])
      }
    })

    it('is the only resource of its response, and its ACK ends the NACK', () => {
      const stream = opened()
      stream.push({listener: {l: 'busy', m: '1'}})
      stream.ack('listener')
      expect(stream.wait(15_000)).to.deep.equal(['listener +l=busy'])
      expect(describeSession(stream.session)[0]?.state).to.equal('nack')
      stream.ack('listener')
      expect(describeSession(stream.session)[0]?.state).to.equal('synced')
      expect(stream.wait(3_600_000)).to.deep.equal([])
    })

    for (const variant of ['delta', 'sotw'] as const)
      it(`that is accepted has all scopes sent again, which Envoy does not request again (${variant})`, () => {
        const stream = new Stream(variant)
        const scopes = variant === 'delta' ? 'scope +s=1 +t=1' : 'scope: s=1 t=1'
        const retried = variant === 'delta' ? 'listener +l=busy' : 'listener: l=busy'
        stream.push({listener: {l: 'busy'}, scope: {s: '1', t: '1'}})
        stream.ask('listener')
        expect(stream.ask('scope')).to.deep.equal([scopes])
        stream.ack('scope')
        stream.nack('listener', 'Address already in use')
        expect(stream.wait(15_000)).to.deep.equal([retried])
        expect(stream.nack('listener', 'Address already in use')).to.deep.equal([])
        expect(stream.wait(30_000)).to.deep.equal([retried])
        expect(stream.ack('listener')).to.deep.equal([scopes])
        expect(stream.ack('scope')).to.deep.equal([])
        expect(stream.ack('listener')).to.deep.equal([])
      })

    it('that is accepted answers an Envoy that waits for scopes where there is none', () => {
      const stream = opened()
      expect(stream.ask('scope')).to.deep.equal(['scope'])
      stream.ack('scope')
      stream.wait(15_000)
      expect(stream.ack('listener')).to.deep.equal(['scope'])
    })

    it('comes at once when a removal of its type is acknowledged: the removed listener had the same address', () => {
      const stream = new Stream('delta')
      stream.push({listener: {old: '1'}})
      stream.ask('listener')
      stream.ack('listener')
      expect(stream.push({listener: {new: '1'}})).to.deep.equal(['listener +new=1'])
      expect(stream.nack('listener', 'duplicate address')).to.deep.equal([])
      expect(stream.wait(5000)).to.deep.equal(['listener -old'])
      expect(stream.ack('listener')).to.deep.equal(['listener +new=1'])
      stream.ack('listener')
      expect(describeSession(stream.session)[0]?.state).to.equal('synced')
    })

    it('is forgotten with the version that it is about', () => {
      const stream = opened()
      expect(stream.push({listener: {l: '2'}})).to.deep.equal(['listener +l=2'])
      stream.ack('listener')
      expect(stream.wait(3_600_000)).to.deep.equal([])
    })
  })

  describe('status', () => {
    it('tells synced, stale and nack apart', () => {
      const stream = new Stream('delta')
      const state = () => describeSession(stream.session)[0]?.state
      stream.ask('cluster')
      expect(state(), 'no snapshot').to.equal('stale')
      stream.push({cluster: {a: '1'}})
      expect(state(), 'sent').to.equal('stale')
      stream.ack('cluster')
      expect(state(), 'acknowledged').to.equal('synced')
      stream.push({cluster: {}})
      expect(state(), 'to be removed').to.equal('stale')
      stream.push({cluster: {a: 'bad'}})
      stream.nack('cluster', 'no')
      expect(state(), 'refused').to.equal('nack')
      expect(describeSession(stream.session)[0]).to.include({nack: 'no', wildcard: true})
      expect(describeSession(stream.session)[0]?.nackNames).to.deep.equal(['a'])
      stream.push({cluster: {a: '2'}})
      stream.push({cluster: {a: '2'}, listener: {}})
      expect([state(), stream.heard('repaired').length], 'repaired, not yet acknowledged').to.deep.equal(['nack', 0])
      stream.ack('cluster')
      expect(state(), 'repaired').to.equal('synced')
    })

    it('keeps a NACK until the removal of the NACKed resource is acknowledged', () => {
      const stream = new Stream('delta')
      const state = () => describeSession(stream.session)[0]?.state
      stream.push({cluster: {a: 'bad'}})
      stream.ask('cluster')
      stream.nack('cluster', 'no')
      expect(stream.push({})).to.deep.equal([])
      expect([state(), stream.heard('repaired').length], 'it may be there').to.deep.equal(['nack', 0])
      expect(stream.wait(5000)).to.deep.equal(['cluster -a'])
      expect(state()).to.equal('nack')
      stream.ack('cluster')
      expect([state(), stream.heard('repaired').length]).to.deep.equal(['synced', 1])
    })

    it('shows a NACK again when the NACKed version is back, though it is not sent', () => {
      const stream = new Stream('delta')
      stream.push({scope: {a: 'bad'}})
      stream.ask('scope')
      stream.nack('scope', 'no good')
      stream.push({})
      expect(stream.wait(5000)).to.deep.equal(['scope -a'])
      stream.ack('scope')
      expect(stream.push({scope: {a: 'bad'}})).to.deep.equal([])
      expect(describeSession(stream.session)[0]).to.include({state: 'nack', nack: 'no good'})
    })
  })
})

describe('xds/ack namesInMessage', () => {
  it('finds whole names in the messages of Envoy', () => {
    const names = ['badc', 'badip', 'bad', 'okl', 'thanos/c1', 'thanos/c1000', 'a']
    const cds = 'Error adding/updating cluster(s) badc: Proto constraint validation failed, badip: malformed IP address'
    expect(namesInMessage(cds, names)).to.deep.equal(['badc', 'badip'])
    expect(namesInMessage('Duplicate entry of domain X in route thanos/c1000', names)).to.deep.equal(['thanos/c1000'])
    expect(namesInMessage("scope key conflict found, first scope is 'a', second scope is 'thanos/c1'", names)).to.deep.equal([
      'thanos/c1',
      'a',
    ])
    expect(namesInMessage('Failed to load private key from <inline>', names)).to.deep.equal([])
  })
})
