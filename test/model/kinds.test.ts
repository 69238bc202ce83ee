import {expect} from 'chai'
import {cutsOff, madeDue} from '../../src/lib/model/change.js'
import {emptyFleet} from '../../src/lib/model/fleet.js'
import {type EntryKind, type Kind, changeKinds, changeOf, nameIn, parseSubject, subjectOf} from '../../src/lib/model/kinds.js'
import {leaseNames, objectKey, objectNames, parseClusterName, parseObjectKey} from '../../src/lib/model/names.js'
import {testCluster} from '../helpers/fleet.js'

const paris = parseClusterName('paris')
const kinds = Object.keys(changeKinds) as Kind[]

describe('model/kinds', () => {
  it('each kind has a field of its own in the fleet, empty at first', () => {
    expect(Object.keys(emptyFleet).sort()).to.deep.equal(kinds.map(kind => changeKinds[kind].field).sort())
    for (const kind of kinds) {
      const {field, name} = changeKinds[kind]
      expect(emptyFleet[field], field).to.deep.equal(name === undefined ? undefined : new Map())
    }
  })

  it('a change is made of its kind, name and value, and gives the name back', () => {
    for (const kind of kinds) {
      const isNamed = changeKinds[kind].name !== undefined
      const change = changeOf(kind, 'paris', undefined)
      expect(nameIn(change), kind).to.equal(isNamed ? 'paris' : '')
      expect(Object.keys(change)).to.have.length(isNamed ? 3 : 2)
    }

    expect(changeOf('identity', 'paris', undefined)).to.deep.equal({kind: 'identity', owner: paris, value: undefined})
    expect(changeOf('trust', '', undefined)).to.deep.equal({kind: 'trust', value: undefined})
  })

  it('a subject is taken apart into what it was made of', () => {
    for (const kind of kinds.filter((each): each is EntryKind => each !== 'fault' && each !== 'revision'))
      for (const name of changeKinds[kind].name === undefined ? [''] : ['paris', 'Service/paris-thanos-sidecar0'])
        expect(parseSubject(subjectOf(kind, name))).to.deep.equal({kind, name})
    expect(subjectOf('object', 'Service/x')).to.equal('object/Service/x')
  })

  it('derived names and object keys are taken apart into what they were made of, and other names are not', () => {
    for (const name of [objectNames.credential, objectNames.values, objectNames.registration])
      expect(name.parse(name(paris))).to.equal(paris)
    expect(objectNames.report.parse(objectNames.report('atlas-ads-0'))).to.equal('atlas-ads-0')
    expect(leaseNames.replica.parse(leaseNames.replica('atlas-ads-0'))).to.equal('atlas-ads-0')
    expect(objectNames.credential.parse('-envoy-ads')).to.equal(undefined)
    expect(objectNames.credential.parse('Paris-envoy-ads')).to.equal(undefined)
    expect(objectNames.client.parse('atlas-client-paris-envoy-ads')).to.equal(undefined)
    expect(leaseNames.replica.parse(leaseNames.leader)).to.equal(undefined)
    expect(parseObjectKey(objectKey('Secret', 'a/b'))).to.deep.equal({kind: 'Secret', name: 'a/b'})
  })

  it('what takes a right away is sent without delay', () => {
    const record = {owner: paris, generation: 1, credentials: [], denied: []} as const
    const credential = {sha256: 'a', serial: 'b', notAfter: '', rootsDigest: 'c', state: 'revoked'} as const
    expect(cutsOff({kind: 'registration', name: paris, value: undefined})).to.equal(true)
    expect(cutsOff({kind: 'registration', name: paris, value: testCluster('paris')})).to.equal(false)
    expect(cutsOff({kind: 'record', owner: paris, value: record})).to.equal(false)
    expect(cutsOff({kind: 'record', owner: paris, value: undefined})).to.equal(true)
    expect(cutsOff({kind: 'record', owner: paris, value: {...record, suspendedSince: '2026-11-25T00:00:00.000Z'}})).to.equal(true)
    expect(cutsOff({kind: 'record', owner: paris, value: {...record, credentials: [credential]}})).to.equal(true)
    expect(cutsOff({kind: 'record', owner: paris, value: {...record, denied: [{name: 'x', until: ''}]}})).to.equal(true)
    expect(cutsOff({kind: 'settings', value: undefined})).to.equal(false)
  })

  it('the leader looks at the owners for which a change may make something due', () => {
    expect(madeDue({kind: 'credential', owner: paris, value: undefined})).to.deep.equal(['paris'])
    expect(madeDue({kind: 'derived', object: 'Secret/paris-envoy-values', value: undefined})).to.deep.equal(['paris'])
    expect(madeDue({kind: 'derived', object: 'Service/paris-thanos-sidecar7', value: undefined})).to.deep.equal(['paris'])
    expect(madeDue({kind: 'derived', object: 'ConfigMap/atlas-coredns', value: undefined})).to.deep.equal(['atlas'])
    expect(madeDue({kind: 'fault', subject: 'authority/root', value: undefined})).to.equal('all')
    expect(madeDue({kind: 'revision', object: 'ConfigMap/x', value: 'y'})).to.deep.equal([])
  })
})
