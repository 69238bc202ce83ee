/** Every rule of admission, by its name (docs/explanation/security.md). */
import {expect} from 'chai'
import type {CredentialRecord} from '../../../src/lib/model/authority.js'
import {reduceAll} from '../../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {type Owner, parseClusterName} from '../../../src/lib/model/names.js'
import {defaultSettings} from '../../../src/lib/model/settings.js'
import {type Admitted, admit, admitNode, denyEnded} from '../../../src/server/ads/admission.js'
import type {Denied, Peer} from '../../../src/server/mtls/denial.js'
import {testCluster} from '../../helpers/fleet.js'

const now = new Date('2026-11-24T00:00:00Z')
const paris = parseClusterName('paris')
const hash = (digit: string): string => digit.repeat(64)
const domain = 'spiffe://atlas.internal'

describe('admission of a direct connection', () => {
  it('admits a credential on record', () => {
    expect(admit(fleet(), direct('paris', 'a'), [], now)).to.deep.equal({
      kind: 'admitted',
      cluster: 'paris',
      generation: 1,
      fingerprint: hash('a'),
      path: 'direct',
    })
  })

  it('admits the observability cluster', () => {
    expect(admit(fleet(), direct('atlas', 'c'), [], now)).to.include({kind: 'admitted', cluster: 'atlas'})
  })

  it('xfcc-on-direct: refuses every such header', () => {
    expect(reasonOf(admit(fleet(), direct('paris', 'a'), ['By=x'], now))).to.equal('xfcc-on-direct')
    expect(reasonOf(admit(fleet(), direct('paris', 'a'), [''], now))).to.equal('xfcc-on-direct')
  })

  it('certificate-issuer: a data-plane issuer can not vouch for an ADS client', () => {
    expect(reasonOf(admit(fleet(), direct('paris', 'a', {signer: 'issuer'}), [], now))).to.equal('certificate-issuer')
  })

  it('certificate-expired: beyond what clocks may differ', () => {
    const ended = (minutes: number, digit = 'd'): Peer => direct('paris', digit, {notAfter: new Date(now.getTime() - minutes * 60_000)})
    expect(reasonOf(admit(fleet(), ended(6), [], now))).to.equal('certificate-expired')
    expect(admit(fleet(), ended(4, 'a'), [], now).kind).to.equal('admitted')
    expect(reasonOf(admit(fleet(), ended(6, 'a'), [], now)), 'on record').to.equal('credential-expired')
    expect(reasonOf(admit(fleet(), direct('paris', 'a', {notBefore: new Date(now.getTime() + 6 * 60_000)}), [], now))).to.equal(
      'certificate-expired',
    )
  })

  for (const uri of [
    `${domain}/downstream/paris/1`,
    `${domain}/ads`,
    `${domain}/ads-client/paris`,
    `${domain}/ads-client/paris/01`,
    `${domain}/ads-client/paris/0`,
    `${domain}/ads-client/paris/1/`,
    `${domain}/ads-client/paris/1/2`,
    `${domain}/ads-client//1`,
    `${domain}/ads-client/PARIS/1`,
    `${domain}/ads-client/p aris/1`,
    `${domain}/ads-client/paris/1e3`,
    `${domain}/ads-client/%70aris/1`,
    `spiffe://other.internal/ads-client/paris/1`,
    `${domain}/observability/`,
    `${domain}.evil/ads-client/paris/1`,
    '',
  ]) {
    it(`certificate-name: refuses ${uri}`, () => {
      expect(reasonOf(admit(fleet(), peer(uri, 'a', {signer: 'credentialIssuer'}), [], now))).to.equal('certificate-name')
    })
  }

  it('certificate-name: refuses none and two names', () => {
    const one = direct('paris', 'a')
    expect(reasonOf(admit(fleet(), {...one, uris: []}, [], now))).to.equal('certificate-name')
    expect(reasonOf(admit(fleet(), {...one, uris: [...one.uris, `${domain}/ads-client/rome/1`]}, [], now))).to.equal('certificate-name')
  })

  it('certificate-missing', () => {
    expect(reasonOf(admit(fleet(), undefined, [], now))).to.equal('certificate-missing')
  })

  it('not-initialized: without settings or trust', () => {
    expect(reasonOf(admit(emptyFleet, direct('paris', 'a'), [], now))).to.equal('not-initialized')
    expect(reasonOf(admit({...fleet(), trust: undefined}, direct('paris', 'a'), [], now))).to.equal('not-initialized')
  })
})

