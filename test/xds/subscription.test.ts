import {expect} from 'chai'
import {type Subscription, subscribeDelta, subscribeSotw} from '../../src/lib/xds/subscription.js'

const wild = {allowsWildcard: true}
const named = {allowsWildcard: false}

/** The subscription after a series of requests, as text: "*" = legacy, "**" = explicit wildcard, then the names. */
function delta(requests: ReadonlyArray<readonly [subscribe: readonly string[], unsubscribe?: readonly string[]]>, rules = wild): string {
  let subscription: Subscription | undefined
  for (const [subscribe, unsubscribe = []] of requests)
    subscription = subscribeDelta(subscription, {subscribe, unsubscribe}, rules).subscription
  return show(subscription)
}

function sotw(requests: ReadonlyArray<readonly string[]>, rules = wild): string {
  let subscription: Subscription | undefined
  for (const names of requests) subscription = subscribeSotw(subscription, names, rules).subscription
  return show(subscription)
}

function show(subscription: Subscription | undefined): string {
  const star = {none: '', legacy: '*', explicit: '**'}[subscription?.wildcard ?? 'none']
  return [star, ...(subscription?.names ?? [])].filter(text => text !== '').join(' ')
}

describe('xds/subscription', () => {
  describe('delta', () => {
    it('takes a first request without names as the legacy wildcard', () => expect(delta([[[]]])).to.equal('*'))
    it('takes an empty first request of a named type as nothing', () => expect(delta([[[]]], named)).to.equal(''))
    it('takes a first request with names as these names alone', () => expect(delta([[['a', 'b']]])).to.equal('a b'))
    it('keeps the legacy wildcard when a name is subscribed', () => expect(delta([[[]], [['a']]])).to.equal('* a'))
    it('keeps the legacy wildcard when that name is unsubscribed', () => expect(delta([[[]], [['a']], [[], ['a']]])).to.equal('*'))
    it('ends the legacy wildcard when "*" is unsubscribed', () => expect(delta([[[]], [['a']], [[], ['*']]])).to.equal('a'))
    it('takes "*" as the explicit wildcard', () => expect(delta([[['*', 'a']]])).to.equal('** a'))
    it('begins and ends the explicit wildcard later', () => {
      expect(delta([[['a']], [['*']]])).to.equal('** a')
      expect(delta([[['a']], [['*']], [[], ['*']]])).to.equal('a')
    })
    it('takes the last name unsubscribed as nothing, never as all', () => expect(delta([[['a']], [[], ['a']], [[]]])).to.equal(''))
    it('lets a name that is both unsubscribed and subscribed be subscribed', () => {
      const change = subscribeDelta({wildcard: 'none', names: new Set(['a'])}, {subscribe: ['a'], unsubscribe: ['a']}, wild)
      expect([...change.subscription.names]).to.deep.equal(['a'])
      expect(change.asked).to.deep.equal(['a'])
      expect(change.dropped).to.deep.equal([])
    })

    it('answers every subscribed name, even one that is subscribed already', () => {
      const change = subscribeDelta({wildcard: 'none', names: new Set(['a'])}, {subscribe: ['a', 'b'], unsubscribe: []}, wild)
      expect(change.asked).to.deep.equal(['a', 'b'])
    })

    it('drops an unsubscribed name, and answers it when a wildcard still covers it', () => {
      const names = new Set(['a', 'b'])
      const dropped = subscribeDelta({wildcard: 'none', names}, {subscribe: [], unsubscribe: ['a']}, wild)
      expect([dropped.dropped, dropped.asked]).to.deep.equal([['a'], []])
      const covered = subscribeDelta({wildcard: 'legacy', names}, {subscribe: [], unsubscribe: ['a']}, wild)
      expect([covered.dropped, covered.asked]).to.deep.equal([[], ['a']])
    })

    it('ignores the unsubscription of a name that was never subscribed', () => {
      const change = subscribeDelta({wildcard: 'legacy', names: new Set()}, {subscribe: [], unsubscribe: ['x']}, wild)
      expect([change.dropped, change.asked]).to.deep.equal([[], []])
    })

    it('counts a repeated name once, and reports it', () => {
      const change = subscribeDelta(undefined, {subscribe: ['a', 'b', 'a', 'a'], unsubscribe: ['c', 'c']}, wild)
      expect([...change.subscription.names]).to.deep.equal(['a', 'b'])
      expect(change.asked).to.deep.equal(['a', 'b'])
      expect(change.duplicates).to.deep.equal(['a', 'c'])
    })

    it('ignores "*" for a type that is served by name, and reports it', () => {
      const change = subscribeDelta(undefined, {subscribe: ['*', 'a'], unsubscribe: []}, named)
      expect(show(change.subscription)).to.equal('a')
      expect(change.wildcardRefused).to.equal(true)
      expect(change.asked).to.deep.equal(['a'])
    })

    it('reports when the wildcard begins and ends', () => {
      const begun = subscribeDelta(undefined, {subscribe: [], unsubscribe: []}, wild)
      expect([begun.wildcardBegan, begun.wildcardEnded]).to.deep.equal([true, false])
      const again = subscribeDelta(begun.subscription, {subscribe: ['*'], unsubscribe: []}, wild)
      expect([again.wildcardBegan, again.wildcardEnded]).to.deep.equal([false, false])
      const ended = subscribeDelta(again.subscription, {subscribe: [], unsubscribe: ['*']}, wild)
      expect([ended.wildcardBegan, ended.wildcardEnded]).to.deep.equal([false, true])
    })
  })

  describe('SotW', () => {
    it('takes requests without names as the legacy wildcard until one has names', () => {
      expect(sotw([[]])).to.equal('*')
      expect(sotw([[], []])).to.equal('*')
      expect(sotw([[], [], ['a']])).to.equal('a')
      expect(sotw([[], ['a'], []])).to.equal('')
      expect(sotw([['a'], []])).to.equal('')
    })
    it('takes an empty first request of a named type as nothing', () => expect(sotw([[]], named)).to.equal(''))
    it('takes "*" as the explicit wildcard, and a list without it as its end', () => {
      expect(sotw([['*', 'a']])).to.equal('** a')
      expect(sotw([['*', 'a'], ['a']])).to.equal('a')
      expect(sotw([['*'], []])).to.equal('')
    })

    it('answers new names, even one that comes back, and drops those that are gone', () => {
      const change = subscribeSotw({wildcard: 'none', names: new Set(['a', 'b'])}, ['b', 'c'], named)
      expect([change.asked, change.dropped]).to.deep.equal([['c'], ['a']])
      const back = subscribeSotw(change.subscription, ['b', 'c', 'a'], named)
      expect([back.asked, back.dropped]).to.deep.equal([['a'], []])
    })

    it('leaves the subscription as it is when the request repeats it', () => {
      const before: Subscription = {wildcard: 'none', names: new Set(['a', 'b'])}
      const change = subscribeSotw(before, ['b', 'a', 'a'], named)
      expect(change.subscription).to.equal(before)
      expect(change.asked).to.deep.equal([])
      expect(change.duplicates).to.deep.equal(['a'])
    })
  })
})
