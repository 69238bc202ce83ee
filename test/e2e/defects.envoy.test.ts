/** The gravest defects of goatlas, D1 to D5: a running network has none of them. */
import {randomInt} from 'node:crypto'
import {expect} from 'chai'
import {createServer} from 'node:net'
import path from 'node:path'
import {fromBinary} from '@bufbuild/protobuf'
import {SecretSchema} from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {certificatesOf} from '../../src/demo/lab/envoy-admin.js'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {credentialIn, identityIn} from '../../src/demo/lab/certificates.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {joining} from '../../src/lib/ops/cluster/values.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {liveFiles} from '../helpers/live-files.js'
import {connect} from '../server/support/client.js'
import {bootstrapOf} from './envoy.js'
import {oneCall} from './backend.js'
import {statusIn, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {listeningSockets} from './sockets.js'
import {adsPort, probeLogged, sidecarPort} from './mtls-ports.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const owners: readonly Owner[] = [OBSERVABILITY, paris, lyon]

describe('e2e: defects of goatlas', function () {
  this.timeout(240_000)
  let network: Network
  let fleet: Fleet

  before(async () => {
    network = await openNetwork({clusters: [paris, lyon]})
    fleet = await network.store.load()
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  /** The secrets that a client gets that claims to be a node of `cluster` and requests every possible name. */
  async function secretsFor(key: CertifiedKey, cluster: string): Promise<{readonly code: number} | {readonly keys: readonly string[]}> {
    const {roots} = credentialIn(fleet, paris)
    const connection = connect({address: `${network.address}:10900`, roots, key, serverName: 'observability.atlas.internal'})
    const stream = connection.delta()
    const names = ['identity', 'identity/paris', 'identity/atlas', 'paris', 'atlas', 'server', 'client', 'ads-trust', 'trust', '*']
    try {
      stream.send({node: {cluster, id: 'thief'}, typeUrl: typeUrls.secret, resourceNamesSubscribe: names})
      const answer = stream.next()
      answer.catch(() => undefined)
      const first = await Promise.race([answer, stream.status])
      if ('code' in first) return {code: first.code}
      const secrets = first.resources.flatMap(({resource}) => (resource === undefined ? [] : [fromBinary(SecretSchema, resource.value)]))
      return {keys: secrets.flatMap(({type}) => (type.case === 'tlsCertificate' ? [textOf(type.value.privateKey)] : []))}
    } finally {
      stream.cancel()
      connection.close()
    }
  }

  it('D1: 10900 gives configuration and keys to no client without a certificate, nor to one under another name', async () => {
    const stranger = await probeLogged(network, adsPort(network, fleet), {})
    expect(stranger).to.include({bytes: 0, alert: 'certificate required'})
    await callOnce(openPlain({host: network.address, port: 10_900}), oneCall('anything')).then(
      () => expect.fail('10900 answered in plaintext'),
      (error: unknown) => expect(error).to.be.instanceOf(Error),
    )
    const lyons = credentialIn(fleet, lyon)
    for (const cluster of [OBSERVABILITY, paris]) expect(await secretsFor(lyons, cluster)).to.deep.equal({code: 7})
    expect(await secretsFor(lyons, lyon)).to.deep.equal({keys: [identityIn(fleet, lyon).key.reveal()]})
  })

  it('D2: every Envoy has its own key, and no downstream Envoy can impersonate the observability Envoy', async () => {
    const keys = [...owners.map(owner => identityIn(fleet, owner)), ...owners.map(owner => credentialIn(fleet, owner))]
    expect(new Set(keys.map(({key}) => key.reveal())).size).to.equal(6)
    for (const {owner, admin} of [network.observability, network.member(paris).envoy, network.member(lyon).envoy]) {
      const own = [identityIn(fleet, owner), credentialIn(fleet, owner)].map(key => readKey(key).serial.replace(/^0+/, ''))
      const shown = await certificatesOf(admin)
      expect(shown.map(({serial}) => serial).sort()).to.deep.equal(own.sort())
    }

    const asObservability = await probeLogged(network, sidecarPort(network, fleet, paris), {certificate: identityIn(fleet, lyon)})
    expect(asObservability).to.include({bytes: 0})
    expect(asObservability.failure).to.match(/SAN_matcher.*downstream\/lyon/)
  })

  it('D3: certificates carry names, both ends of every connection check them, and clients send the name of the server', async () => {
    for (const owner of owners) expect(readKey(identityIn(fleet, owner)).uris).to.have.length(1)
    const contexts = await network.observability.page('/config_dump?resource=dynamic_active_clusters')
    const pinned = await network.member(paris).envoy.page('/config_dump?resource=dynamic_listeners')
    for (const [dump, name, sni] of [
      [contexts, 'spiffe://atlas.internal/downstream/paris/1', 'paris.downstream.atlas.internal'],
      [contexts, 'spiffe://atlas.internal/downstream/lyon/1', 'lyon.downstream.atlas.internal'],
      [contexts, 'spiffe://atlas.internal/ads', 'ads.atlas.internal'],
      [pinned, 'spiffe://atlas.internal/observability', undefined],
    ] as const) {
      expect(dump).to.include(`"exact": "${name}"`)
      if (sni !== undefined) expect(dump).to.include(`"sni": "${sni}"`)
    }
  })

  it('D4: no private key in Helm values, a ConfigMap, a bootstrap, status or a log, and no key file that other users may read', async () => {
    const KEY = /PRIVATE KEY/
    const secrets = [...owners.flatMap(owner => [identityIn(fleet, owner), credentialIn(fleet, owner)]), ...fleet.authority.values()]
    const traces = secrets.flatMap(({key}) => tracesOf(key.reveal().split('\n')[1] ?? expect.fail('a key without a second line')))
    const without = (text: string, where: string): void => {
      expect(text, where).not.to.match(KEY)
      for (const trace of traces) expect(text.includes(trace), where).to.equal(false)
    }
    for (const owner of owners) without(JSON.stringify((await joining(network.store, owner)).values()), `values of ${owner}`)
    for (const {envoy} of network.members.values()) without(JSON.stringify(await bootstrapOf(envoy)), `bootstrap of ${envoy.owner}`)
    without(JSON.stringify(await statusIn(network)), 'status')
    for (const folder of ['store', 'logs', 'envoy'])
      for (const {name, mode, content} of await liveFiles(path.join(network.folder, folder))) {
        const mayHold = name.startsWith('secret-') || name === 'tls.key'
        if (mayHold) expect(mode, name).to.equal(0o600)
        else without(content.toString(), name)
      }
  })

  it('D5, D6, D7: admin pages are at no TCP address, and no port of a default bootstrap is open without mutual TLS but on loopback', async () => {
    for (const owner of owners) {
      const files = (await joining(network.store, owner)).bootstrap({nodeId: 'default', directory: '/somewhere'})
      const bootstrap = JSON.parse(files.find(file => file.path === 'envoy.json')?.text ?? '{}') as {
        admin: {address: object}
        static_resources: {listeners: {address: object}[]}
      }
      expect(bootstrap.admin.address).to.deep.equal({pipe: {path: '/somewhere/admin.sock', mode: 0o600}})
      expect(bootstrap.static_resources.listeners.map(({address}) => address)).to.deep.equal([
        {socket_address: {address: '127.0.0.1', port_value: 9902}},
      ])
    }

    const [ads, alerts, thanosPort, ...others] = await freePorts(6)
    const downstream = [thanosPort, ...others]
    const open = [
      {
        owner: OBSERVABILITY,
        host: network.spareAddress(0),
        ports: new Map([
          [10_900, ads],
          [10_903, alerts],
        ]),
        all: [ads, alerts],
        local: [9902, 10_901, 10_902, 10_904],
        target: adsPort(network, fleet),
        port: ads,
        rightful: credentialIn(fleet, paris),
      },
      {
        owner: paris,
        host: network.spareAddress(1),
        ports: new Map(downstream.map((at, index) => [11_901 + index, at])),
        all: downstream,
        local: [9902, 10_903],
        target: sidecarPort(network, fleet, paris),
        port: thanosPort,
        rightful: identityIn(fleet, OBSERVABILITY),
      },
    ] as const
    for (const {owner, host, ports, all, local, target, port, rightful} of open) {
      const envoy = await network.makeEnvoy(owner, {address: host, bindAddress: '0.0.0.0', nodeId: `${owner}-9`, ports})
      await envoy.start()
      await envoy.untilReady()
      expect(listeningSockets(envoy.pid())).to.have.members([
        ...all.map(each => `0.0.0.0:${each}`),
        ...local.map(each => `${host}:${each}`),
      ])
      expect((await probeTls({...target, port}, {})).bytes).to.equal(0)
      expect((await probeTls({...target, port}, {certificate: rightful})).bytes).to.be.greaterThan(0)
    }
  })
})

function textOf(source: {readonly specifier: {readonly case?: string | undefined; readonly value?: unknown}} | undefined): string {
  const {specifier} = source ?? {specifier: {}}
  if (specifier.case === 'inlineString') return String(specifier.value)
  if (specifier.case === 'inlineBytes') return Buffer.from(specifier.value as Uint8Array).toString()
  return `no key, but ${specifier.case ?? 'nothing'}`
}

/** The forms of a text in plain files and in base64, which has three alignments. */
function tracesOf(text: string): readonly string[] {
  return [text, ...['', 'x', 'xx'].map(shift => Buffer.from(`${shift}${text}`).toString('base64').slice(4, -4))]
}

/** Different ports that are free on every address, and that no other test is given meanwhile: they are below those that the kernel gives to connections. */
async function freePorts(count: number): Promise<readonly [number, number, number, ...number[]]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = randomInt(30_100, 32_700)
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => {
      server.once('error', () => resolve(false))
      server.listen(port, '0.0.0.0', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise(resolve => server.close(resolve))
    found.add(port)
  }

  const [first = 0, second = 0, third = 0, ...others] = found
  return [first, second, third, ...others]
}
