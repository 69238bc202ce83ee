import {expect} from 'chai'
import {resourcesOf, type Resource, toSnapshot} from '../../src/lib/xds/snapshot.js'
import {allowsWildcard, isServedType, pushOrder, removalOrder, typeUrls} from '../../src/lib/xds/type-url.js'

function resource(typeUrl: string, name: string, version = '1'): Resource {
  return {typeUrl, name, version, body: new Uint8Array()}
}

describe('xds/snapshot', () => {
  it('shares the objects of unchanged resources, and the map of an unchanged type', () => {
    const before = toSnapshot([resource('t', 'a'), resource('t', 'b'), resource('u', 'a')])
    const after = toSnapshot([resource('t', 'a'), resource('t', 'b', '2'), resource('u', 'a')], before)
    expect(resourcesOf(after, 't').get('a')).to.equal(resourcesOf(before, 't').get('a'))
    expect(resourcesOf(after, 't').get('b')?.version).to.equal('2')
    expect(resourcesOf(after, 'u')).to.equal(resourcesOf(before, 'u'))
    const fewer = toSnapshot([resource('t', 'a')], before)
    expect([...resourcesOf(fewer, 't').keys()]).to.deep.equal(['a'])
    expect(resourcesOf(fewer, 'u').size).to.equal(0)
  })

  it('refuses two resources of one name', () => {
    expect(() => toSnapshot([resource('t', 'a', '1'), resource('t', 'a', '2')])).to.throw('"a" is there twice')
  })
})

describe('xds/type-url', () => {
  it('pushes resources before those that refer to them, and removes them in reverse order, secrets last', () => {
    const before = (order: readonly string[], a: string, b: string): boolean => order.indexOf(a) < order.indexOf(b)
    for (const [used, user] of [
      [typeUrls.cluster, typeUrls.scope],
      [typeUrls.cluster, typeUrls.route],
      [typeUrls.cluster, typeUrls.listener],
      [typeUrls.cluster, typeUrls.endpoint],
    ] as const)
      expect(before(pushOrder, used, user), `${used} before ${user}`).to.equal(true)
    for (const user of [typeUrls.scope, typeUrls.route, typeUrls.listener])
      expect(before(removalOrder, user, typeUrls.cluster)).to.equal(true)
    expect(removalOrder.at(-1)).to.equal(typeUrls.secret)
    expect([...removalOrder].sort()).to.deep.equal([...pushOrder].sort())
  })

  it('allows the wildcard for clusters, listeners and scopes alone', () => {
    expect(pushOrder.filter(type => allowsWildcard(type))).to.deep.equal([typeUrls.cluster, typeUrls.listener, typeUrls.scope])
    expect(isServedType('type.googleapis.com/envoy.service.runtime.v3.Runtime')).to.equal(false)
  })
})