describe('admission of a relayed stream', () => {
  it('admits what the observability Envoy saw', () => {
    expect(admit(fleet(), relay(), [xfcc()], now)).to.deep.equal({
      kind: 'admitted',
      cluster: 'paris',
      generation: 1,
      fingerprint: hash('a'),
      path: 'relay',
      relayedBy: 'f'.repeat(64),
    })
  })

  const cases: readonly [string, readonly string[], string][] = [
    ['no header', [], 'xfcc-missing'],
    ['an empty header', [''], 'xfcc-malformed'],
    ['a malformed header', ['By'], 'xfcc-malformed'],
    ['two elements', [`${xfcc()},${xfcc()}`], 'xfcc-elements'],
    ['two headers', [xfcc(), xfcc()], 'xfcc-elements'],
    ['another maker', [xfcc({by: `${domain}/downstream/rome/1`})], 'xfcc-by'],
    ['no maker', [`Hash=${hash('a')};URI=${domain}/ads-client/paris/1`], 'xfcc-by'],
    ['two makers', [`By=${domain}/observability;${xfcc()}`], 'xfcc-by'],
    ['no URI', [`By=${domain}/observability;Hash=${hash('a')}`], 'xfcc-uri'],
    ['two URIs', [`${xfcc()};URI=${domain}/ads-client/rome/1`], 'xfcc-uri'],
    ['an identity', [xfcc({uri: `${domain}/downstream/paris/1`})], 'xfcc-uri'],
    ['the observability credential', [xfcc({uri: `${domain}/ads-client/atlas/1`, hash: hash('c')})], 'relay-observability'],
    ['no hash', [`By=${domain}/observability;URI=${domain}/ads-client/paris/1`], 'xfcc-hash'],
    ['two hashes', [`${xfcc()};Hash=${hash('b')}`], 'xfcc-hash'],
    ['a hash that is none', [xfcc({hash: 'A'.repeat(64)})], 'xfcc-hash'],
    ["another cluster's hash", [xfcc({uri: `${domain}/ads-client/rome/1`})], 'credential-unknown'],
  ]
  for (const [what, headers, reason] of cases) {
    it(`${reason}: refuses ${what}`, () => {
      expect(reasonOf(admit(fleet(), relay(), headers, now))).to.equal(reason)
    })
  }

  it('certificate-issuer: a credential issuer can not vouch for the relay', () => {
    expect(reasonOf(admit(fleet(), peer(`${domain}/observability`, 'f', {signer: 'credentialIssuer'}), [xfcc()], now))).to.equal(
      'certificate-issuer',
    )
  })
})

