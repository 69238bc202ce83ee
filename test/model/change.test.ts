import {inspect} from 'node:util'
import {expect} from 'chai'
import {concerned, describe as describeChange, reduce, reduceAll} from '../../src/lib/model/change.js'
import {clusterOf, clustersOf, emptyFleet, isRegistered} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {testCluster} from '../helpers/fleet.js'

const paris = parseClusterName('paris')
const fault = {object: 'Service/paris', key: 'metadata.annotations', message: 'wanted an address; got "x"'}

describe('model/change', () => {
  it('reduce() sets, replaces and removes without touching the fleet it was given', () => {
    const one = reduce(emptyFleet, {kind: 'registration', name: paris, value: testCluster('paris')})
    const two = reduce(one, {kind: 'registration', name: paris, value: testCluster('paris', {replicas: 2})})
    const three = reduce(two, {kind: 'registration', name: paris, value: undefined})
    expect([emptyFleet, one, two, three].map(fleet => fleet.registrations.get(paris)?.replicas)).to.deep.equal([undefined, 1, 2, undefined])
  })

  it('reduceAll() keeps the maps that no change touches', () => {
    const fleet = reduceAll(emptyFleet, [{kind: 'registration', name: paris, value: testCluster('paris')}])
    expect(fleet.identities).to.equal(emptyFleet.identities)
    expect(reduceAll(fleet, [])).to.equal(fleet)
  })

  it('a broken registration is served as it was last accepted, and the fault is over when it is repaired or removed', () => {
    const registration = testCluster('paris')
    const good = reduceAll(emptyFleet, [
      {kind: 'registration', name: paris, value: registration},
      {kind: 'record', owner: paris, value: {owner: paris, generation: 1, registration, credentials: [], denied: []}},
    ])
    const broken = reduce(good, {kind: 'fault', subject: 'registration/paris', value: fault})
    expect(broken.registrations.has(paris)).to.equal(false)
    expect(clusterOf(broken, paris)).to.equal(registration)
    expect(clustersOf(broken)).to.deep.equal([registration])
    expect(isRegistered(broken, paris)).to.equal(true)

    const repaired = reduce(broken, {kind: 'registration', name: paris, value: testCluster('paris', {replicas: 3})})
    expect(repaired.faults.size).to.equal(0)
    expect(clusterOf(repaired, paris)?.replicas).to.equal(3)

    const removed = reduce(broken, {kind: 'registration', name: paris, value: undefined})
    expect(clusterOf(removed, paris)).to.equal(undefined)
    expect(isRegistered(removed, paris)).to.equal(false)
  })

  it('a broken identity is gone from the fleet, broken settings and trust stay', () => {
    const key = {certificate: 'PEM', key: new SecretText('SECRET')}
    const fleet = reduceAll(emptyFleet, [
      {kind: 'identity', owner: paris, value: key},
      {kind: 'trust', value: {roots: [], issuers: ['a'], credentialIssuers: []}},
      {kind: 'fault', subject: 'identity/paris', value: fault},
      {kind: 'fault', subject: 'trust', value: fault},
    ])
    expect(fleet.identities.size).to.equal(0)
    expect(fleet.trust?.issuers).to.deep.equal(['a'])
    expect([...fleet.faults.keys()]).to.deep.equal(['identity/paris', 'trust'])
  })

  it('concerned() names the Envoys that a change may reach', () => {
    expect(concerned({kind: 'registration', name: paris, value: undefined})).to.deep.equal(['paris', 'atlas'])
    expect(concerned({kind: 'identity', owner: paris, value: undefined})).to.deep.equal(['paris'])
    expect(concerned({kind: 'record', owner: 'atlas', value: undefined})).to.deep.equal(['atlas'])
    expect(concerned({kind: 'trust', value: undefined})).to.equal('all')
    expect(concerned({kind: 'endpoints', value: {text: 'x'}})).to.deep.equal([])
    expect(concerned({kind: 'fault', subject: 'identity/paris', value: fault})).to.deep.equal(['paris'])
    expect(concerned({kind: 'fault', subject: 'registration/paris', value: fault})).to.deep.equal(['paris', 'atlas'])
  })

  it('neither describe() nor any printing of a change shows a key', () => {
    const change = {kind: 'identity', owner: paris, value: {certificate: 'PEM', key: new SecretText('SECRET')}} as const
    for (const text of [describeChange(change), JSON.stringify(change), inspect(change, {depth: 9}), String(change.value.key)])
      expect(text).not.to.contain('SECRET')
    expect(change.value.key.reveal()).to.equal('SECRET')
  })
})
