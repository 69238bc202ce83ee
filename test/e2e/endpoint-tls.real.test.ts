/**
 * Thanos endpoints that insist on TLS, as OpenShift's sidecars do: real sidecars with `--grpc-server-tls-cert`, `-key` and `-client-ca`, behind
 * an Envoy that has certificates for them, and behind one that has not.
 */
import {mkdir, rename, symlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import {type GrpcReply, callOnce, grpcCodes, openPlain} from '../../src/demo/lab/grpc.js'
import {healthCall, isServing} from '../../src/demo/lab/health.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {parseAddresses, renderHostPort} from '../../src/lib/model/address.js'
import {type UpstreamTls, parseEndpointTls} from '../../src/lib/model/endpoint-tls.js'
import {parseClusterName, sidecarName} from '../../src/lib/model/names.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {type Certified, certify} from '../helpers/kubernetes/certificates.js'
import {inSteps} from '../helpers/steps.js'
import {programAt, startPrometheus} from '../pages/support/programs.js'
import type {TestEnvoy} from './envoy.js'
import {queryAddress, until, untilReachable, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {untilAnswers} from './scene.js'

/** What OpenShift's own Thanos Query expects of a sidecar's certificate (`--grpc-client-server-name`). */
const SERVER_NAME = 'prometheus-grpc'

describe('e2e: Thanos endpoints with TLS', function () {
  this.timeout(300_000)
  inSteps()
  let network: Network
  let folder: string
  let authority: Certified
  let sidecar: Awaited<ReturnType<Network['startProcess']>>
  let withCertificates: TestEnvoy

  before(async () => {
    network = await openNetwork({clusters: ['paris'], spare: 2})
    folder = path.join(network.folder, 'upstream')
    await untilReachable(network)
    const listen = {host: at(40), port: 9090}
    const flags = ['--storage.tsdb.min-block-duration=2h', '--storage.tsdb.max-block-duration=2h']
    await startPrometheus(network, {name: 'paris', listen, version: 2, flags})
    authority = await certify({name: 'authority'})
    sidecar = await startSidecar('strict', 41, {authority, names: [SERVER_NAME], isClientAsked: true})
    await startSidecar('public', 42, {authority, addresses: [at(42)]})
    await mount('1', authority)
  })
  after(() => closeNetwork(network))

  const at = (last: number): string => network.spareAddress(0).replace(/200$/, String(last))

  async function startSidecar(
    name: string,
    last: number,
    server: {authority: Certified; names?: readonly string[]; addresses?: readonly string[]; isClientAsked?: boolean},
  ) {
    const data = path.join(network.folder, 'data', name)
    await mkdir(data, {recursive: true})
    const {authority: issuer, names = [], addresses = [], isClientAsked = false} = server
    const own = await certify({name, names, addresses}, issuer)
    const files = {'tls.crt': own.certificate, 'tls.key': own.key, 'ca.crt': issuer.certificate}
    for (const [file, text] of Object.entries(files)) await writeFile(path.join(data, file), text, {mode: 0o600})
    const running = await network.startProcess({
      name: `sidecar-${name}`,
      program: programAt('thanos'),
      args: [
        'sidecar',
        `--prometheus.url=http://${renderHostPort({host: at(40), port: 9090})}`,
        `--tsdb.path=${data}`,
        `--grpc-address=${at(last)}:10901`,
        `--http-address=${at(last)}:10902`,
        '--grpc-grace-period=1s',
        '--http-grace-period=1s',
        `--grpc-server-tls-cert=${path.join(data, 'tls.crt')}`,
        `--grpc-server-tls-key=${path.join(data, 'tls.key')}`,
        ...(isClientAsked ? [`--grpc-server-tls-client-ca=${path.join(data, 'ca.crt')}`] : []),
      ],
      cwd: data,
    })
    await untilAnswers({host: at(last), port: 10_902}, '/-/ready', network.crashed, 60_000)
    return running
  }

  /** Mounts certificates as Kubernetes mounts Secrets: a folder of each version, and a symbolic link that is renamed. */
  async function mount(version: string, issuer: Certified): Promise<void> {
    const client = await certify({name: 'atlas', kind: 'client'}, issuer)
    for (const [name, files] of Object.entries({
      openshift: {'ca.crt': issuer.certificate, 'tls.crt': client.certificate, 'tls.key': client.key},
      public: {'ca.crt': issuer.certificate},
    })) {
      await mkdir(path.join(folder, `..${version}`, name), {recursive: true})
      for (const [file, text] of Object.entries(files)) await writeFile(path.join(folder, `..${version}`, name, file), text, {mode: 0o600})
      if (version === '1') await symlink(path.join('..data', name), path.join(folder, name))
    }
    await symlink(`..${version}`, path.join(folder, '..next'))
    await rename(path.join(folder, '..next'), path.join(folder, '..data'))
  }

  async function register(targets: Readonly<Record<string, {last: number; tls: string}>>, address?: string): Promise<void> {
    const named = Object.entries(targets).map(
      ([name, {last, tls}]) =>
        [name, {host: at(last), port: 10_901, replicas: 1, health: 'grpc' as const, tls: parseEndpointTls(tls)}] as const,
    )
    const request = {targets: new Map(named), ...(address !== undefined && {addresses: parseAddresses(address)})}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
  }

  const host = (target: string): string => `${sidecarName(parseClusterName('paris'), 0, target)}.atlas.svc.cluster.local:10901`

  async function ask(target: string, where = '/thanos.info.Info/Info'): Promise<GrpcReply> {
    const message = new Uint8Array()
    return callOnce(openPlain(queryAddress(network)), {authority: host(target), path: where, message, timeoutMs: 5000, until: 'end'})
  }

  /** The label of the Prometheus behind an endpoint, or how the call failed. */
  async function labelOf(target: string): Promise<string> {
    const {grpcStatus, grpcMessage, messages} = await ask(target)
    return grpcStatus === 0 ? (/prometheus.{1,4}?(paris)/s.exec(messages.join(''))?.[1] ?? 'no label') : `${grpcStatus} ${grpcMessage}`
  }

  const findings = async (): Promise<readonly string[]> => (await network.status()).findings.map(({message}) => message)

  const both = {strict: {last: 41, tls: `openshift:${SERVER_NAME}`}, public: {last: 42, tls: 'public'}}

  it('an Envoy without the certificates answers UNAVAILABLE for them alone, rejects nothing, and status says what it lacks', async () => {
    await register(both)
    const lacks = [
      'paris paris-0 has no certificates "public", so it does not connect to paris-thanos-sidecar-public-0, which the registration reaches with TLS',
      'paris paris-0 has no certificates "openshift", so it does not connect to paris-thanos-sidecar-strict-0, which the registration reaches with TLS',
    ]
    await until(network, 'the findings', async () => isDeepStrictEqual(await findings(), lacks))
    for (const target of Object.keys(both))
      await until(network, target, async () => (await ask(target)).grpcStatus === grpcCodes.unavailable)
    expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
  })

  it('an Envoy that has them reaches a sidecar that asks for a client certificate, and one that asks for none', async () => {
    const upstreamTls: UpstreamTls = {
      directory: folder,
      certificates: new Map([
        ['late', {isClient: false}],
        ['openshift', {isClient: true}],
        ['public', {isClient: false}],
      ]),
    }
    const address = network.spareAddress(1)
    withCertificates = await network.makeEnvoy(network.member('paris').name, {address, nodeId: 'paris-1', upstreamTls})
    await withCertificates.start()
    await withCertificates.untilReady()
    await register(both, address)
    for (const target of Object.keys(both)) {
      await until(network, target, async () => (await labelOf(target)) === 'paris')
      expect(isServing((await ask(target, healthCall('').path)).messages[0]), target).to.equal(true)
    }
    expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
  })

  it('a sidecar with another name on its certificate, or one that asks for a client certificate that is not there, is not reached', async () => {
    await register({...both, other: {last: 41, tls: 'openshift:another-name'}, bare: {last: 41, tls: `public:${SERVER_NAME}`}})
    for (const target of ['other', 'bare'])
      await until(network, target, async () => (await ask(target)).grpcMessage === 'no healthy upstream')
    for (const target of Object.keys(both)) expect(await labelOf(target)).to.equal('paris')
  })

  it('certificates that are replaced in the folder are used without a restart of Envoy', async () => {
    await sidecar.kill()
    const next = await certify({name: 'next authority'})
    sidecar = await startSidecar('strict', 41, {authority: next, names: [SERVER_NAME], isClientAsked: true})
    await until(network, 'the end of the old ones', async () => (await ask('strict')).grpcMessage === 'no healthy upstream')
    await mount('2', next)
    await until(network, 'the new ones', async () => (await labelOf('strict')) === 'paris')
  })

  it('a file that is missing costs the other endpoints nothing; status says that Envoy rejected it, and it is used once it is there', async () => {
    await register({...both, late: {last: 42, tls: 'late'}})
    await until(network, 'the rejection', async () => {
      const found = await findings()
      return found.some(text => text.includes('paris-1 rejected Secret')) && found.join('\n').includes('late/ca.crt')
    })
    expect(await whoAnswers(network, 'paris')).to.equal('paris/0')
    expect(await labelOf('strict')).to.equal('paris')
    await mkdir(path.join(folder, 'late'), {recursive: true})
    await writeFile(path.join(folder, 'late', 'ca.crt'), authority.certificate)
    await until(network, 'the endpoint', async () => (await labelOf('late')) === 'paris', 60)
    await until(network, 'status to say so', async () => !(await findings()).join('\n').includes('rejected'))
  })
})