describe('admission by record', () => {
  it('not-registered: a suspended cluster is refused, its record notwithstanding', () => {
    const gone = reduceAll(fleet(), [{kind: 'registration', name: paris, value: undefined}])
    expect(reasonOf(admit(gone, direct('paris', 'a'), [], now))).to.equal('not-registered')
    expect(reasonOf(admit(gone, relay(), [xfcc()], now))).to.equal('not-registered')
  })

  it('cluster-revoked: nothing of a revoked cluster is admitted, whatever its registration and its credentials are', () => {
    const before = withRecord(fleet(), paris, 1, [credential('a')])
    const record = before.records.get(paris)
    if (record === undefined) throw new Error('paris has no record')
    const value = {...record, revokedSince: '2026-11-23T00:00:00.000Z'}
    const revoked = reduceAll(before, [{kind: 'record', owner: paris, value}])
    for (const each of [revoked, reduceAll(revoked, [{kind: 'registration', name: paris, value: undefined}])]) {
      expect(reasonOf(admit(each, direct('paris', 'a'), [], now))).to.equal('cluster-revoked')
      expect(reasonOf(admit(each, relay(), [xfcc()], now))).to.equal('cluster-revoked')
    }
  })

  it('a registration that does not decode is still one (promise 6)', () => {
    const broken = reduceAll(fleet(), [
      {kind: 'fault', subject: 'registration/paris', value: {object: 'Service/paris', key: 'x', message: 'broken'}},
    ])
    expect(admit(broken, direct('paris', 'a'), [], now).kind).to.equal('admitted')
  })

  it('generation: neither an earlier nor a later one', () => {
    const raised = withRecord(fleet(), paris, 2, [credential('a')])
    expect(reasonOf(admit(raised, direct('paris', 'a'), [], now))).to.equal('generation')
    expect(reasonOf(admit(fleet(), peer(`${domain}/ads-client/paris/2`, 'a', {signer: 'credentialIssuer'}), [], now))).to.equal(
      'generation',
    )
  })

  it('credential-expired, of a certificate that has ended: with cluster and remedy where it is on record, and as revoked where it is', () => {
    const changed = withRecord(fleet(), paris, 1, [credential('a'), {...credential('b'), state: 'revoked'}])
    const ended = (digit: string, options: PeerOptions = {}): Peer =>
      direct('paris', digit, {notAfter: new Date(now.getTime() - 60_000), ...options})
    const denied = denyEnded(changed, ended('a'), now)
    expect(denied).to.include({reason: 'credential-expired', cluster: 'paris'})
    expect(denied?.message).to.match(/ended at 2026-11-23T23:59:00\.000Z; apply the newest one, of Secret paris-envoy-ads/)
    expect(denyEnded(changed, ended('b'), now)).to.include({reason: 'credential-revoked', cluster: 'paris'})
    expect(denyEnded(changed, ended('d'), now), 'on no record').to.equal(undefined)
    expect(denyEnded(changed, ended('a', {notAfter: new Date(now.getTime() + 1)}), now), 'not ended').to.equal(undefined)
    const named = (uri: string): Peer => peer(uri, 'a', {signer: 'credentialIssuer', notAfter: new Date(0)})
    for (const uri of [`${domain}/ads-client/rome/1`, `${domain}/downstream/paris/1`, ''])
      expect(denyEnded(changed, named(uri), now), uri).to.equal(undefined)
  })

  it('credential-unknown, credential-revoked, credential-superseded, credential-expired', () => {
    const changed = withRecord(fleet(), paris, 1, [
      {...credential('a'), state: 'revoked'},
      {...credential('b'), notAfter: '2026-11-23T00:00:00Z'},
      {...credential('c'), state: 'revoked', retiredAt: '2026-11-20T00:00:00Z'},
    ])
    expect(reasonOf(admit(changed, direct('paris', 'd'), [], now))).to.equal('credential-unknown')
    expect(reasonOf(admit(changed, direct('paris', 'a'), [], now))).to.equal('credential-revoked')
    expect(reasonOf(admit(changed, direct('paris', 'b'), [], now))).to.equal('credential-expired')
    const ended = admit(changed, direct('paris', 'b'), [], now)
    expect('message' in ended && ended.message).to.match(
      /ended at 2026-11-23T00:00:00Z; apply the newest one, of Secret paris-envoy-ads \(atlas cluster values paris --format secret\)$/,
    )
    const superseded = admit(changed, direct('paris', 'c'), [], now)
    expect(reasonOf(superseded)).to.equal('credential-superseded')
    expect('message' in superseded && superseded.message).to.match(/is refused since 2026-11-20T00:00:00Z, .*; apply the newest one/)
    const unknown = admit(changed, direct('paris', 'd'), [], now)
    expect('message' in unknown && unknown.message).to.match(/is on record: it ended more than 30 days ago, or /)
  })

  it('two credentials of one cluster are both good', () => {
    const both = withRecord(fleet(), paris, 1, [credential('a'), credential('b')])
    expect(admit(both, direct('paris', 'a'), [], now).kind).to.equal('admitted')
    expect(admit(both, direct('paris', 'b'), [], now).kind).to.equal('admitted')
  })
})

