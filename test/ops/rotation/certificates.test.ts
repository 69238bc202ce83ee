/** What `rotate --status` shows of roots: where they came from, and whether their keys are kept offline. */
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {renderRotationStatus} from '../../../src/lib/cli/text/rotation.js'
import {keptElsewhere} from '../../../src/lib/model/authority.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {rotationStatus} from '../../../src/lib/ops/rotation/certificates.js'
import {offlineRootsOf} from '../../../src/lib/ops/signing.js'
import {reissueRoot} from '../../../src/lib/pki/goatlas-root.js'
import {rootSpec} from '../../../src/lib/pki/certificate-specs.js'
import {testDependencies, testFleet, testSettings} from '../../helpers/dependencies.js'
import {makeOfflineRoot} from '../../helpers/offline-root.js'
import {makeCa} from '../../helpers/outside-ca.js'

describe('rotate --status, of the root', function () {
  this.timeout(30_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-certificates-'))
  after(() => rmSync(folder, {recursive: true}))
  const dependencies = testDependencies()
  const fleet = testFleet(dependencies)
  const company = makeOfflineRoot(folder)

  const withRoots = (roots: readonly string[], issuers = fleet.trust?.issuers ?? []): Fleet => ({
    ...fleet,
    trust: {roots, issuers, credentialIssuers: fleet.trust?.credentialIssuers ?? []},
  })
  const roots = (of: Fleet, offline?: readonly string[]): readonly Readonly<Record<'key' | 'origin', string | undefined>>[] =>
    rotationStatus(of, [], offline)
      .certificates.filter(({kind}) => kind === 'root')
      .map(({origin, key}) => ({origin, key}))
  const shown = (of: Fleet, offline?: readonly string[]): string =>
    renderRotationStatus(rotationStatus(of, [], offline), dependencies.now())
  const issuerIsRenewed = (of: Fleet, offline?: readonly string[]): boolean =>
    rotationStatus(of, [], offline).certificates.some(({kind, renewedFrom}) => kind === 'issuer' && renewedFrom !== undefined)

  it('says nothing of one that Atlas has made and keeps', () => {
    expect(roots(fleet, offlineRootsOf(fleet))).to.deep.equal([{origin: 'atlas', key: 'stored'}])
    expect(shown(fleet, [])).not.to.contain('The root')
    expect(roots(fleet), 'without a word about keys').to.deep.equal([{origin: 'atlas', key: undefined}])
  })

  it('names one whose key is kept offline, and that the issuer is replaced by hand', () => {
    const root = {...fleet.authority.get('root')!, key: keptElsewhere}
    const offline = offlineRootsOf({authority: new Map([...fleet.authority, ['root', root] as const])})
    expect(roots(fleet, offline)).to.deep.equal([{origin: 'atlas', key: 'offline'}])
    expect(shown(fleet, offline)).to.match(
      /\n\nThe key of the root "CN=Atlas root [0-9a-f]{8}" is kept offline: people have issuers signed there\.\n\n/,
    )
    expect([issuerIsRenewed(fleet, []), issuerIsRenewed(fleet, offline)]).to.deep.equal([true, false])
    expect(shown(fleet, offline)).to.match(/\nissuer .* by hand /)
  })

  it('names one from outside, and who signed it', () => {
    const intermediate = makeCa(folder, 'atlas', {signer: company.ca, pathLength: 1})
    expect(roots(withRoots([company.ca.certificate]), [])).to.deep.equal([{origin: 'outside', key: 'stored'}])
    expect(shown(withRoots([company.ca.certificate]), [])).to.contain('\nThe root "O=Example, CN=offline" came from outside.\n')
    expect(shown(withRoots([intermediate.certificate]))).to.contain(
      '\nThe root "O=Example, CN=atlas" came from outside, signed by "O=Example, CN=offline".\n',
    )
  })

  it('says nothing of the key of a former root, which is nowhere in the store any more', () => {
    const at = dependencies.now().toISOString()
    const rotation = {part: 'root', stage: 'leaves', startedAt: at, since: at, skipped: [], waitingFor: []} as const
    const both = {...withRoots([...(fleet.trust?.roots ?? []), company.ca.certificate]), rotation}
    expect(roots(both, []).map(({key}) => key)).to.deep.equal([undefined, 'stored'])
  })

  it('takes the key of a root that is the issuer itself for the issuer’s', () => {
    const {certificate} = company.issue('issuer')
    const root = {certificate, key: keptElsewhere}
    const offline = offlineRootsOf({authority: new Map([['root', root] as const])})
    expect(roots(withRoots([certificate], [certificate]), offline)).to.deep.equal([{origin: 'outside', key: 'stored'}])
  })

  it('takes that of the 2021 program, whose certificate was issued again, for one of Atlas', () => {
    const old = makeCa(folder, 'old', {subject: '/O=goatlas.io/CN=ca', pathLength: 1})
    const adopted = reissueRoot(rootSpec(testSettings), old, new Date(), dependencies.signer)
    expect(roots(withRoots([adopted.certificate]), [])[0]).to.deep.equal({origin: 'atlas', key: 'stored'})
    const offline = offlineRootsOf({authority: new Map([['root', {...adopted, key: keptElsewhere}] as const])})
    expect(
      roots(withRoots([adopted.certificate]), offline).map(({key}) => key),
      'both certificates of it',
    ).to.deep.equal(['offline', 'offline'])
  })
})
