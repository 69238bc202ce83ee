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
import type {ReportSource} from '../../../src/lib/ops/server-reports.js'
import {reissueRoot} from '../../../src/lib/pki/goatlas-root.js'
import {rootSpec} from '../../../src/lib/pki/certificate-specs.js'
import {testDependencies, testFleet, testSettings} from '../../helpers/dependencies.js'
import {makeOfflineRoot} from '../../helpers/offline-root.js'
import {makeCa} from '../../helpers/outside-ca.js'
import {ModelNetwork} from './model-network.js'

describe('rotate --status, of the root', function () {
  this.timeout(120_000)
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

  it('shows from when until when each certificate is valid, with the zone', () => {
    expect(shown(fleet)).to.match(/\nissuer .* \d{4}-\d\d-\d\dT\d\d:\d\dZ {2}\d{4}-\d\d-\d\dT\d\d:\d\dZ {2}/)
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

describe('rotate --status, of who has a certificate', () => {
  let network: ModelNetwork
  beforeEach(() => {
    network = new ModelNetwork(testDependencies(), ['lyon', 'paris'])
    network.settle()
  })

  /** What the servers of the network report: the first of them serves all Envoys. */
  function sources(): readonly ReportSource[] {
    const {proxies, servers} = network.evidence()
    const at = network.dependencies.now().toISOString()
    const none = {reasons: [], warnings: [], withoutProxy: [], refusals: [], unrepaired: [], faults: []}
    return servers.map(({name, tls}, index) => ({
      replica: name,
      report: {
        ...{format: 1, at, startedAt: at, address: '', ready: true, ...none, ...(tls !== undefined && {tls})},
        ...{proxies: index === 0 ? proxies : [], store: {description: 'x', reachable: true}},
      },
    }))
  }

  const rows = (of: readonly ReportSource[]): readonly string[] =>
    rotationStatus(network.fleet, of).certificates.map(({kind, role, owner, proxies, servers}) => {
      const who = proxies === undefined ? '-' : `${proxies.having}/${proxies.connected}`
      return `${kind}${role === undefined ? '' : ` ${role}`} ${owner} ${servers === undefined ? who : `${servers.having}/${servers.reporting}`}`
    })

  it('counts connected Envoys and servers, for what signs, too', () => {
    expect(rows(sources())).to.deep.equal([
      ...['root - 3/3', 'issuer - 3/3', 'credential issuer - 1/1'],
      ...['identity atlas 1/1', 'credential atlas 1/1', 'identity lyon 1/1', 'credential lyon 1/1', 'identity paris 1/1'],
      ...['credential paris 1/1', 'server atlas 2/2'],
    ])
    expect(renderRotationStatus(rotationStatus(network.fleet, sources()), network.dependencies.now())).to.match(/ 2\/2 servers\n?$/m)
  })

  it('shows during a rotation of the root who carries the next one, who has the bundle, and which server uses what', () => {
    network.begin('root')
    network.settle()
    network.apply(['lyon'])
    network.envoy('paris').isConnected = false
    expect(network.stage).to.equal('credentials')
    expect(rows(sources()).slice(0, 6)).to.deep.equal([
      ...[
        'root - 2/2',
        'root next - 1/2',
        'issuer - 2/2',
        'issuer next - 2/2',
        'credential issuer former - 1/1',
        'credential issuer - 1/1',
      ],
    ])
    expect(rows(sources())).to.include.members([
      'credential atlas 0/1',
      'credential lyon 1/1',
      'credential paris 0/0',
      'identity paris 0/0',
    ])
    const text = renderRotationStatus(rotationStatus(network.fleet, sources()), network.dependencies.now())
    expect(text).to.include('Without the credential of atlas: atlas atlas-0.')
    expect(text).to.include('With a credential that does not carry the next root: atlas atlas-0.')
    expect(text).not.to.include('Without the credential of lyon')
    expect(text)
      .to.match(/^identity +lyon +1 +\S+ +Atlas issuer [0-9a-f]{8} /m)
      .and.to.match(/^root +- +- +\S+ +itself /m)
    expect(text).to.match(/^credential +lyon +1 +\S+ +Atlas (credential )?issuer [0-9a-f]{8} /m)
    network.servers.set('ads-1', {certificate: 'f'.repeat(64), trust: 'former', identities: undefined})
    expect(rows(sources())).to.include('server atlas 1/2')
  })

  it('says of no Envoy what it has where no server reports', () => {
    const unknown = rows([])
    expect(unknown).to.include.members(['root - -', 'issuer - -', 'identity paris -', 'credential paris -', 'server atlas -'])
    expect(unknown.some(row => row.includes('/'))).to.equal(false)
  })
})
