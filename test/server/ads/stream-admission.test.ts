/** Admission over real gRPC: each refusal reaches the client, the log of refusals and the counters under its name. */
import {status} from '@grpc/grpc-js'
import {expect} from 'chai'
import type {Credential} from '../../../src/lib/model/authority.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {credentialSpec, identitySpec} from '../../../src/lib/pki/certificate-specs.js'
import {issue, issueCredential} from '../../../src/lib/pki/issue.js'
import {readKey, recordOfCredential} from '../../../src/lib/pki/read.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {defaultSettings} from '../../../src/lib/model/settings.js'
import {testCluster} from '../../helpers/fleet.js'
import {type Connection, connect} from '../support/client.js'
import {type Network, eventually, need, nodeOf, settleAll, startNetwork, subscribe, types} from '../support/network.js'

const paris = parseClusterName('paris')

const remedy = /; apply the newest one, of Secret paris-envoy-ads \(atlas cluster values paris --format secret\)$/

/** A credential of paris that lives for a minute, on record. */
function shortLived({store}: Network, from: Date): Credential {
  const {authority, trust, records} = store.fleet()
  const spec = {...credentialSpec(defaultSettings, paris, 1), lifetime: 60}
  const credential = issueCredential(spec, need(authority.get('credentialIssuer')), need(trust).roots, from, cryptoSigner)
  const record = need(records.get(paris))
  store.write({kind: 'record', owner: paris, value: {...record, credentials: [...record.credentials, recordOfCredential(credential)]}})
  return credential
}

