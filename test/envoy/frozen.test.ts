import {expect} from 'chai'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {reduce, reduceAll} from '../../src/lib/model/change.js'
import {emptyFleet, type Fleet} from '../../src/lib/model/fleet.js'
import type {Node} from '../../src/lib/model/node.js'
import {credentialSpec} from '../../src/lib/pki/certificate-specs.js'
import {issueCredential} from '../../src/lib/pki/issue.js'
import {withRecovered} from '../../src/lib/pki/recover.js'
import {testCluster} from '../helpers/fleet.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {broken, build, changed, fleetOf, identityOf, names, nodeOf, recordsOf, textOf} from './fixture.js'

const atlas = nodeOf('atlas')
const paris = testCluster('paris')
const lyon = testCluster('lyon', {addresses: parseAddresses('lyon.example.com')})
const nice = testCluster('nice', {replicas: 3})
const fleet = fleetOf([paris, lyon, nice])

describe('envoy/build: a node keeps its configuration while an object that it needs cannot be read (promise 6)', () => {
  const frozenWhy = (of: Fleet, node: Node): string => {
    const built = buildSnapshot(of, node)
    return built.kind === 'frozen' ? built.why : 'a snapshot'
  }

  it('serves the last accepted registration while the present one does not decode', () => {
    const records = recordsOf({owner: 'paris', registration: paris})
    const [good, bad] = [{...fleet, records}, reduce({...fleet, records}, broken('registration/paris', 'Service/paris', 'spec'))]
    expect(changed(build(good, atlas), build(bad, atlas))).to.deep.equal([])
    expect(changed(build(good, nodeOf('paris')), build(bad, nodeOf('paris')))).to.deep.equal([])
  })

  it('serves it after a restart too, from the record alone', () => {
    const restarted = reduceAll(fleetOf([lyon], {records: recordsOf({owner: 'paris', registration: paris})}), [
      {kind: 'identity', owner: paris.name, value: identityOf('paris')},
      broken('registration/paris', 'Service/paris', 'spec'),
    ])
    expect(names(build(restarted, atlas), 'cluster')).to.include('thanos/paris')
    expect(names(build(restarted, nodeOf('paris')), 'cluster')).to.include('sidecar/0')
  })

  it('freezes a node whose identity is broken, naming object, file and key, and no other node', () => {
    const bad = reduce(fleet, broken('identity/paris', 'Secret/atlas-identities-07', 'paris'))
    expect(frozenWhy(bad, nodeOf('paris'))).to.equal('Secret/atlas-identities-07 (secret.yaml), paris: wanted a certificate, got "hello"')
    expect(frozenWhy(bad, nodeOf('nice'))).to.equal('a snapshot')
    expect(changed(build(fleet, atlas), build(bad, atlas))).to.deep.equal([])
  })

  it('freezes the observability Envoy when its own identity is broken', () => {
    expect(frozenWhy(reduce(fleet, broken('identity/atlas', 'Secret/atlas-identities-01', 'atlas')), atlas)).to.include(
      'atlas-identities-01',
    )
  })

  it('freezes a node whose identity is not issued yet', () => {
    const young = {...fleet, identities: new Map()}
    expect(frozenWhy(young, nodeOf('paris'))).to.equal('the identity of paris is not issued yet')
  })

  it('serves the last good trust while the present one is broken, and freezes where there was none', () => {
    const bad = reduce(fleet, broken('trust', 'ConfigMap/atlas-trust-bundle', 'issuers.pem'))
    expect(changed(build(fleet, atlas), build(bad, atlas))).to.deep.equal([])
    expect(frozenWhy({...bad, trust: undefined}, atlas)).to.equal(
      'ConfigMap/atlas-trust-bundle (secret.yaml), issuers.pem: wanted a certificate, got "hello"',
    )
    expect(frozenWhy({...fleet, trust: undefined}, nodeOf('paris'))).to.equal('there is no trust bundle yet')
  })

  it('freezes where a bundle is empty, because Envoy would refuse the listener', () => {
    const trust = {roots: ['r'], issuers: [], credentialIssuers: ['c']}
    expect(frozenWhy({...fleet, trust}, nodeOf('paris'))).to.include('trust bundle')
    expect(frozenWhy({...fleet, trust: {...trust, issuers: ['i'], credentialIssuers: []}}, atlas)).to.include('trust bundle')
    expect(frozenWhy({...fleet, trust: {...trust, issuers: ['i'], credentialIssuers: []}}, nodeOf('paris'))).to.equal('a snapshot')
  })

  it('freezes a node of a cluster that is not registered, or whose broken registration was never accepted', () => {
    expect(frozenWhy(fleetOf([]), nodeOf('paris'))).to.equal('the identity of paris is not issued yet')
    const left = {...fleetOf([paris]), registrations: new Map()}
    expect(frozenWhy(left, nodeOf('paris'))).to.equal('the cluster paris is not registered')
    expect(frozenWhy(reduce(left, broken('registration/paris', 'Service/paris', 'spec')), nodeOf('paris'))).to.include('Service/paris')
  })

  it('freezes every node before there are settings', () => {
    expect(frozenWhy(emptyFleet, atlas)).to.equal('there are no settings yet')
  })

  it('takes the pin of a cluster whose record is broken from its certificate, also after a restart', () => {
    const now = new Date('2026-11-24T00:00:00.000Z')
    const before = certified({...fleet, records: recordsOf({owner: 'paris', generation: 3})}, now)
    const restarted = reduce({...before, records: new Map()}, broken('record/paris', 'ConfigMap/atlas-records-04', 'paris'))
    expect(changed(build(before, atlas), build(restarted, atlas)).filter(name => !name.startsWith('route '))).to.deep.equal([])
    // As a server serves it, the denied names of earlier generations are there, too.
    expect(changed(build(before, atlas), build(withRecovered(restarted), atlas))).to.deep.equal([])
    const neither = {...restarted, identities: new Map([...restarted.identities, [paris.name, identityOf('paris')]])}
    expect(names(build(neither, atlas), 'cluster')).to.include('thanos/paris')
  })

  it('while the record is broken, the pin follows the identity that SDS delivers, also where the credential is of a later generation', () => {
    const now = new Date('2026-11-24T00:00:00.000Z')
    const authority = testAuthority(now)
    const {settings, credentialIssuer, root, signer} = authority
    const credential = issueCredential(credentialSpec(settings, paris.name, 2), credentialIssuer, [root.certificate], now, signer)
    const before = certified(fleet, now, authority)
    const later = {...before, records: new Map(), credentials: new Map([[paris.name, credential]])}
    const broke = reduce(later, broken('record/paris', 'ConfigMap/atlas-records-04', 'paris'))
    expect(withRecovered(broke).records.get(paris.name)?.generation).to.equal(2)
    for (const served of [broke, withRecovered(broke)]) {
      const pinned = textOf(build(served, atlas), 'cluster', 'thanos/paris')
      expect(pinned)
        .to.equal(textOf(build(before, atlas), 'cluster', 'thanos/paris'))
        .and.to.include('/downstream/paris/1')
    }
  })
})
