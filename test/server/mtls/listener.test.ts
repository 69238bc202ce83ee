/** The listener of ADS: which clients pass TLS, and why others do not. */
import {X509Certificate} from 'node:crypto'
import {type AddressInfo, connect as connectTcp, createServer} from 'node:net'
import {type ConnectionOptions, type TLSSocket, connect as connectTls} from 'node:tls'
import {expect} from 'chai'
import type {CertifiedKey} from '../../../src/lib/model/authority.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {defaultSettings} from '../../../src/lib/model/settings.js'
import {credentialSpec, issuerSpec, rootSpec, serverSpec} from '../../../src/lib/pki/certificate-specs.js'
import {issue} from '../../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {type Network, eventually, need, settleAll, startNetwork, subscribe} from '../support/network.js'
import {rawSession} from '../support/raw.js'

const paris = parseClusterName('paris')

describe('the ADS listener', () => {
  let network: Network
  beforeEach(async () => {
    network = await startNetwork(['paris'])
  })
  afterEach(async () => network.stop())

  interface Attempt {
    readonly bytes: number
    readonly protocol: string | null
    /** DER of the certificate that the server showed. */
    readonly shown: Buffer | undefined
  }

  /** Connects, sends the beginning of HTTP/2, and waits for the server's answer or the end of the connection. */
  async function attempt(options: ConnectionOptions & {readonly certified?: CertifiedKey | undefined}): Promise<Attempt> {
    const {certified, ...rest} = options
    const [host = '', port = ''] = network.serving.address.split(':')
    const socket = connectTls({
      host,
      port: Number(port),
      servername: 'ads.atlas.internal',
      ca: need(network.store.fleet().trust).roots.join(''),
      ALPNProtocols: ['h2'],
      ...(certified === undefined ? {} : {cert: certified.certificate, key: certified.key.reveal()}),
      ...rest,
    })
    let [bytes, protocol, shown]: [number, string | null, Buffer | undefined] = [0, null, undefined]
    socket.on('error', () => undefined)
    socket.on('data', (data: Buffer) => {
      bytes += data.length
    })
    socket.once('secureConnect', () => {
      protocol = socket.getProtocol()
      shown = socket.getPeerX509Certificate()?.raw
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
    })
    await new Promise(resolve => {
      for (const event of ['close', 'data']) socket.once(event, resolve)
    })
    socket.destroy()
    return {bytes, protocol, shown}
  }

  const credential = (): CertifiedKey => need(network.store.fleet().credentials.get(paris))

  async function refused(reason: string, options: Parameters<typeof attempt>[0]): Promise<void> {
    const {bytes} = await attempt(options)
    expect(bytes, 'bytes of HTTP/2').to.equal(0)
    await eventually(() => network.serving.report().refusals.some(refusal => refusal.reason === reason), reason)
    expect(network.serving.report().refusals.find(refusal => refusal.reason === reason)?.peer).to.match(/^127\.0\.0\.1:\d+$/)
  }

  it('accepts a credential, with TLS 1.3', async () => {
    expect(await attempt({certified: credential()})).to.include({protocol: 'TLSv1.3'})
    expect((await attempt({certified: credential()})).bytes).to.be.above(0)
  })

  it('tls-protocol: refuses TLS 1.2', async () => {
    await refused('tls-protocol', {certified: credential(), maxVersion: 'TLSv1.2'})
  })

  it('tls-certificate-missing: refuses a client without a certificate', async () => {
    await refused('tls-certificate-missing', {})
  })

  it('tls-certificate-untrusted: refuses a foreign authority', async () => {
    const root = issue(rootSpec(defaultSettings), undefined, new Date(), cryptoSigner)
    await refused('tls-certificate-untrusted', {
      certified: issue(credentialSpec(defaultSettings, paris, 1), root, new Date(), cryptoSigner),
    })
  })

  it('tls-certificate-untrusted: refuses an issuer that is not in force, though the root is', async () => {
    const retired = issue(issuerSpec(defaultSettings), need(network.store.fleet().authority.get('root')), new Date(), cryptoSigner)
    await refused('tls-certificate-untrusted', {
      certified: issue(credentialSpec(defaultSettings, paris, 1), retired, new Date(), cryptoSigner),
    })
  })

  it('tls-certificate-expired: refuses a certificate that has ended', async () => {
    const issuer = need(network.store.fleet().authority.get('credentialIssuer'))
    const old = issue({...credentialSpec(defaultSettings, paris, 1), lifetime: 60}, issuer, new Date(Date.now() - 300_000), cryptoSigner)
    await refused('tls-certificate-expired', {certified: old})
    const {message = ''} = network.serving.report().refusals.find(({reason}) => reason === 'tls-certificate-expired') ?? {}
    expect(message).to.include('apply the newest one (atlas cluster values')
  })

  it('tls-certificate-untrusted: refuses a client without SNI, and reports that', async () => {
    await refused('tls-certificate-untrusted', {certified: credential(), servername: '', checkServerIdentity: () => undefined})
    expect(network.serving.report().refusals.at(-1)?.message).to.match(/SNI/)
  })

  it('tls-handshake: refuses a client without HTTP/2', async () => {
    expect((await attempt({certified: credential(), ALPNProtocols: ['http/1.1']})).bytes).to.equal(0)
  })

  it('serves a client at once behind hundreds that send nothing', async () => {
    await network.stop()
    network = await startNetwork(['paris'], {times: {handshakeTimeoutMs: 20_000}})
    const [host = '', port = ''] = network.serving.address.split(':')
    const silent = Array.from({length: 400}, () => connectTcp(Number(port), host).on('error', () => undefined))
    await Promise.all(silent.map(async socket => new Promise(resolve => socket.once('connect', resolve))))
    const from = performance.now()
    const client = network.direct('paris').delta()
    subscribe(client, 'paris')
    await client.next()
    // It waited for the queue to pass, 4 at a time, not for 250 ms of each, which are 25 s.
    expect(performance.now() - from).to.be.below(10_000)
    for (const socket of silent) socket.destroy()
  })

  it('serves a client whose first bytes come one by one', async () => {
    const [host = '', port = ''] = network.serving.address.split(':')
    let single = 20
    const slow = createServer(client => {
      const upstream = connectTcp({host, port: Number(port), noDelay: true})
      upstream.pipe(client)
      client.on('data', bytes => void forward(bytes))
      for (const socket of [client, upstream])
        socket.on('error', () => undefined).on('close', () => [client, upstream].map(end => end.destroy()))

      async function forward(bytes: Buffer): Promise<void> {
        client.pause()
        const alone = Math.min(single, bytes.length)
        single -= alone
        for (let at = 0; at < alone; at += 1) {
          upstream.write(bytes.subarray(at, at + 1))
          await new Promise(resolve => setTimeout(resolve, 2))
        }

        upstream.write(bytes.subarray(alone))
        client.resume()
      }
    })
    await new Promise<void>(resolve => slow.listen(0, '127.0.0.1', resolve))
    const at = slow.address() as AddressInfo
    expect((await attempt({certified: credential(), host: '127.0.0.1', port: at.port})).bytes).to.be.above(0)
    slow.close()
  })

  it('disconnects clients that send nothing, one byte, or no TLS', async () => {
    await network.stop()
    network = await startNetwork(['paris'], {times: {handshakeTimeoutMs: 1000}})
    const [host = '', port = ''] = network.serving.address.split(':')
    const mute = connectTcp({host, port: Number(port)})
    const noisy = connectTcp({host, port: Number(port)})
    const brief = connectTcp({host, port: Number(port)})
    for (const socket of [mute, noisy, brief]) socket.on('error', () => undefined)
    noisy.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    brief.write(Buffer.from([0x16]))
    await Promise.all([mute, noisy, brief].map(async socket => new Promise(resolve => socket.once('close', resolve))))
    // A client whose handshake takes a second, as in a long pause of this process, is disconnected, too.
    const deadline = Date.now() + 20_000
    let {bytes} = await attempt({certified: credential()})
    while (bytes === 0 && Date.now() < deadline) ({bytes} = await attempt({certified: credential()}))
    expect(bytes).to.be.above(0)
  })

  it('shows a new certificate, trusts new issuers, and keeps open streams, without a restart', async () => {
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris')
    await settleAll(network, [stream])
    const {authority, trust} = network.store.fleet()
    // The leader, to which this issuer is unknown, can put nothing back meanwhile.
    network.store.conflicts = Infinity
    const issuer = issue(issuerSpec(defaultSettings), need(authority.get('root')), new Date(), cryptoSigner)
    const server = issue(serverSpec(defaultSettings), issuer, new Date(), cryptoSigner)
    const next = {...need(trust), issuers: [...need(trust).issuers, issuer.certificate]}
    network.store.write({kind: 'trust', value: next}, {kind: 'server', value: server})
    expect(new X509Certificate((await attempt({certified: credential()})).shown ?? '').serialNumber).to.equal(
      new X509Certificate(server.certificate).serialNumber,
    )
    const secrets = await stream.next()
    expect(secrets.resources.map(({name}) => name)).to.deep.equal(['trust'])
  })

  it('keeps the certificate in use when the new one is invalid', async () => {
    const {server} = network.store.fleet()
    const wrong = {certificate: need(server).certificate, key: credential().key}
    network.store.write({kind: 'server', value: wrong})
    expect((await attempt({certified: credential()})).bytes).to.be.above(0)
    await eventually(() => network.store.fleet().server !== wrong, 'the server has replaced it')
  })

  it('resumes no session of a client whose issuer is no longer trusted', async () => {
    const [host = '', port = ''] = network.serving.address.split(':')
    const roots = need(network.store.fleet().trust).roots.join('')
    const sessions: Buffer[] = []
    const dial = async (session?: Buffer): Promise<TLSSocket> => {
      const {certificate, key} = credential()
      const socket = connectTls({
        host,
        port: Number(port),
        servername: 'ads.atlas.internal',
        ca: roots,
        ALPNProtocols: ['h2'],
        cert: certificate,
        key: key.reveal(),
        ...(session === undefined ? {} : {session}),
      })
      socket.on('error', () => undefined)
      socket.on('session', (ticket: Buffer) => sessions.push(ticket))
      await new Promise<void>(resolve => socket.once('secureConnect', resolve).once('close', resolve))
      return socket
    }

    const first = await dial()
    await eventually(() => sessions.length > 0, 'it has a session')
    expect(first.destroyed).to.equal(false)
    first.destroy()
    const {trust, authority} = network.store.fleet()
    const other = issue(issuerSpec(defaultSettings), need(authority.get('root')), new Date(), cryptoSigner)
    network.store.write(
      {kind: 'authority', part: 'credentialIssuer', value: other},
      {kind: 'trust', value: {...need(trust), credentialIssuers: [other.certificate]}},
    )
    const second = await dial(sessions.at(-1))
    expect(second.isSessionReused()).not.to.equal(true)
    await eventually(() => second.destroyed, 'it is refused')
  })

  it('survives pings that come fast: Envoy pings every 30 s, and gRPC servers are known to cut such clients', async () => {
    const session = await rawSession(network, paris)
    let answered = 0
    for (let ping = 0; ping < 100; ping += 1)
      await new Promise<void>(resolve => {
        session.ping(error => {
          if (error === null) answered += 1
          resolve()
        })
      })
    expect([answered, session.destroyed]).to.deep.equal([100, false])
    session.destroy()
  })
})
