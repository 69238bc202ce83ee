/** Rotations below a root whose key is kept offline: what is signed there begins them, by a request that names it, and nothing else does. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {type CertifiedKey, hasKey, keptElsewhere} from '../../../src/lib/model/authority.js'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {subjectOf} from '../../../src/lib/model/kinds.js'
import type {Answer, Request} from '../../../src/lib/model/request.js'
import {planAnswers} from '../../../src/lib/ops/answer-requests.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {planStart} from '../../../src/lib/ops/rotation/start.js'
import {isUnsignedReason, unsignedReasons} from '../../../src/lib/ops/signing.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {decodeSigner, encodeSigner} from '../../../src/lib/manifest/secrets.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {makeCa} from '../../helpers/outside-ca.js'
import {makeOfflineRoot} from '../../helpers/offline-root.js'
import {thrownBy} from '../../helpers/thrown.js'
import {ModelNetwork} from './model-network.js'

describe('rotations below a root that is kept offline', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-offline-'))
  after(() => rmSync(folder, {recursive: true}))
  const [root, other] = [makeOfflineRoot(folder), makeOfflineRoot(folder, 'other')]
  const certified = ({certificate, key = keptElsewhere}: {certificate: string; key?: CertifiedKey['key'] | undefined}): CertifiedKey => ({
    certificate,
    key,
  })

  let network: ModelNetwork
  let asked = 0
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(new Date().toISOString()), ['lyon', 'paris'])
    // The root of the network is rotated to the one that is kept offline, with both issuers.
    const [issuer, credentialIssuer] = [root.issue('issuer'), root.issue('credentialIssuer')]
    ask('rotate-root', {nextRoot: certified(root.given), nextIssuer: issuer, nextCredentialIssuer: credentialIssuer})
    finish()
    network.dependencies.pass(3600)
  })

  const next = (part: 'nextCredentialIssuer' | 'nextIssuer' | 'nextRoot', value: CertifiedKey): Change => ({
    ...{kind: 'authority', part, value},
  })
  const certificateOf = (part: 'issuer' | 'root'): string | undefined => network.fleet.authority.get(part)?.certificate

  /** A command lays certificates and names them, and the leader answers. */
  function ask(kind: Request['kind'], given: Readonly<Record<string, CertifiedKey>>, laid = given): Answer | undefined {
    asked += 1
    const named = Object.fromEntries(Object.entries(given).map(([part, key]) => [part, readKey(certified(key)).sha256]))
    const value: Request = {kind, owners: [], ...named, requestedAt: network.dependencies.now().toISOString(), state: 'waiting'}
    const changes = Object.entries(laid).map(([part, key]) => next(part as 'nextIssuer', certified(key)))
    network.fleet = reduceAll(network.fleet, [...changes, {kind: 'request', id: `r${asked}`, value}])
    network.dependencies.pass(2)
    const planned = [...planAnswers(network.fleet, network.dependencies)].flat()
    network.fleet = reduceAll(network.fleet, planned)
    return planned.flatMap(change => (change.kind === 'answer' ? (change.value ?? []) : []))[0]
  }

  function finish(): void {
    for (let round = 0; round < 3; round += 1) {
      network.settle()
      network.apply()
    }
  }

  it('a root without its key takes the place of one with it, whose key goes from the Secret', () => {
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.deep.equal([root.ca.certificate])
    const stored = network.fleet.authority.get('root')
    if (stored === undefined) throw new Error('there is a root')
    expect(hasKey(stored)).to.equal(false)
    const target = {namespace: 'atlas', name: 'atlas-ca', existing: undefined}
    const existing = encodeSigner({certificate: 'x', key: other.ca.key}, target)
    const written = encodeSigner(stored, {...target, existing})
    expect(Object.keys(written.data ?? {})).to.deep.equal(['ca.pem'])
    expect(readKey(decodeSigner(written)).hasKey).to.equal(false)
    expect(() => decodeSigner({...written, metadata: {...written.metadata, name: 'atlas-issuer'}})).to.throw('PEM')
  })

  it('identities and credentials are renewed below the issuers, and nothing is wrong', () => {
    const before = network.fleet.identities
    expect(unsignedReasons(network.fleet, network.dependencies)).to.deep.equal([])
    network.dependencies.pass(25 * 86_400)
    network.settle()
    for (const [owner, identity] of network.fleet.identities) expect(identity, owner).not.to.equal(before.get(owner))
  })

  it('the issuer is replaced by one that the root has signed, through all stages', () => {
    const issuer = root.issue('issuer')
    expect(ask('rotate-issuer', {nextIssuer: issuer})?.state).to.equal('done')
    expect(network.stage).to.equal('announce')
    finish()
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.issuers).to.deep.equal([issuer.certificate])
    expect(certificateOf('issuer')).to.equal(issuer.certificate)
    expect(network.fleet.authority.has('nextIssuer')).to.equal(false)
    expect(ask('rotate-issuer', {nextIssuer: issuer})?.message).to.contain('is trusted as the issuer already')
  })

  it('what the root has not signed, or the request does not name, begins nothing and is removed', () => {
    const before = network.fleet.trust
    const [foreign, own] = [other.issue('issuer'), root.issue('issuer')]
    expect(ask('rotate-issuer', {nextIssuer: foreign})?.message).to.contain('was not signed by the root')
    expect(ask('rotate-issuer', {nextIssuer: own}, {nextIssuer: root.issue('issuer')})?.message).to.contain(
      'is not the one that the request names',
    )
    expect(network.fleet.authority.has('nextIssuer')).to.equal(false)
    // Without a request: an account that may create Secrets has put it there.
    for (const laid of [foreign, own]) {
      const fleet = reduceAll(network.fleet, [next('nextIssuer', laid), next('nextCredentialIssuer', laid)])
      expect(planReconcile(fleet, network.dependencies, {evidence: network.evidence()})).to.deep.equal([])
    }

    expect(network.fleet.trust).to.equal(before)
  })

  it('Atlas cannot make the next issuer: it begins nothing by age, and a person is told the command', () => {
    expect(ask('rotate-issuer', {})?.message).to.match(/kept offline.*"atlas rotate --issuer --request DIR"/)
    // Past two thirds of the ten years that openssl gave it.
    network.dependencies.pass(8 * 365 * 86_400)
    expect(network.plan().filter(({kind}) => kind === 'rotation' || kind === 'authority')).to.deep.equal([])
  })

  it('a lost issuer is named with the command, and can be brought again', () => {
    network.fleet = reduceAll(network.fleet, [{kind: 'authority', part: 'issuer', value: undefined}])
    const reasons = unsignedReasons(network.fleet, network.dependencies)
    expect(reasons).to.have.length(1)
    expect(reasons[0]).to.match(/^the issuer \(Secret atlas-issuer\) is missing, and the key of the root is kept offline: .*--request DIR/)
    expect(reasons.every(reason => isUnsignedReason(reason))).to.equal(true)
    const issuer = root.issue('issuer')
    expect(ask('rotate-issuer', {nextIssuer: issuer})?.state).to.equal('done')
    finish()
    expect(certificateOf('issuer')).to.equal(issuer.certificate)
    expect(network.fleet.rotation).to.equal(undefined)
  })

  it('a next issuer that is lost in the first stage stops it, and the same certificate puts it right', () => {
    const issuer = root.issue('issuer')
    ask('rotate-issuer', {nextIssuer: issuer})
    network.fleet = reduceAll(network.fleet, [{kind: 'authority', part: 'nextIssuer', value: undefined}])
    network.settle()
    expect(network.waiting[0]).to.match(/^the next issuer can not be made or read: .*"atlas rotate --issuer --certificate DIR"/)
    const start = (fleet: Fleet, given: CertifiedKey) =>
      planStart(fleet, 'issuer', {...network.dependencies, skip: [], next: {issuer: certified(given)}})
    network.fleet = reduceAll(network.fleet, start(network.fleet, issuer))
    expect(thrownBy(() => start(network.fleet, root.issue('issuer'))).message).to.contain('is being replaced by another one')
    finish()
    expect(network.fleet.rotation).to.equal(undefined)
    expect(certificateOf('issuer')).to.equal(issuer.certificate)
  })

  const brought = {
    'one that is kept offline': [() => certified(other.given), 'nextCredentialIssuer', '--ca-cert FILE --certificate DIR'],
    'two intermediates': [
      (issuer: CertifiedKey) => certified({certificate: issuer.certificate}),
      'nextIssuer',
      '--issuer-cert FILE --issuer-key FILE --credential-issuer-cert FILE --credential-issuer-key FILE',
    ],
  } as const
  for (const [what, [rootOf, lost, flags]] of Object.entries(brought))
    it(`an issuer that is lost in the first stage of a rotation of the root, to ${what}, is brought again with all that came with it`, () => {
      const [issuer, credentialIssuer] = [other.issue('issuer'), other.issue('credentialIssuer')]
      const next = {root: rootOf(issuer), issuer: certified(issuer), credentialIssuer: certified(credentialIssuer)}
      ask('rotate-root', {nextRoot: next.root, nextIssuer: issuer, nextCredentialIssuer: credentialIssuer})
      network.fleet = reduceAll(network.fleet, [{kind: 'authority', part: lost, value: undefined}])
      network.settle()
      expect(network.stage).to.equal('announce')
      expect(network.waiting[0]).to.match(/^the next (credential )?issuer can not be made or read: /)
      expect(network.waiting[0]).to.contain(`"atlas rotate --root ${flags}"`)
      network.fleet = reduceAll(network.fleet, planStart(network.fleet, 'root', {...network.dependencies, skip: [], next}))
      finish()
      expect(network.fleet.rotation).to.equal(undefined)
      expect(network.fleet.trust?.roots).to.deep.equal([next.root.certificate])
    })

  it('another root that is kept offline follows by the same stages, and a root of Atlas does, too', () => {
    const given = {
      nextRoot: certified(other.given),
      nextIssuer: other.issue('issuer'),
      nextCredentialIssuer: other.issue('credentialIssuer'),
    }
    expect(ask('rotate-root', {nextRoot: given.nextRoot})?.message).to.contain('comes without its key')
    expect(network.fleet.authority.has('nextRoot')).to.equal(false)
    expect(ask('rotate-root', given)?.state).to.equal('done')
    finish()
    expect(network.fleet.trust?.roots).to.deep.equal([other.ca.certificate])
    ask('rotate-root', {})
    finish()
    expect(network.fleet.rotation).to.equal(undefined)
    const made = network.fleet.authority.get('root')
    expect(made !== undefined && hasKey(made)).to.equal(true)
  })

  it('two intermediates take the place of the root and its issuers, and others that of those', () => {
    for (const by of [root, other]) {
      const [issuer, credentialIssuer] = [by.issue('issuer'), by.issue('credentialIssuer')]
      const given = {nextRoot: certified({certificate: issuer.certificate}), nextIssuer: issuer, nextCredentialIssuer: credentialIssuer}
      expect(ask('rotate-root', given)?.state).to.equal('done')
      finish()
      expect(network.fleet.rotation).to.equal(undefined)
      const trust = {roots: [issuer.certificate], issuers: [issuer.certificate], credentialIssuers: [credentialIssuer.certificate]}
      expect(network.fleet.trust).to.deep.equal(trust)
      expect(unsignedReasons(network.fleet, network.dependencies)).to.deep.equal([])
      expect(ask('rotate-issuer', {})?.message).to.match(/the issuer is the root itself .*"atlas rotate --root --issuer-cert FILE/)
      expect(ask('rotate-issuer', {nextIssuer: by.issue('issuer')})?.message).to.contain('the present issuer is the root itself')
      network.dependencies.pass(25 * 86_400)
      network.settle()
      expect(network.fleet.rotation).to.equal(undefined)
    }
  })

  it('a copy of the root in force, or a forged pair with the names of its CA, begins nothing and is trusted nowhere', () => {
    const [issuer, credentialIssuer] = [root.issue('issuer'), root.issue('credentialIssuer')]
    ask('rotate-root', {nextRoot: certified({certificate: issuer.certificate}), nextIssuer: issuer, nextCredentialIssuer: credentialIssuer})
    finish()
    const {trust} = network.fleet
    const subjectKeyId = readKey(issuer).authorityKeyId?.match(/../g)?.join(':') ?? expect.fail('openssl writes one')
    const subject = '/O=Example/CN=offline'
    const forger = makeCa(folder, 'forger', {pathLength: 1, subject, extensions: [`subjectKeyIdentifier=${subjectKeyId}`]})
    const [forged, forgedToo] = [root.issue('issuer', {by: forger}), root.issue('credentialIssuer', {by: forger})]
    expect([readKey(forged).issuer, readKey(forged).authorityKeyId]).to.deep.equal([readKey(issuer).issuer, readKey(issuer).authorityKeyId])
    const copy = next('nextRoot', certified({certificate: issuer.certificate}))
    for (const laid of [[copy], [copy, next('nextIssuer', certified(forged)), next('nextCredentialIssuer', certified(forgedToo))]]) {
      network.fleet = reduceAll(network.fleet, laid)
      finish()
      expect([network.fleet.rotation, network.fleet.trust]).to.deep.equal([undefined, trust])
    }

    // Not in a rotation that is under way either.
    ask('rotate-root', {})
    network.fleet = reduceAll(network.fleet, [next('nextIssuer', certified(forged))])
    network.settle()
    expect(network.fleet.trust?.issuers).not.to.include(forged.certificate)
  })

  it('a next root from outside that is lost, or replaced, stops its rotation; the same one puts it right, and none is made', () => {
    const given = {
      nextRoot: certified(other.given),
      nextIssuer: other.issue('issuer'),
      nextCredentialIssuer: other.issue('credentialIssuer'),
    }
    ask('rotate-root', given)
    const stranger = makeOfflineRoot(folder, 'stranger')
    for (const value of [undefined, certified(stranger.given)]) {
      network.fleet = reduceAll(network.fleet, [{kind: 'authority', part: 'nextRoot', value}])
      for (let pass = 0; pass < 3; pass += 1) network.fleet = reduceAll(network.fleet, network.plan())
      expect(network.stage).to.equal('announce')
      expect(network.waiting[0]).to.match(
        value === undefined ? /^the next root can not be made/ : /not the one that the rotation began with/,
      )
      expect(network.fleet.trust?.roots).not.to.include(stranger.given.certificate)
      expect(network.fleet.authority.get('nextRoot')).to.equal(value)
    }

    expect(ask('rotate-root', given)?.state).to.equal('done')
    finish()
    expect(network.fleet.rotation).to.equal(undefined)
    expect(network.fleet.trust?.roots).to.deep.equal([other.ca.certificate])
  })

  it('a refused request removes nothing that a rotation needs whose record cannot be read', () => {
    ask('rotate-root', {})
    network.settle()
    expect(network.stage).to.equal('credentials')
    const before = [...network.fleet.authority.keys()]
    const value = {object: 'ConfigMap/atlas-rotation', key: 'data.stage', message: 'unreadable'}
    network.fleet = reduceAll(network.fleet, [
      {kind: 'rotation', value: undefined},
      {kind: 'fault', subject: subjectOf('rotation', ''), value},
    ])
    expect(ask('rotate-root', {nextRoot: certified({certificate: other.ca.certificate})}, {})?.state).to.equal('failed')
    expect([...network.fleet.authority.keys()]).to.deep.equal(before)
  })
})
