/** Whether a server is ready, and what it warns of, from facts alone. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {type AuthorityPart, type CertifiedKey, keptElsewhere} from '../../src/lib/model/authority.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {issuerSpec, rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {CurrentFleet} from '../../src/server/fleet/current-fleet.js'
import {type ReadinessFacts, defaultReadinessTimes, readinessOf} from '../../src/server/readiness.js'
import {makeOfflineRoot} from '../helpers/offline-root.js'
import {testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {need} from './support/network.js'

const dependencies = testDependencies()
const fleet = testFleet(dependencies)

function known(served: Fleet, differing: Partial<CurrentFleet> = {}): CurrentFleet {
  return {
    served: () => served,
    stored: () => served,
    protection: () => new Map(),
    isKnown: () => true,
    isReachable: () => true,
    firstReadFailure: () => undefined,
    follow: async () => undefined,
    ...differing,
  }
}

function facts(differing: Partial<ReadinessFacts> = {}): ReadinessFacts {
  return {
    role: 'all',
    phase: 'serving',
    fleet: known(fleet),
    storeHeardAt: undefined,
    lacksCertificate: false,
    problems: [],
    clock: dependencies,
    times: defaultReadinessTimes,
    ...differing,
  }
}

describe('readiness', () => {
  it('without reasons and warnings', () => {
    expect(readinessOf(facts())).to.deep.equal({ready: true, reasons: [], warnings: []})
  })

  it('waits for the first read, and states why it fails', () => {
    const unknown = {isKnown: () => false, isReachable: () => false}
    const notYet = readinessOf(facts({phase: 'starting', fleet: known(emptyFleet, unknown)}))
    expect(notYet).to.deep.equal({ready: false, reasons: ['the store has not been read yet'], warnings: []})
    const failing = known(emptyFleet, {...unknown, firstReadFailure: () => 'no route to host'})
    expect(readinessOf(facts({phase: 'starting', fleet: failing})).reasons).to.deep.equal(['waiting for the store: no route to host'])
  })

  it('is not there while the server starts or stops, or has no certificate', () => {
    expect(readinessOf(facts({phase: 'starting'})).reasons).to.deep.equal(['the server is still starting'])
    expect(readinessOf(facts({phase: 'stopping'})).reasons).to.deep.equal(['the server is stopping'])
    expect(readinessOf(facts({lacksCertificate: true})).reasons).to.deep.equal([
      'there is no certificate to serve with yet; the leader issues it',
    ])
  })

  it('warns of a store that can not be read, or has sent nothing for long, and stays', () => {
    const away = readinessOf(facts({fleet: known(fleet, {isReachable: () => false})}))
    expect(away).to.deep.equal({ready: true, reasons: [], warnings: ['the store can not be read; serving the last known fleet']})
    const silent = readinessOf(facts({storeHeardAt: performance.now() - 200_000}))
    expect(silent.warnings.join()).to.match(/^the store has not answered for \d+ s; serving the last known fleet$/)
    expect(readinessOf(facts({storeHeardAt: performance.now() - 80_000})).warnings).to.deep.equal([])
  })

  it('warns of the root from two thirds of its life on, and of an issuer whose replacement is overdue, where the server may read them', () => {
    const {notBefore, notAfter} = readKey(need(fleet.authority.get('issuer')))
    const at = (part: number): Date => new Date(notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * part)
    expect(readinessOf(facts({clock: {now: () => at(0.83)}})).warnings).to.deep.equal([])
    expect(readinessOf(facts({clock: {now: () => at(0.84)}})).warnings).to.deep.equal([
      `the issuer certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that; its replacement is overdue: "atlas rotate --status" shows what it waits for`,
    ])
    expect(readinessOf(facts({clock: {now: () => at(0.84)}, role: 'ads'})).warnings).to.deep.equal([])
    const root = readKey(need(fleet.authority.get('root')))
    const late = new Date(root.notBefore.getTime() + (root.notAfter.getTime() - root.notBefore.getTime()) * 0.67)
    const ends = `certificate ends on ${root.notAfter.toISOString()}; nothing can be signed with it after that; replace it: "atlas rotate --root"`
    expect(readinessOf(facts({clock: {now: () => late}})).warnings.filter(text => text.includes('--root'))).to.deep.equal([
      `the root ${ends}`,
      `the credential issuer ${ends}`,
    ])
  })

  it('warns of the issuer from two thirds of its life on where the key of the root is kept offline, with the command to run', () => {
    const root = {...need(fleet.authority.get('root')), key: keptElsewhere}
    const offline = {...fleet, authority: new Map([...fleet.authority, ['root', root] as const])}
    const {notBefore, notAfter} = readKey(need(fleet.authority.get('issuer')))
    const at = (part: number): Date => new Date(notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * part)
    const warnings = (part: number): readonly string[] => readinessOf(facts({fleet: known(offline), clock: {now: () => at(part)}})).warnings
    expect(warnings(0.66)).to.deep.equal([])
    expect(warnings(0.67)).to.deep.equal([
      `the issuer certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that; the key of the root is kept offline: write a request for it with "atlas rotate --issuer --request DIR", and have the root sign it`,
    ])
  })

  it('warns of each issuer that only a person can have issued again while a rotation of the root waits, with the command to run', () => {
    const {root, issuer} = Object.fromEntries(fleet.authority)
    const next = issue(rootSpec(testSettings), undefined, dependencies.now(), dependencies.signer)
    const nextIssuer = issue(issuerSpec(testSettings), next, dependencies.now(), dependencies.signer)
    const given = {root: readKey(next).sha256, issuer: readKey(nextIssuer).sha256}
    const at = dependencies.now().toISOString()
    const waiting: Fleet = {
      ...fleet,
      rotation: {part: 'root', stage: 'credentials', startedAt: at, since: at, skipped: [], waitingFor: [], given},
      authority: new Map([
        ...fleet.authority,
        ['root', {...need(root), key: keptElsewhere}] as const,
        ['nextRoot', {...next, key: keptElsewhere}] as const,
        ['nextIssuer', nextIssuer] as const,
      ]),
    }
    const {notBefore, notAfter} = readKey(need(issuer))
    const warnings = (part: number): readonly string[] =>
      readinessOf(
        facts({
          fleet: known(waiting),
          clock: {now: () => new Date(notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * part)},
        }),
      ).warnings
    expect(warnings(0.66)).to.deep.equal([])
    const [first, second, ...more] = warnings(0.68)
    expect(more).to.deep.equal([])
    const remedy =
      'while the rotation of the root waits, have it issued again for its own key: write a request with "atlas rotate --issuer --request DIR", and have its root sign that'
    expect(first).to.equal(`the issuer certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that; ${remedy}`)
    expect(second).to.match(/^the next issuer certificate ends on /)
    expect(second).to.contain(remedy)
  })

  it('where the issuer is the root itself, names what replaces both, once', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'atlas-readiness-'))
    const ca = makeOfflineRoot(folder)
    const [issuer, credentialIssuer] = [ca.issue('issuer', {days: 900}), ca.issue('credentialIssuer')]
    rmSync(folder, {recursive: true})
    const authority = new Map<AuthorityPart, CertifiedKey>([
      ['root', {certificate: issuer.certificate, key: keptElsewhere}],
      ['issuer', issuer],
      ['credentialIssuer', credentialIssuer],
    ])
    const later = new Date(Date.now() + 700 * 86_400_000)
    const {warnings} = readinessOf(facts({fleet: known({...fleet, authority}), clock: {now: () => later}}))
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.match(/^the root certificate ends on .*; replace it: bring two others: "atlas rotate --root --issuer-cert FILE/)
  })

  it('names the Secret where the root comes from one, and what to do about an issuer that has ended', () => {
    const root = need(fleet.authority.get('root'))
    const offered = {...fleet, offeredRoots: new Map([['company-ca', {...root, anyAge: true}]])}
    const {notBefore, notAfter} = readKey(root)
    const late = new Date(notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * 0.67)
    const warnings = (served: Fleet, now: Date): string =>
      readinessOf(facts({fleet: known(served), clock: {now: () => now}})).warnings.join('\n')
    expect(warnings(offered, late)).to.match(
      /the root certificate ends on .*; the root comes from Secret company-ca \(label goatlas.io\/authority\): renew it there, and a rotation begins/,
    )
    expect(warnings(offered, late)).not.to.contain('atlas rotate --root')
    expect(warnings(fleet, late)).to.match(
      /the issuer .* ended on .*could not be issued: the leader replaces it; "atlas rotate --issuer" does so at once/,
    )
    const ended = new Date(notAfter.getTime() + 1000)
    expect(warnings(fleet, ended)).to.match(/the root .* ended on .*could not be issued: "atlas rotate --root" makes another root/)
    expect(warnings(offered, ended)).to.match(/the root .* ended on .*could not be issued: the root comes from Secret company-ca/)
  })

  it('warns of a clock that is doubted in every role, and of no certificate by such a clock', () => {
    const clock = {now: () => new Date('2099-01-01'), clockDoubt: () => 'the clock is wrong'}
    for (const role of ['all', 'ads'] as const) expect(readinessOf(facts({role, clock})).warnings).to.deep.equal(['the clock is wrong'])
  })

  it('warns of a missing root, and of every other problem', () => {
    const without = {...fleet, authority: new Map([...fleet.authority].filter(([part]) => part !== 'root'))}
    expect(readinessOf(facts({fleet: known(without), problems: [undefined, 'a', undefined, 'b']})).warnings).to.deep.equal([
      'the root (Secret atlas-ca) is missing: nothing is issued on its own until it is restored, such as from a backup',
      'a',
      'b',
    ])
  })
})