describe('admission over gRPC', () => {
  let network: Network
  before(async () => {
    network = await startNetwork(['paris', 'rome'], {limits: {streamsPerCluster: 3}})
  })
  after(async () => network.stop())

  /** Opens a stream, sends the node, and returns what ended the stream. */
  async function refusedAs(connection: Connection, cluster = 'paris'): Promise<{code: status; details: string}> {
    const stream = connection.delta()
    stream.send({node: nodeOf(cluster), typeUrl: types.cluster})
    const {code, details} = await stream.status
    expect(stream.responses).to.have.length(0)
    return {code, details}
  }

  function counted(reason: string): number {
    return network.serving.report().refusals.filter(refusal => refusal.reason === reason).length
  }

  async function refuses(reason: string, connection: Connection, cluster?: string): Promise<string> {
    const before = counted(reason)
    const {code, details} = await refusedAs(connection, cluster)
    expect(code, details).to.equal(status.PERMISSION_DENIED)
    expect(counted(reason)).to.equal(before + 1)
    const metrics = await (await fetch(`${network.serving.adminAddress}/metrics`)).text()
    expect(metrics).to.match(new RegExp(`atlas_ads_refused_total\\{reason="${reason}"\\} [1-9]`))
    return details
  }

  it('admits a relayed stream', async () => {
    const stream = network.relay('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.cluster})
    expect((await stream.next()).resources).not.to.have.length(0)
    expect(network.serving.report().proxies.find(proxy => proxy.path === 'relay')).to.include({cluster: 'paris', id: 'paris-0'})
    stream.cancel()
    await stream.status
  })

  it('admits streams of several clusters on one relay connection', async () => {
    const relayed = network.relay('paris')
    const stream = relayed.delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await stream.next()
    const other = network.relay('rome').delta()
    other.send({node: nodeOf('rome'), typeUrl: types.cluster})
    await other.next()
    stream.cancel()
    other.cancel()
    await stream.status
  })

  it('node-cluster: a credential that names another cluster', async () => {
    expect(await refuses('node-cluster', network.direct('paris'), 'rome')).to.match(/paris.*rome/)
    expect(network.serving.report().refusals.at(-1)).to.include({cluster: 'paris', reason: 'node-cluster'})
  })

  it('node-cluster: through the relay too', async () => {
    await refuses('node-cluster', network.relay('paris'), 'rome')
  })

  it('xfcc-on-direct: a downstream that forges a relay', async () => {
    await refuses('xfcc-on-direct', network.direct('rome', {'x-forwarded-client-cert': network.xfcc('paris')}))
  })

  it('xfcc-missing: the observability Envoy without the header', async () => {
    await refuses('xfcc-missing', network.relay('paris', ''))
  })

  it('xfcc-elements: a forged element in front of the true one', async () => {
    await refuses('xfcc-elements', network.relay('paris', `${network.xfcc('rome')},${network.xfcc('paris')}`))
  })

  it("credential-unknown: another cluster's hash", async () => {
    const forged = network.xfcc('rome').replace('ads-client/rome', 'ads-client/paris')
    await refuses('credential-unknown', network.relay('paris', forged))
  })

  it('relay-observability: atlas through the relay', async () => {
    await refuses('relay-observability', network.relay('atlas'), 'atlas')
  })

  it('certificate-name: an identity is no ADS credential', async () => {
    const roots = need(network.store.fleet().trust).roots.join('')
    const identity = need(network.store.fleet().identities.get(paris))
    await refuses('certificate-name', connect({address: network.serving.address, roots, key: identity}))
  })

  it('certificate-issuer: a credential that the issuer of the other plane signed', async () => {
    const {authority, trust} = network.store.fleet()
    const key = issue(credentialSpec(defaultSettings, paris, 1), need(authority.get('issuer')), new Date(), cryptoSigner)
    await refuses('certificate-issuer', connect({address: network.serving.address, roots: need(trust).roots.join(''), key}))
  })

  it('certificate-issuer: a relay that the credential issuer signed', async () => {
    const {authority, trust} = network.store.fleet()
    const wanted = {...identitySpec(defaultSettings, 'atlas', 1), purposes: ['client'] as const}
    const key = issue(wanted, need(authority.get('credentialIssuer')), new Date(), cryptoSigner)
    const metadata = {'x-forwarded-client-cert': network.xfcc('paris')}
    await refuses('certificate-issuer', connect({address: network.serving.address, roots: need(trust).roots.join(''), key, metadata}))
  })

  it('credential-unknown: a good certificate that is on no record', async () => {
    const {authority, trust} = network.store.fleet()
    const key = issue(credentialSpec(defaultSettings, paris, 1), need(authority.get('credentialIssuer')), new Date(), cryptoSigner)
    await refuses('credential-unknown', connect({address: network.serving.address, roots: need(trust).roots.join(''), key}))
  })

  it('credential-expired: one on record that has ended, through the relay, with what to do', async () => {
    const {sha256} = readKey(shortLived(network, new Date(Date.now() - 600_000)))
    const ended = network.xfcc('paris').replace(/Hash=[0-9a-f]+/, `Hash=${sha256}`)
    expect(await refuses('credential-expired', network.relay('paris', ended))).to.match(remedy)
  })

  it('credential-expired: one on record that TLS refuses because it has ended; the report names its cluster and what to do', async () => {
    const roots = need(network.store.fleet().trust).roots.join('')
    const key = shortLived(network, new Date(Date.now() - 600_000))
    const stream = connect({address: network.serving.address, roots, key}).delta()
    expect((await stream.status).code).to.equal(status.UNAVAILABLE)
    const refusals = (): ReturnType<Network['serving']['report']>['refusals'] =>
      network.serving.report().refusals.filter(({message}) => message.includes(readKey(key).sha256))
    await eventually(() => refusals().length > 0, 'a refusal')
    const [refusal] = refusals()
    expect(refusal).to.include({reason: 'credential-expired', cluster: 'paris'})
    expect(refusal?.message).to.match(remedy)
  })

  it('generation: of an earlier one', async () => {
    const {authority, trust} = network.store.fleet()
    const key = issue(credentialSpec(defaultSettings, paris, 7), need(authority.get('credentialIssuer')), new Date(), cryptoSigner)
    await refuses('generation', connect({address: network.serving.address, roots: need(trust).roots.join(''), key}))
  })

  it('streams: more than a cluster may have', async () => {
    const connection = network.direct('rome')
    const open = [connection.delta(), connection.delta(), connection.delta()]
    for (const [index, stream] of open.entries()) {
      stream.send({node: nodeOf('rome', `rome-${index}`), typeUrl: types.cluster})
      await stream.next()
    }

    expect((await refusedAs(network.direct('rome'), 'rome')).code).to.equal(status.RESOURCE_EXHAUSTED)
    expect(counted('streams')).to.equal(1)
    open[0]?.cancel()
    await open[0]?.status
    await eventually(
      () => network.serving.report().proxies.filter(proxy => proxy.cluster === 'rome').length === 2,
      'the stream is counted out',
    )
    const again = connection.delta()
    again.send({node: nodeOf('rome'), typeUrl: types.cluster})
    await again.next()
    for (const stream of [...open, again]) stream.cancel()
  })

  it('node-missing, node-invalid: each under its own name', async () => {
    const nodeless = network.direct('paris').delta()
    nodeless.send({typeUrl: types.cluster})
    expect((await nodeless.status).code).to.equal(status.INVALID_ARGUMENT)
    const odd = network.direct('paris').delta()
    odd.send({node: {cluster: 'paris', id: 'x'.repeat(200)}, typeUrl: types.cluster})
    expect((await odd.status).code).to.equal(status.INVALID_ARGUMENT)
    expect([counted('node-missing'), counted('node-invalid')]).to.deep.equal([1, 1])
  })
})

describe('a cluster that loses its right while connected', () => {
  let network: Network
  beforeEach(async () => {
    network = await startNetwork(['paris', 'rome'])
  })
  afterEach(async () => network.stop())

  it('is cut off at once when its registration is deleted, and admitted when it is back', async () => {
    const [paris0, rome0] = [network.direct('paris').delta(), network.direct('rome').delta()]
    subscribe(paris0, 'paris')
    subscribe(rome0, 'rome')
    await settleAll(network, [paris0, rome0])
    network.store.write({kind: 'registration', name: paris, value: undefined})
    const {code, details} = await paris0.status
    expect([code, details]).to.deep.equal([status.PERMISSION_DENIED, 'cluster "paris" is not registered'])
    const refused = network.direct('paris').delta()
    refused.send({node: nodeOf('paris'), typeUrl: types.cluster})
    expect((await refused.status).code).to.equal(status.PERMISSION_DENIED)
    network.store.write({kind: 'registration', name: paris, value: testCluster('paris')})
    const again = network.direct('paris').delta()
    again.send({node: nodeOf('paris'), typeUrl: types.cluster})
    expect((await again.next()).resources).not.to.have.length(0)
    expect(network.serving.report().proxies.map(proxy => proxy.cluster)).to.include('rome')
  })

  it('is cut off when its credential is revoked, direct or relayed', async () => {
    const streams = [network.direct('paris').delta(), network.relay('paris').delta()]
    for (const stream of streams) {
      stream.send({node: nodeOf('paris'), typeUrl: types.cluster})
      await stream.next()
    }

    const record = need(network.store.fleet().records.get(paris))
    const credentials = record.credentials.map(credential => ({...credential, state: 'revoked' as const}))
    network.store.write({kind: 'record', owner: paris, value: {...record, credentials}})
    for (const stream of streams) expect((await stream.status).details).to.match(/revoked/)
  })

  it('credential-expired: gets no further stream on a connection that began before its credential ended', async () => {
    const roots = need(network.store.fleet().trust).roots.join('')
    const connection = connect({address: network.serving.address, roots, key: shortLived(network, new Date())})
    const before = connection.delta()
    before.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await before.next()
    network.clock.ahead += 600_000
    const later = connection.delta()
    later.send({node: nodeOf('paris'), typeUrl: types.cluster})
    const {code, details} = await later.status
    expect(code, details).to.equal(status.PERMISSION_DENIED)
    expect(details).to.match(remedy)
    expect(network.serving.report().refusals.at(-1)).to.include({reason: 'credential-expired', cluster: 'paris'})
    connection.close()
  })

  it('certificate-issuer: is cut off when its credential issuer is no longer trusted', async () => {
    const stream = network.direct('paris').delta()
    stream.send({node: nodeOf('paris'), typeUrl: types.cluster})
    await stream.next()
    const {trust, authority} = network.store.fleet()
    const other = issue(
      {...credentialSpec(defaultSettings, paris, 1), ca: {pathLength: 0, isRoot: false}, uris: []},
      need(authority.get('root')),
      new Date(),
      cryptoSigner,
    )
    network.store.write(
      {kind: 'authority', part: 'credentialIssuer', value: other},
      {kind: 'trust', value: {...need(trust), credentialIssuers: [other.certificate]}},
    )
    expect((await stream.status).details).to.match(/not signed by a credential issuer in force/)
  })
})
