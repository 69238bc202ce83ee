/** A rotation of the root to one from outside: begun by a request that names it, and by nothing else. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import type {CertifiedKey, OfferedRoot} from '../../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import type {Answer, Request} from '../../../src/lib/model/request.js'
import {planAnswers} from '../../../src/lib/ops/answer-requests.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {refusedOffer} from '../../../src/lib/ops/rotation/offered.js'
import {planStart, startRotation} from '../../../src/lib/ops/rotation/start.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {readCertifiedKey} from '../../../src/lib/pki/signed.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {type MemoryStore, memoryStore} from '../../helpers/memory-store.js'
import {makeCa} from '../../helpers/outside-ca.js'
import {thrownBy} from '../../helpers/thrown.js'
import {ModelNetwork} from './model-network.js'

describe('a rotation to a root from outside', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-outside-'))
  after(() => rmSync(folder, {recursive: true}))
  const company = makeCa(folder, 'company')
  const made = (name: string): CertifiedKey => {
    const {certificate, key} = makeCa(folder, name, {signer: company, pathLength: 1})
    return {certificate, key}
  }
  const [own, other] = [made('own'), made('other')]
  const sha256 = (key: CertifiedKey): string => readKey(key).sha256

  let network: ModelNetwork
  beforeEach(() => {
    // The certificates above are valid from now on.
    network = new ModelNetwork(testDependencies(new Date().toISOString()), ['lyon', 'paris'])
  })

  const lay = (nextRoot: CertifiedKey): Change => ({kind: 'authority', part: 'nextRoot', value: nextRoot})

  function answer(nextRoot: string, ...before: readonly Change[]): {after: Fleet; answers: readonly Answer[]} {
    const requestedAt = network.dependencies.now().toISOString()
    const value: Request = {kind: 'rotate-root', owners: [], nextRoot, requestedAt, state: 'waiting'}
    const fleet = reduceAll(network.fleet, [...before, {kind: 'request', id: 'r1', value}])
    network.dependencies.pass(10)
    const changes = [...planAnswers(fleet, network.dependencies)].flat()
    const answers = changes.flatMap(change => (change.kind === 'answer' && change.value !== undefined ? [change.value] : []))
    return {after: reduceAll(fleet, changes), answers}
  }

  it('goes through all stages, and ends with that root alone', () => {
    const {after: begun, answers} = answer(sha256(own), lay(own))
    expect(answers.map(({state}) => state)).to.deep.equal(['done'])
    expect(begun.rotation?.stage).to.equal('announce')
    const [issuer, trust] = [begun.authority.get('nextIssuer'), begun.trust]
    expect(issuer && readCertifiedKey(issuer, [own.certificate]).signedBy?.sha256).to.equal(sha256(own))
    expect(trust?.roots).to.have.length(2)
    network.fleet = begun
    for (let round = 0; round < 2; round += 1) {
      network.settle()
      network.apply()
    }

    network.settle()
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.deep.equal([own.certificate])
    expect(network.fleet.authority.get('root')?.certificate).to.equal(own.certificate)
  })

  it('does not begin with another certificate than the request names, which is removed', () => {
    const {after, answers} = answer(sha256(own), lay(other))
    expect(answers[0]).to.include({state: 'failed'})
    expect(answers[0]?.message).to.contain('is not the one that the request names')
    expect(after.rotation).to.equal(undefined)
    expect(after.authority.has('nextRoot')).to.equal(false)
  })

  it('does not begin with a certificate that cannot be the root, even if a command has taken it', () => {
    const short = makeCa(folder, 'short', {signer: company, pathLength: 0})
    const {after, answers} = answer(sha256(short), lay(short))
    expect(answers[0]?.message).to.contain('has the path length 0')
    expect([after.rotation, after.authority.has('nextRoot')]).to.deep.equal([undefined, false])
  })

  it('does not take the place of one that another command has brought and the leader has not answered', async () => {
    const store: MemoryStore = {...memoryStore(), signedBy: 'leader'}
    await store.commit(emptyFleet, changesOf(network.fleet))
    const bring = async (name: string, {certificate, key}: CertifiedKey): Promise<unknown> =>
      startRotation(store, 'root', {next: {root: {certificate, key, name, anyAge: true}}}, network.dependencies)
    await bring('own', own)
    expect(await bring('other', other).catch((error: unknown) => error))
      .to.be.instanceOf(AtlasError)
      .and.to.include({code: 'conflict', message: 'another command has brought the next root, and the leader has not answered it yet'})
    await bring('own', own)
    const fleet = await store.load()
    expect(fleet.authority.get('nextRoot')?.certificate).to.equal(own.certificate)
    const after = reduceAll(fleet, [...planAnswers(fleet, network.dependencies)].flat())
    expect([...after.answers.values()].map(({state}) => state)).to.deep.equal(['done', 'done'])
    expect(after.rotation?.given?.root).to.equal(sha256(own))
  })

  it('begins with that of the later of two commands that brought theirs before either had asked', () => {
    const requestedAt = network.dependencies.now().toISOString()
    const ask = (id: string, key: CertifiedKey): Change => {
      const value: Request = {kind: 'rotate-root', owners: [], nextRoot: sha256(key), requestedAt, state: 'waiting'}
      return {kind: 'request', id, value}
    }
    for (const ids of [
      ['r1', 'r2'],
      ['r2', 'r1'],
    ] as const) {
      const fleet = reduceAll(network.fleet, [lay(own), lay(other), ask(ids[0], own), ask(ids[1], other)])
      const after = reduceAll(fleet, [...planAnswers(fleet, network.dependencies)].flat())
      expect([after.answers.get(ids[0])?.state, after.answers.get(ids[1])?.state]).to.deep.equal(['failed', 'done'])
      expect(after.rotation?.given?.root).to.equal(sha256(other))
      expect(after.authority.get('nextRoot')?.certificate).to.equal(other.certificate)
    }
  })

  it('waits for the Secret, which comes by another watch, and not for ever', () => {
    const waiting = answer(sha256(own))
    expect(waiting.answers).to.deep.equal([])
    network.dependencies.pass(30)
    const late = [...planAnswers(waiting.after, network.dependencies)].flat()
    expect(late.map(({kind}) => kind)).to.deep.equal(['answer', 'request'])
  })

  it('a certificate that lies in the Secret and is not named is trusted nowhere and begins nothing, and a new root takes its place', () => {
    const laid = reduceAll(network.fleet, [lay(other)])
    const changes = planReconcile(laid, network.dependencies, {evidence: network.evidence()})
    expect(changes).to.deep.equal([])
    const begun = reduceAll(laid, planStart(laid, 'root', {...network.dependencies, skip: []}))
    const next = begun.authority.get('nextRoot')
    expect(next?.certificate).not.to.equal(other.certificate)
    expect(begun.trust?.roots).not.to.include(other.certificate)
    expect(begun.trust?.roots).to.include(next?.certificate)
  })

  const offer = (secret: string, {certificate, key}: CertifiedKey, more: Partial<OfferedRoot> = {}): Change => ({
    kind: 'offeredRoot',
    secret,
    value: {certificate: certificate + company.certificate, key, above: company.certificate, anyAge: false, ...more},
  })

  it('begins with the one that a watched Secret offers, once for each certificate', () => {
    network.fleet = reduceAll(network.fleet, [offer('atlas-authority', own)])
    network.settle()
    expect(network.stage).to.equal('credentials')
    // The Secret is renewed in the middle: the rotation goes on, and the next one follows it.
    network.fleet = reduceAll(network.fleet, [offer('atlas-authority', other)])
    for (const root of [own, other]) {
      for (let round = 0; round < 2; round += 1) {
        expect(network.fleet.rotation?.part).to.equal('root')
        network.apply()
        network.settle()
      }

      if (root === own) expect(network.fleet.authority.get('root')?.certificate).to.equal(own.certificate)
    }

    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.deep.equal([other.certificate])
    expect(network.plan(), 'and nothing begins again').to.deep.equal([])
  })

  it('a certificate that is renewed with the same key is a new root, too: bootstraps carry the certificate', () => {
    const renewed = makeCa(folder, 'renewed', {signer: company, pathLength: 1})
    const again = makeCa(folder, 'renewed', {signer: company, pathLength: 1, useKey: true})
    expect(again.key.reveal()).to.equal(renewed.key.reveal())
    network.fleet = reduceAll(network.fleet, [offer('atlas-authority', renewed)])
    for (const next of [again, undefined]) {
      for (let round = 0; round < 2; round += 1) {
        network.settle()
        network.apply()
      }

      if (next !== undefined) network.fleet = reduceAll(network.fleet, [offer('atlas-authority', next)])
      network.settle()
    }

    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.deep.equal([again.certificate])
  })

  it('one that cannot be used changes nothing, and the reason is known', () => {
    const [short, young] = [
      makeCa(folder, 'no-path', {signer: company, pathLength: 0}),
      makeCa(folder, 'young', {signer: company, days: 90}),
    ]
    const refused = (...changes: readonly Change[]): string | undefined => {
      const fleet = reduceAll(network.fleet, changes)
      expect(planReconcile(fleet, network.dependencies, {evidence: network.evidence()})).to.deep.equal([])
      return refusedOffer(fleet, network.dependencies.now())?.refused
    }
    expect(refused()).to.equal(undefined)
    expect(refused(offer('a', short)))
      .to.contain('the certificate in Secret a cannot be the root: it has the path length 0')
      .and.contain('with the path length 1 issued into the Secret')
    expect(refused(offer('a', young)))
      .to.contain('within a year')
      .and.contain('annotate the Secret with goatlas.io/any-age: "true"')
    // No flag of a command changes what a Secret offers.
    for (const root of [short, young]) expect(refused(offer('a', root))).not.to.match(/--[a-z]/)
    expect(refused(offer('a', own), offer('b', other))).to.contain('the Secrets a and b both offer a root')
    const taken = reduceAll(network.fleet, [offer('a', young, {anyAge: true})])
    expect(planReconcile(taken, network.dependencies, {evidence: network.evidence()})[0]).to.include({kind: 'rotation'})
  })

  it('no other root takes the place of one that a Secret offers', () => {
    const offered = reduceAll(network.fleet, [offer('a', own)])
    const start = (): unknown => planStart(offered, 'root', {...network.dependencies, skip: []})
    expect(thrownBy(start).message).to.equal('the root comes from Secret a (label goatlas.io/authority)')
  })

  it('is not begun again with the root in force, nor turned to another root while it is under way', () => {
    const start = (fleet: Fleet, nextRoot: CertifiedKey) => () =>
      planStart(fleet, 'root', {...network.dependencies, skip: [], next: {root: nextRoot}})
    const begun = reduceAll(network.fleet, start(network.fleet, own)())
    expect(start(begun, own)()).to.deep.equal([])
    expect(thrownBy(start(begun, other)).message).to.contain('the root is being replaced by another one, stage 1 of 4 (announce)')
    const present = network.fleet.authority.get('root')!
    expect(thrownBy(start(network.fleet, present)).message).to.contain('is trusted as the root already')
  })
})
