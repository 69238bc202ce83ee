import {expect} from 'chai'
import {createSecureServer} from 'node:http2'
import type {AddressInfo, Server} from 'node:net'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {identitySpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {type MtlsPort, mustRefuse} from '../../src/demo/mtls-ports.js'
import {callOnce, openTls} from '../../src/demo/lab/grpc.js'
import {probeTls, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {Disproof} from '../../src/demo/proof.js'
import {testAuthority} from '../helpers/pki.js'

const now = new Date()
const ours = testAuthority(now, 'ours')
const foreign = testAuthority(now, 'foreign')
const identity = ({settings, issuer, signer}: typeof ours): CertifiedKey => issue(identitySpec(settings, 'atlas', 1), issuer, now, signer)
const signal = new AbortController().signal
const refusal = {name: 'a stranger', client: {}, alert: /./, reason: /./}

describe('demo/mtls-ports', () => {
  const servers: Server[] = []
  after(() => {
    for (const server of servers) server.close()
  })

  it('admits the right client and counts the bytes', async () => {
    const {bytes, alert, serial} = await probeTls(await openPort({asks: true}), {certificate: identity(ours)})
    expect(bytes).to.be.above(0)
    expect(alert).to.equal(undefined)
    expect(serial).to.match(/^[0-9a-f]+$/)
  })

  it('counts no byte for a refused client', async () => {
    const port = await openPort({asks: true})
    expect((await probeTls(port, {})).bytes).to.equal(0)
    expect((await probeTls(port, {certificate: identity(foreign)})).bytes).to.equal(0)
    expect((await probeTls(port, {certificate: identity(ours), maxVersion: 'TLSv1.2'})).alert).to.equal('protocol version')
  })

  it('does not count an untrusted server certificate as a refusal', async () => {
    const port = await openPort({asks: true})
    const error = await probeTls({...port, ca: [foreign.issuer.certificate]}, {certificate: identity(ours)}).catch(
      (caught: unknown) => caught,
    )
    expect(error).to.have.property('code').that.contains('UNABLE_TO')
  })

  it('does not count a closed port as a refusal', async () => {
    const error = await probeTls({...(await openPort({asks: true})), port: 1}, {}).catch((caught: unknown) => caught)
    expect(error).to.have.property('code', 'ECONNREFUSED')
  })

  it('fails when the port admits the wrong client', async () => {
    const error = await mustRefuse(await openPort({asks: false}), refusal, signal).catch((caught: unknown) => caught)
    expect(error).to.be.instanceOf(Disproof)
    expect(String(error)).to.match(/a port sent \d+ bytes to a stranger/)
  })

  it('fails when the port refuses every client', async () => {
    const port = {...(await openPort({asks: true})), admitted: identity(foreign)}
    const error = await mustRefuse(port, refusal, signal).catch((caught: unknown) => caught)
    expect(String(error)).to.contain('sent nothing to the client that it should admit')
  })

  it('accepts the refusal of an Envoy only for the expected reason', async () => {
    const port = {...(await openPort({asks: true})), log: '/nonexistent'}
    const error = await mustRefuse(port, {...refusal, alert: /unknown ca/}, signal).catch((caught: unknown) => caught)
    expect(String(error)).to.contain('closed on a stranger with the TLS alert "certificate required", not /unknown ca/')
  })

  it('calls gRPC through a mutual-TLS port', async () => {
    const port = await openPort({asks: true})
    const call = {path: '/a/b', message: new Uint8Array(), timeoutMs: 20_000, until: 'end' as const}
    const answer = await callOnce(openTls(port, tlsOptions(port, {certificate: identity(ours)})), call)
    expect(answer.grpcStatus).to.equal(12)
  })

  async function openPort({asks}: {asks: boolean}): Promise<MtlsPort> {
    const own = identity(ours)
    const server = createSecureServer({
      cert: own.certificate,
      key: own.key.reveal(),
      ca: ours.root.certificate,
      requestCert: asks,
      rejectUnauthorized: asks,
      minVersion: 'TLSv1.3',
    })
    server.on('stream', stream => {
      stream.respond({':status': 200, 'content-type': 'application/grpc', 'grpc-status': 12}, {endStream: true})
    })
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve)
    })
    server.unref()
    servers.push(server)
    return {
      title: 'a port',
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      servername: `observability.${defaultSettings.trustDomain}`,
      ca: [ours.issuer.certificate],
      admitted: own,
      log: undefined,
    }
  }
})
