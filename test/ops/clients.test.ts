import {expect} from 'chai'
import {reduceAll} from '../../src/lib/model/change.js'
import type {Credential} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {parseClientName} from '../../src/lib/model/names.js'
import {nextDue} from '../../src/lib/ops/due.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {planLeaves} from '../../src/lib/ops/rotate.js'
import {CLIENTS_GRACE} from '../../src/lib/ops/rotation/late.js'
import {issue} from '../../src/lib/pki/issue.js'
import {rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {readCertificates, readKey} from '../../src/lib/pki/read.js'
import {reconciled, testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'
import {ModelNetwork} from './rotation/model-network.js'

const DAY = 86_400
const [thanos, ruler] = ['thanos', 'ruler'].map(name => parseClientName(name)) as [ReturnType<typeof parseClientName>, never]
const lifetimes = {...testSettings.lifetimes, issuer: 3650 * DAY}
const settings = {...testSettings, lifetimes, clients: [parseInternalClient(thanos)]}

function clientIn(fleet: Fleet, name = thanos): Credential {
  return fleet.clients.get(name) ?? expect.fail(`${name} has no certificate`)
}

/** PEM, one each. */
function rootsOf(fleet: Fleet): readonly string[] {
  return parseCertificates(clientIn(fleet).roots).map(certificate => certificate.toString())
}

describe('ops/clients', () => {
  it('a client in the settings gets a certificate for clients with its name, by the issuer, with the roots; no other client gets one', () => {
    const dependencies = testDependencies()
    expect(testFleet(dependencies).clients.size).to.equal(0)
    const fleet = testFleet(dependencies, ['paris'], settings)
    expect([...fleet.clients.keys()]).to.deep.equal([thanos])
    const {uris, dns, purposes, isCa, notAfter} = readKey(clientIn(fleet))
    expect({uris, dns, purposes, isCa}).to.deep.equal({
      uris: ['spiffe://atlas.internal/client/thanos'],
      dns: [],
      purposes: ['client'],
      isCa: false,
    })
    expect((notAfter.getTime() - dependencies.now().getTime()) / 1000 / DAY).to.equal(30)
    const [, issuer] = readCertificates(clientIn(fleet).certificate)
    expect(issuer?.sha256).to.equal(readKey(fleet.authority.get('issuer') ?? expect.fail('no issuer')).sha256)
    expect(clientIn(fleet).roots).to.equal(fleet.trust?.roots.join(''))
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('a client’s certificate is renewed at two thirds of its life, which nextDue() reports', () => {
    const dependencies = testDependencies()
    let fleet = testFleet(dependencies, [], settings)
    dependencies.pass(21 * DAY)
    // By now the other certificates may have been renewed; the client's has not.
    fleet = {...reconciled(fleet, dependencies), clients: fleet.clients}
    const due = nextDue(fleet, dependencies.now()) ?? expect.fail('nothing is due')
    expect(due.getTime()).to.be.at.most(dependencies.now().getTime() + DAY * 1000)
    const before = clientIn(fleet)
    fleet = reconciled(fleet, dependencies)
    expect(clientIn(fleet).certificate).to.not.equal(before.certificate)
    expect(planReconcile(fleet, dependencies)).to.deep.equal([])
  })

  it('a certificate goes with its name in the settings; a name that comes back gets another certificate', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, [], {...settings, clients: [thanos, ruler].map(name => parseInternalClient(name))})
    const fewer = reconciled(reduceAll(fleet, [{kind: 'settings', value: settings}]), dependencies)
    expect([...fewer.clients.keys()]).to.deep.equal([thanos])
    expect(clientIn(fewer)).to.equal(clientIn(fleet))
    const again = reconciled(
      reduceAll(fewer, [{kind: 'settings', value: {...settings, clients: [thanos, ruler].map(name => parseInternalClient(name))}}]),
      dependencies,
    )
    expect(clientIn(again, ruler).certificate).to.not.equal(clientIn(fleet, ruler).certificate)
  })

  it('a certificate that cannot be read stays as it is, whether the settings name the client or not', () => {
    const dependencies = testDependencies()
    const fault = {object: 'Secret/atlas-client-thanos', key: 'data.tls.crt', message: 'broken'}
    const broken = reduceAll(testFleet(dependencies, [], settings), [{kind: 'fault', subject: 'client/thanos', value: fault}])
    expect(broken.clients.size).to.equal(0)
    for (const clients of [[parseInternalClient(thanos)], []])
      expect(
        planReconcile({...broken, settings: {...settings, clients}}, dependencies).filter(({kind}) => kind === 'client'),
      ).to.deep.equal([])
  })

  it('another root in force reaches the client before any server shows a certificate below it', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, [], settings)
    const next = issue(rootSpec(settings), undefined, dependencies.now(), dependencies.signer)
    const trust = fleet.trust ?? expect.fail('no trust')
    const joined = reconciled(
      reduceAll(fleet, [{kind: 'trust', value: {...trust, roots: [...trust.roots, next.certificate]}}]),
      dependencies,
    )
    expect(readCertificates(clientIn(joined).roots)).to.have.length(2)
    expect(planReconcile(joined, dependencies)).to.deep.equal([])
  })

  it('in a rotation of the root the client has both roots before anything below the next one is shown, and loses the former one in the last stage', () => {
    const network = new ModelNetwork(testDependencies(), ['paris'])
    network.fleet = reconciled(reduceAll(network.fleet, [{kind: 'settings', value: settings}]), network.dependencies)
    const before = network.fleet
    const [former = ''] = before.trust?.roots ?? []
    const carried = new Map<string, readonly string[]>()
    network.begin('root')
    for (let step = 0; network.stage !== undefined && step < 10; step += 1) {
      network.settle()
      carried.set(network.fleet.rotation?.stage ?? 'none', rootsOf(network.fleet))
      network.apply()
      // The hour of the clients.
      network.dependencies.pass(CLIENTS_GRACE / 1000)
      network.settle()
    }

    expect(network.fleet.rotation).to.equal(undefined)
    const {roots: [next = ''] = [], issuers} = network.fleet.trust ?? {}
    expect(next).not.to.equal(former)
    expect([...carried]).to.deep.equal([
      ['credentials', [former, next]],
      ['leaves', [former, next]],
      ['retire', [next]],
    ])
    expect(rootsOf(network.fleet)).to.deep.equal([next])
    const [leaf, issuer] = readCertificates(clientIn(network.fleet).certificate)
    expect(leaf?.sha256).not.to.equal(readKey(clientIn(before)).sha256)
    expect([issuer?.sha256]).to.deep.equal(issuers?.flatMap(pem => readCertificates(pem).map(({sha256}) => sha256)))
  })

  it('the certificates of clients are replaced with those of all owners, not with those of named ones', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, [], settings)
    expect(planLeaves(fleet, ['atlas'], {others: false}, dependencies).map(({kind}) => kind)).to.deep.equal(['identity'])
    expect(planLeaves(fleet, ['atlas'], {others: true}, dependencies).map(({kind}) => kind)).to.deep.equal(['identity', 'server', 'client'])
  })
})