describe('admission of a node', () => {
  const admitted: Admitted = {kind: 'admitted', cluster: paris, generation: 1, fingerprint: hash('a'), path: 'direct'}

  it('takes the node of the certificate', () => {
    expect(admitNode(admitted, {cluster: 'paris', id: 'envoy-0', metadata: undefined})).to.include({cluster: 'paris', id: 'envoy-0'})
  })

  it('node-cluster: refuses another cluster, naming both', () => {
    const refusal = admitNode(admitted, {cluster: 'rome', id: 'envoy-0', metadata: undefined}) as Denied
    expect(refusal).to.include({kind: 'denied', reason: 'node-cluster', cluster: 'paris'})
    expect(refusal.message).to.match(/"paris".*"rome".*"envoy-0"/)
  })

  it('node-missing, node-invalid', () => {
    expect(admitNode(admitted, undefined)).to.include({reason: 'node-missing'})
    expect(admitNode(admitted, {cluster: 'paris', id: '', metadata: undefined})).to.include({reason: 'node-invalid'})
    expect(admitNode(admitted, {cluster: 'paris', id: 'a', metadata: {'atlas.bind_address': 'nowhere'}})).to.include({
      reason: 'node-invalid',
    })
  })

  it('bounds and quotes what an unknown client claims', () => {
    const refusal = admitNode(admitted, {cluster: `rome\n${'x'.repeat(10_000)}`, id: 'y'.repeat(10_000), metadata: undefined}) as Denied
    expect(refusal.message.length).to.be.below(400)
    expect(refusal.message).not.to.include('\n')
  })
})

function fleet(): Fleet {
  const base: Fleet = {
    ...emptyFleet,
    settings: defaultSettings,
    trust: {roots: ['root'], issuers: ['issuer'], credentialIssuers: ['credentialIssuer']},
  }
  const registered = reduceAll(base, [
    {kind: 'registration', name: paris, value: testCluster('paris')},
    {kind: 'registration', name: parseClusterName('rome'), value: testCluster('rome')},
  ])
  return withRecord(
    withRecord(withRecord(registered, paris, 1, [credential('a')]), parseClusterName('rome'), 1, [credential('b')]),
    'atlas',
    1,
    [credential('c')],
  )
}

function withRecord(before: Fleet, owner: Owner, generation: number, credentials: readonly CredentialRecord[]): Fleet {
  return reduceAll(before, [{kind: 'record', owner, value: {owner, generation, credentials, denied: []}}])
}

function credential(digit: string): CredentialRecord {
  return {sha256: hash(digit), serial: digit, notAfter: '2028-01-01T00:00:00Z', rootsDigest: '', state: 'valid'}
}

interface PeerOptions {
  readonly signer?: string
  readonly notBefore?: Date
  readonly notAfter?: Date
}

function peer(
  uri: string,
  digit: string,
  {signer = 'issuer', notBefore = new Date('2026-01-01'), notAfter = new Date('2027-01-01')}: PeerOptions = {},
): Peer {
  return {uris: uri === '' ? [] : [uri], sha256: hash(digit), notBefore, notAfter, isSignedBy: issuers => issuers.includes(signer)}
}

function direct(owner: string, digit: string, options: PeerOptions = {}): Peer {
  return peer(`${domain}/ads-client/${owner}/1`, digit, {signer: 'credentialIssuer', ...options})
}

function relay(): Peer {
  return peer(`${domain}/observability`, 'f')
}

function xfcc(parts: {readonly by?: string; readonly hash?: string; readonly uri?: string} = {}): string {
  return `By=${parts.by ?? `${domain}/observability`};Hash=${parts.hash ?? hash('a')};URI=${parts.uri ?? `${domain}/ads-client/paris/1`}`
}

function reasonOf(outcome: Admitted | Denied): string {
  return outcome.kind === 'denied' ? outcome.reason : 'admitted'
}
