/** A rotation where something that it needs is lost, made again or refused: it waits and says for what, and never cuts the network off. */
import {expect} from 'chai'
import {type AuthorityPart, type NextPart, nextParts} from '../../../src/lib/model/authority.js'
import {reduce, reduceAll} from '../../../src/lib/model/change.js'
import {parseClientName} from '../../../src/lib/model/names.js'
import {type Rotation, WAITING_MAX} from '../../../src/lib/model/rotation.js'
import {decodeRotation, encodeRotation} from '../../../src/lib/manifest/rotation.js'
import {allRenewals, noRenewals} from '../../../src/lib/ops/renewals.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {CLIENTS_GRACE} from '../../../src/lib/ops/rotation/late.js'
import {readCertifiedKey} from '../../../src/lib/pki/signed.js'
import {testDependencies, testSettings} from '../../helpers/dependencies.js'
import {ModelNetwork} from './model-network.js'

const day = 86_400

describe('a rotation where something is lost or refused', () => {
  let network: ModelNetwork
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(), ['lyon', 'oslo', 'paris'])
  })

  function lose(part: AuthorityPart | NextPart): void {
    network.fleet = reduce(network.fleet, {kind: 'authority', part, value: undefined})
  }

  function set(changes: Partial<Rotation>): void {
    if (network.fleet.rotation === undefined) throw new Error('there is no rotation')
    network.fleet = reduce(network.fleet, {kind: 'rotation', value: {...network.fleet.rotation, ...changes}})
  }

  /** Credentials are applied whenever that is all that is waited for, until the rotation has ended. */
  function finish(): void {
    for (let round = 0; round < 5; round += 1) {
      network.settle()
      network.apply()
    }

    expect(network.fleet.rotation).to.equal(undefined)
    const {authority, trust} = network.fleet
    const root = authority.get('root')!
    expect(trust?.roots).to.have.length(1)
    for (const part of ['issuer', 'credentialIssuer'] as const)
      expect(readCertifiedKey(authority.get(part)!, [root.certificate]).signedBy, part).not.to.equal(undefined)
  }

  /** Passes in which nothing is required of Envoys that refuse what they are sent. */
  function passes(count: number, seconds = 2): void {
    for (let pass = 0; pass < count; pass += 1) {
      network.fleet = reduceAll(network.fleet, network.plan())
      network.serve()
      network.acknowledge()
      network.dependencies.pass(seconds)
    }
  }

  for (const part of ['root', 'issuer'] as const)
    it(`waits where the next ${part} is lost after it was announced, and makes it again on a person's word`, () => {
      network.begin('root')
      network.settle()
      expect(network.stage).to.equal('credentials')
      lose(nextParts[part])
      for (let round = 0; round < 3; round += 1) {
        network.apply()
        network.settle()
      }

      expect(network.stage).to.equal('credentials')
      expect(network.waiting[0]).to.match(
        /^the issuer is not signed by the root that follows: restore Secrets atlas-ca-next, .* set "stage: announce"/,
      )
      set({stage: 'announce'})
      finish()
    })

  it('makes the next issuers again where the next root was, before it is announced to all', () => {
    network.envoy('oslo').isConnected = false
    network.begin('root')
    network.settle()
    lose('nextRoot')
    network.envoy('oslo').isConnected = true
    finish()
  })

  for (const lost of ['issuer', 'credentialIssuer'] as const)
    for (const part of ['issuer', 'root'] as const)
      it(`of the ${part} retires nothing that is in use where the ${lost} is made again in its last stage`, () => {
        network.begin(part)
        for (let pass = 0; network.stage !== 'retire'; pass += 1) {
          expect(pass).to.be.lessThan(40)
          network.pass()
          network.serve()
          network.acknowledge()
          if (network.stage === 'credentials') network.apply()
          network.dependencies.pass(2)
        }

        const {trust} = network.fleet
        lose(lost)
        network.pass()
        expect(network.fleet.trust?.[lost === 'issuer' ? 'issuers' : 'credentialIssuers']).to.include.members(
          [...(lost === 'issuer' ? trust!.issuers : trust!.credentialIssuers)].slice(-1),
        )
        if (part === 'root' || lost === 'issuer') expect(network.stage).to.equal(part === 'issuer' ? 'announce' : 'credentials')
        for (let round = 0; round < 5; round += 1) {
          network.settle()
          network.apply()
        }

        expect(network.fleet.rotation).to.equal(undefined)
      })

  it('begins by no credential issuer that was made again below the same root', () => {
    lose('credentialIssuer')
    network.settle()
    expect(network.fleet.trust?.credentialIssuers).to.have.length(2)
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('goes on for all others where clusters that refuse their identities are skipped', () => {
    const many = Array.from({length: 12}, (_, index) => `c${index}`)
    const left = ['c0', 'c1', 'c2']
    network = new ModelNetwork(testDependencies(), many)
    for (const name of left) network.envoy(name).refuses = 'no'
    network.begin('issuer')
    passes(10)
    expect(network.stage).to.equal('announce')
    set({skipped: network.owners().filter(owner => left.includes(owner))})
    passes(60, 30)
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.issuers).to.have.length(1)
  })

  it('of the issuer is not held up to its end by a connected Envoy that refuses the next one', () => {
    network.envoy('paris').refuses = 'no'
    for (let passed = 0; passed < 330; passed += 1) passes(1, day)
    expect(network.stage).to.equal('announce')
    expect(network.waiting).to.have.length(1)
    for (let passed = 0; passed < 20; passed += 1) passes(1, day)
    expect(network.stage).to.equal('retire')
    expect(network.fleet.trust?.issuers).to.have.length(1)
  })

  it('of the issuer gives every cluster some minutes even in the last part of its life', () => {
    network.dependencies.pass(345 * day)
    network.envoy('oslo').isConnected = false
    passes(30)
    expect(network.stage).to.equal('announce')
    passes(60, 60)
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('leaves no cluster behind on the word of a clock that is not confirmed', () => {
    network.dependencies.pass(200 * day)
    network.settle()
    network.envoy('oslo').isConnected = false
    network.begin('issuer')
    network.settle()
    network.dependencies.pass(160 * day)
    const planned = (renewals: typeof noRenewals): boolean =>
      planReconcile(network.fleet, network.dependencies, {renewals, evidence: network.evidence()}).some(
        change => change.kind === 'rotation' && change.value?.stage === 'leaves',
      )
    expect(planned(noRenewals)).to.equal(false)
    expect(planned(allRenewals)).to.equal(true)
  })

  it('of the root gives clients of the internal ports an hour before anything below the next root is shown to them', () => {
    const clients = [{name: parseClientName('thanos'), ports: [10_901] as const}]
    network.fleet = reduce(network.fleet, {kind: 'settings', value: {...testSettings, clients}})
    network.settle()
    network.dependencies.pass(day)
    network.begin('root')
    network.settle()
    network.apply()
    network.settle()
    expect(network.stage).to.equal('credentials')
    expect(network.waiting).to.have.length(1)
    expect(network.waiting[0]).to.match(/^client thanos has until .* to take up its new certificate$/)
    network.dependencies.pass(CLIENTS_GRACE / 1000)
    network.settle()
    expect(network.stage).to.equal('leaves')
  })

  it('keeps a line for each thing that it waits for, whatever a report holds', () => {
    network.envoy('paris').refuses = 'one\ntwo\n\u001b[2J'
    network.begin('issuer')
    network.settle()
    const {rotation} = network.fleet
    expect(decodeRotation({data: encodeRotation(rotation!)} as never)).to.deep.equal(rotation)
    expect(network.waiting).to.have.length(1)
    expect(network.waiting.length).to.be.at.most(WAITING_MAX)
  })
})
