/** A rotation of the issuer or the root, stage by stage, planned from the store and from what Envoys and servers show. */
import {expect} from 'chai'
import type {TrustBundle} from '../../../src/lib/model/authority.js'
import {reduce, reduceAll} from '../../../src/lib/model/change.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {planCredentials} from '../../../src/lib/ops/rotate.js'
import {CLIENTS_GRACE, lateRotation} from '../../../src/lib/ops/rotation/late.js'
import {type Owner, parseClientName} from '../../../src/lib/model/names.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {testDependencies, testSettings} from '../../helpers/dependencies.js'
import {ModelNetwork} from './model-network.js'

const day = 86_400

describe('a rotation', () => {
  let network: ModelNetwork
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(), ['lyon', 'oslo', 'paris'])
  })

  /** Every certificate and key text in the store that is not a registration or a record. */
  const stored = ({authority, trust, identities, credentials, clients, server}: Fleet): string =>
    JSON.stringify([[...authority], trust, [...identities], [...credentials], [...clients], server])

  const certificates = ({roots, issuers, credentialIssuers}: TrustBundle): readonly string[] => [...roots, ...issuers, ...credentialIssuers]

  it('of the issuer goes through its stages, and leaves nothing of the former one', () => {
    const before = network.fleet
    network.begin('issuer')
    network.pass()
    expect(network.fleet.trust?.issuers, 'both are trusted').to.have.length(2)
    expect(network.fleet.authority.get('issuer'), 'and the former one still signs').to.equal(before.authority.get('issuer'))
    expect(network.stage).to.equal('announce')
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    const [former] = before.trust?.issuers ?? []
    expect(stored(network.fleet)).not.to.contain(JSON.stringify(former).slice(1, -1))
    expect(network.fleet.trust?.roots).to.deep.equal(before.trust?.roots)
    expect(network.fleet.trust?.credentialIssuers).to.deep.equal(before.trust?.credentialIssuers)
    expect(network.fleet.credentials, 'no credential is replaced').to.equal(before.credentials)
    expect([...network.fleet.authority.keys()].sort()).to.deep.equal(['credentialIssuer', 'issuer', 'root'])
  })

  it('of the root waits for credentials that carry the next root, twice, and leaves nothing of the former certificates', () => {
    const before = network.fleet
    network.begin('root')
    for (const round of ['credentials', 'retire'] as const) {
      expect(() => {
        network.settle()
      }).not.to.throw()
      expect(network.stage).to.equal(round)
      expect(network.waiting).to.have.length(4)
      expect(network.waiting[0]).to.equal(
        'atlas (atlas-0) is connected with a credential that does not carry the present roots: it takes up Secret atlas-envoy-ads within the hour, or when it is restarted; outside Kubernetes "atlas cluster values atlas --format bootstrap --output DIR" writes its files again',
      )
      network.apply(['atlas', 'oslo', 'paris'])
      network.settle()
      expect(network.stage, 'lyon lags').to.equal(round)
      expect(network.waiting).to.deep.equal([
        'lyon (lyon-0) is connected with a credential that does not carry the present roots: apply Secret lyon-envoy-ads there, as "atlas cluster values lyon --format secret" (or "--format bootstrap --output DIR") writes it; its Envoy connects with it within the hour, or when it is restarted',
      ])
      network.apply(['lyon'])
    }

    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    for (const former of certificates(before.trust!)) {
      expect(stored(network.fleet)).not.to.contain(JSON.stringify(former).slice(1, -1))
      for (const envoy of network.envoys) expect(envoy.files.roots).not.to.contain(former.trim())
    }
  })

  for (const part of ['issuer', 'root'] as const)
    it(`of the ${part} can end after any of its changes, and goes on from there`, () => {
      network.begin(part)
      for (let pass = 0; network.fleet.rotation !== undefined; pass += 1) {
        expect(pass).to.be.lessThan(400)
        const planned = network.plan()
        if (planned.length === 0) network.apply()
        for (const change of planned.slice(0, 1 + (pass % 3))) {
          network.fleet = reduce(network.fleet, change)
          network.requireWorking()
        }

        network.serve()
        network.acknowledge()
        network.dependencies.pass(1)
      }

      network.settle()
      expect(network.fleet.trust?.issuers).to.have.length(1)
    })

  it('waits for a cluster without a connected Envoy, and names it; skipped, it is left behind', () => {
    network.envoy('oslo').isConnected = false
    network.begin('issuer')
    network.settle()
    expect(network.stage).to.equal('announce')
    expect(network.waiting).to.deep.equal(['oslo has no connected Envoy'])
    network.begin('issuer', ['oslo'])
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('names the observability Envoy first and the clusters by name, in the same order whichever of them are connected', () => {
    const named = (): readonly string[] => network.waiting.map(each => each.split(' ', 1)[0] ?? '')
    const second = {...network.envoy('paris'), id: 'paris-1'}
    network.envoys.unshift(second)
    network.begin('root')
    network.settle()
    const ofParis = network.waiting.filter(each => each.startsWith('paris ')).map(each => each.split(' ', 2)[1])
    expect(ofParis, 'by the name of the node, whichever connected first').to.deep.equal(['(paris-0)', '(paris-1)'])
    network.envoys.shift()
    network.settle()
    expect(named()).to.deep.equal(['atlas', 'lyon', 'oslo', 'paris'])
    for (const absent of [['oslo'], ['paris', 'lyon'], ['atlas', 'paris']]) {
      for (const envoy of network.envoys) envoy.isConnected = !absent.includes(envoy.owner)
      network.settle()
      expect(named(), `without ${absent.join(', ')}`).to.deep.equal(['atlas', 'lyon', 'oslo', 'paris'])
    }
  })

  it('waits for an Envoy that refuses its secrets, and says why', () => {
    network.envoy('paris').refuses = 'the chain is invalid'
    network.begin('issuer')
    network.settle()
    expect(network.waiting).to.deep.equal([
      'paris (paris-0) has not acknowledged the present trust bundle: it refused it (the chain is invalid)',
    ])
  })

  it('waits for each server', () => {
    network.begin('issuer')
    network.pass()
    network.acknowledge()
    network.serve(['ads-0'])
    network.pass()
    expect(network.waiting).to.deep.equal(['server ads-1 does not use the present trust bundle yet'])
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('waits for each server to have every new identity: an Envoy that moves to one that lags would show its former one again', () => {
    network.begin('issuer')
    network.reach('leaves')
    const lagging = network.servers.get('ads-1')!
    for (let pass = 0; pass < 20; pass += 1) {
      network.serve()
      network.servers.set('ads-1', {...network.servers.get('ads-1')!, identities: lagging.identities})
      network.acknowledge()
      network.pass()
      network.dependencies.pass(2)
    }

    expect(network.stage).to.equal('leaves')
    expect(network.waiting).to.deep.equal(['server ads-1 does not have every new identity yet'])
    // One of an earlier version does not report them.
    network.servers.set('ads-1', {...network.servers.get('ads-1')!, identities: undefined})
    network.pass()
    expect(network.stage).to.equal('retire')
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('replaces identities in tenths, each after the one before is acknowledged', () => {
    const many = Array.from({length: 30}, (_, index) => `c${index}`)
    network = new ModelNetwork(testDependencies(), many)
    network.begin('issuer')
    network.reach('leaves')
    const issued = (): number => network.pass().filter(({kind}) => kind === 'identity').length
    expect(issued()).to.equal(3)
    expect(issued(), 'not before it is acknowledged').to.equal(0)
    network.acknowledge()
    expect(issued()).to.equal(3)
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('gives clients of the internal ports an hour', () => {
    const clients = [{name: parseClientName('thanos'), ports: [10_901] as const}]
    network.fleet = reduce(network.fleet, {kind: 'settings', value: {...testSettings, clients}})
    network.settle()
    network.begin('issuer')
    network.settle()
    expect(network.waiting).to.have.length(1)
    expect(network.waiting[0]).to.match(/^client thanos has until .* to take up its new certificate$/)
    network.dependencies.pass(20 * 60)
    expect(lateRotation(network.fleet, network.dependencies.now()), 'it needs no person').to.equal(undefined)
    network.dependencies.pass(60 * 60)
    expect(lateRotation(network.fleet, network.dependencies.now())).to.contain('client thanos has until')
    network.dependencies.pass(CLIENTS_GRACE / 1000)
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
  })

  describe('of the issuer, automatic,', () => {
    /** A day, in which identities are renewed as usual. */
    const days = (count: number): void => {
      for (let passed = 0; passed < count; passed += 1) {
        network.dependencies.pass(day)
        network.settle()
      }
    }

    it('begins at two thirds of its life, and again in time, for five years', function () {
      this.timeout(60_000)
      let begun = 0
      for (let passed = 0; passed < 5 * 365; passed += 5) {
        network.dependencies.pass(5 * day)
        const before = network.fleet.authority.get('issuer')
        network.settle()
        network.apply()
        if (network.fleet.authority.get('issuer') !== before) begun += 1
      }

      expect(begun).to.be.within(6, 8)
      expect(network.fleet.rotation).to.equal(undefined)
    })

    it('waits for a cluster without an Envoy until the last twelfth of the issuer’s life, and then goes on', () => {
      days(230)
      network.envoy('oslo').isConnected = false
      days(35)
      expect(network.stage).to.equal('announce')
      expect(network.waiting).to.deep.equal(['oslo has no connected Envoy'])
      days(65)
      expect(network.stage).to.equal('announce')
      days(20)
      expect(network.fleet.rotation).to.equal(undefined)
    })
  })

  it('is taken up again where its record is lost, at a stage that proves what went before', () => {
    for (const lostAt of ['announce', 'leaves'] as const) {
      network = new ModelNetwork(testDependencies(), ['paris'])
      network.begin('issuer')
      for (let pass = 0; network.stage !== lostAt; pass += 1) {
        expect(pass).to.be.lessThan(20)
        network.pass()
        network.serve()
        network.acknowledge()
      }

      network.fleet = reduce(network.fleet, {kind: 'rotation', value: undefined})
      network.settle()
      expect(network.fleet.rotation).to.equal(undefined)
      expect(network.fleet.trust?.issuers).to.have.length(1)
    }
  })

  it('of the root works where the key of the former one is lost', () => {
    network.fleet = reduce(network.fleet, {kind: 'authority', part: 'root', value: undefined})
    network.begin('root')
    for (let round = 0; round < 2; round += 1) {
      network.settle()
      network.apply()
    }

    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.authority.has('root')).to.equal(true)
    expect(network.fleet.trust?.roots).to.have.length(1)
  })

  it('of a root that has ended does not wait for Envoys that cannot connect, and lists the Secrets to apply', () => {
    const {root} = testSettings.lifetimes
    network.dependencies.pass(root + day)
    for (const envoy of network.envoys) envoy.isConnected = false
    network.begin('root')
    network.serve()
    network.reach('leaves')
    for (let pass = 0; pass < 30 && network.pass().length > 0; pass += 1) network.serve()
    expect(network.stage).to.equal('leaves')
    expect(network.waiting).to.deep.equal(
      ['atlas', 'lyon', 'oslo', 'paris'].map(owner =>
        owner === 'atlas'
          ? 'atlas has no connected Envoy: it takes up Secret atlas-envoy-ads within the hour, or when it is restarted; outside Kubernetes "atlas cluster values atlas --format bootstrap --output DIR" writes its files again'
          : `${owner} has no connected Envoy: apply Secret ${owner}-envoy-ads there, as "atlas cluster values ${owner} --format secret" (or "--format bootstrap --output DIR") writes it; its Envoy connects with it within the hour, or when it is restarted`,
      ),
    )
    for (const envoy of network.envoys) envoy.isConnected = true
    for (let round = 0; round < 2; round += 1) {
      network.apply()
      network.acknowledge()
      network.settle()
    }

    network.apply()
    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.have.length(1)
  })

  describe('that waits for longer than the issuer lives', () => {
    /** Days, in which identities are renewed as usual; the Envoys of lyon keep their credential. */
    const wait = (days: number): void => {
      for (let passed = 0; passed < days; passed += 5) {
        network.dependencies.pass(5 * day)
        network.serve()
        network.acknowledge()
        for (let pass = 0; pass < 8; pass += 1) network.plan().forEach(change => (network.fleet = reduce(network.fleet, change)))
      }
    }

    const leaf = (): number => readKey(network.fleet.identities.get('atlas')!).notAfter.getTime() - network.dependencies.now().getTime()

    it('has the issuer issued again for its own key, as often as that is due, and no identity replaced for it', () => {
      network.begin('root')
      network.settle()
      network.apply(['atlas', 'oslo', 'paris'])
      const former = network.fleet.authority.get('issuer')!
      wait(245)
      const identities = network.fleet.identities
      wait(20)
      const again = network.fleet.authority.get('issuer')!
      expect([again.key === former.key, again.certificate === former.certificate]).to.deep.equal([true, false])
      expect(network.fleet.trust?.issuers[0]).to.equal(again.certificate)
      expect(network.fleet.trust?.issuers, 'with the next one').to.have.length(2)
      expect([...identities.keys()]).to.deep.equal([...network.fleet.identities.keys()])
      wait(500)
      expect(network.stage).to.equal('credentials')
      expect(leaf(), 'identities are issued again').to.be.greaterThan(0)
      expect(readKey(network.fleet.authority.get('issuer')!).notAfter.getTime()).to.be.greaterThan(network.dependencies.now().getTime())
      network.apply()
      network.settle()
      network.apply()
      network.settle()
      expect(network.fleet.rotation).to.equal(undefined)
      expect(network.fleet.authority.get('issuer')?.key).not.to.equal(former.key)
    })

    it('goes on at its end where the root cannot sign, since every certificate has ended with it, and waits before it retires anything', () => {
      network.begin('root')
      network.settle()
      network.apply(['atlas', 'oslo', 'paris'])
      network.fleet = reduce(network.fleet, {kind: 'authority', part: 'root', value: undefined})
      wait(380)
      expect(network.stage).to.equal('leaves')
      expect(leaf(), 'identities are issued again').to.be.greaterThan(0)
      expect(network.waiting.join()).to.contain('lyon (lyon-0) is connected with a credential that does not carry the present roots')
      network.apply()
      network.settle()
      network.apply()
      network.settle()
      expect(network.fleet.rotation).to.equal(undefined)
    })

    it('keeps an issuer alive in the last stage, too', () => {
      network.begin('root')
      network.settle()
      network.apply()
      network.settle()
      expect(network.stage).to.equal('retire')
      wait(760)
      expect(network.stage).to.equal('retire')
      expect(leaf()).to.be.greaterThan(0)
      network.apply()
      network.settle()
      expect(network.fleet.rotation).to.equal(undefined)
    })
  })

  it('of the root does not retire the credential of an Envoy that came back with its former one', () => {
    network.begin('root')
    network.pass()
    network.fleet = reduceAll(network.fleet, planCredentials(network.fleet, ['lyon' as Owner], {others: false}, network.dependencies))
    network.apply(['lyon'])
    const {files, stream} = network.envoy('lyon')
    network.dependencies.pass(day)
    network.settle()
    network.apply()
    network.reach('leaves')
    Object.assign(network.envoy('lyon'), {files, stream})
    network.settle()
    expect(network.stage).to.equal('leaves')
    expect(network.waiting).to.have.length(2)
    expect(network.waiting[0], 'which is held (held.test.ts)').to.equal('the identity of atlas is not issued yet')
    expect(network.waiting[1]).to.match(/^lyon \(lyon-0\) is connected with a credential that does not carry the present roots/)
  })

  it('of the root does not take a credential of the former issuer for the later one where the clocks of two servers differ', () => {
    network.begin('root')
    network.pass()
    network.dependencies.pass(120)
    network.fleet = reduceAll(network.fleet, planCredentials(network.fleet, ['lyon' as Owner], {others: false}, network.dependencies))
    network.apply(['lyon'])
    // The next leader's clock is behind by as much.
    network.dependencies.pass(-120)
    network.settle()
    network.apply(['atlas', 'oslo', 'paris'])
    network.settle()
    expect(network.stage).to.equal('credentials')
    expect(network.waiting.join()).to.contain('lyon (lyon-0) is connected with a credential that does not carry the present roots')
  })

  it('of the root leaves no retired root in the stored credential of a cluster that it leaves behind', () => {
    const names = Array.from({length: 30}, (_, index) => `c${index}`)
    network = new ModelNetwork(testDependencies(), names)
    const former = network.fleet.trust?.roots[0]?.trim() ?? ''
    for (const name of names.slice(1)) network.envoy(name).isConnected = false
    network.begin('root', names.slice(1))
    for (let round = 0; round < 3; round += 1) {
      network.settle()
      network.apply()
    }

    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    for (const [owner, {roots}] of network.fleet.credentials) expect(roots, owner).not.to.contain(former)
  })

  it('does nothing while the clock is doubted', () => {
    network.begin('issuer')
    network.pass()
    network.serve()
    network.acknowledge()
    Object.assign(network.dependencies, {clockDoubt: () => 'the clock of this machine is wrong'})
    expect(network.pass()).to.deep.equal([])
    expect(network.stage).to.equal('announce')
  })
})
