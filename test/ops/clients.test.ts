import {expect} from 'chai'
import {reduceAll} from '../../src/lib/model/change.js'
import type {Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClientName} from '../../src/lib/model/names.js'
import {nextDue} from '../../src/lib/ops/due.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {planLeaves} from '../../src/lib/ops/rotate.js'
import {issue} from '../../src/lib/pki/issue.js'
import {wantedRoot} from '../../src/lib/pki/certificate-specs.js'
import {readCertificates, readKey} from '../../src/lib/pki/read.js'
import {reconciled, testFleet, testSettings, testWorld} from '../helpers/world.js'

const DAY = 86_400
const [thanos, ruler] = ['thanos', 'ruler'].map(name => parseClientName(name)) as [ReturnType<typeof parseClientName>, never]
const lifetimes = {...testSettings.lifetimes, issuer: 3650 * DAY}
const settings = {...testSettings, lifetimes, clients: [thanos]}

function clientIn(fleet: Fleet, name = thanos): Credential {
  return fleet.clients.get(name) ?? expect.fail(`${name} has no certificate`)
}

describe('ops/clients', () => {
  it('a client that is named gets a certificate of its name, for clients, by the issuer, with the roots; nobody else gets one', () => {
    const world = testWorld()
    expect(testFleet(world).clients.size).to.equal(0)
    const fleet = testFleet(world, ['paris'], settings)
    expect([...fleet.clients.keys()]).to.deep.equal([thanos])
    const {uris, dns, purposes, isCa, notAfter} = readKey(clientIn(fleet))
    expect({uris, dns, purposes, isCa}).to.deep.equal({
      uris: ['spiffe://atlas.internal/client/thanos'],
      dns: [],
      purposes: ['client'],
      isCa: false,
    })
    expect((notAfter.getTime() - world.now().getTime()) / 1000 / DAY).to.equal(30)
    const [, issuer] = readCertificates(clientIn(fleet).certificate)
    expect(issuer?.sha256).to.equal(readKey(fleet.authority.get('issuer') ?? expect.fail('no issuer')).sha256)
    expect(clientIn(fleet).roots).to.equal(fleet.trust?.roots.join(''))
    expect(planReconcile(fleet, world)).to.deep.equal([])
  })

  it('renewed at two thirds of its life, for which the controller wakes', () => {
    const world = testWorld()
    let fleet = testFleet(world, [], settings)
    world.pass(21 * DAY)
    // By now all else may have been renewed; the client has not.
    fleet = {...reconciled(fleet, world), clients: fleet.clients}
    const due = nextDue(fleet) ?? expect.fail('nothing is due')
    expect(due.getTime()).to.be.at.most(world.now().getTime() + DAY * 1000)
    const before = clientIn(fleet)
    fleet = reconciled(fleet, world)
    expect(clientIn(fleet).certificate).to.not.equal(before.certificate)
    expect(planReconcile(fleet, world)).to.deep.equal([])
  })

  it('goes with its name in the settings, and comes back as another', () => {
    const world = testWorld()
    const fleet = testFleet(world, [], {...settings, clients: [thanos, ruler]})
    const fewer = reconciled(reduceAll(fleet, [{kind: 'settings', value: settings}]), world)
    expect([...fewer.clients.keys()]).to.deep.equal([thanos])
    expect(clientIn(fewer)).to.equal(clientIn(fleet))
    const again = reconciled(reduceAll(fewer, [{kind: 'settings', value: {...settings, clients: [thanos, ruler]}}]), world)
    expect(clientIn(again, ruler).certificate).to.not.equal(clientIn(fleet, ruler).certificate)
  })

  it('one that can not be read stays as it is, wanted or not', () => {
    const world = testWorld()
    const fault = {object: 'Secret/atlas-client-thanos', key: 'data.tls.crt', message: 'broken'}
    const broken = reduceAll(testFleet(world, [], settings), [{kind: 'fault', subject: 'client/thanos', value: fault}])
    expect(broken.clients.size).to.equal(0)
    for (const clients of [[thanos], []])
      expect(planReconcile({...broken, settings: {...settings, clients}}, world).filter(({kind}) => kind === 'client')).to.deep.equal([])
  })

  it('another root in force reaches it before anybody shows what that root has signed', () => {
    const world = testWorld()
    const fleet = testFleet(world, [], settings)
    const next = issue(wantedRoot(settings), undefined, world.now(), world.signer)
    const trust = fleet.trust ?? expect.fail('no trust')
    const joined = reconciled(reduceAll(fleet, [{kind: 'trust', value: {...trust, roots: [...trust.roots, next.certificate]}}]), world)
    expect(readCertificates(clientIn(joined).roots)).to.have.length(2)
    expect(planReconcile(joined, world)).to.deep.equal([])
  })

  it('issued anew with everybody else, and not where somebody is named', () => {
    const world = testWorld()
    const fleet = testFleet(world, [], settings)
    expect(planLeaves(fleet, ['atlas'], {others: false}, world).map(({kind}) => kind)).to.deep.equal(['identity'])
    expect(planLeaves(fleet, ['atlas'], {others: true}, world).map(({kind}) => kind)).to.deep.equal(['identity', 'server', 'client'])
  })
})
