/** The pages port over real TLS: who is admitted, what is answered, and with which headers. */
import {type ClientHttp2Session, connect as connectHttp2} from 'node:http2'
import {connect as connectTls} from 'node:tls'
import {expect} from 'chai'
import type {CertifiedKey} from '../../../src/lib/model/authority.js'
import {parseClientName, parseClusterName, spiffe} from '../../../src/lib/model/names.js'
import {type Settings, defaultSettings} from '../../../src/lib/model/settings.js'
import {statusOf} from '../../../src/lib/ops/status.js'
import {type CertificateSpec, clientSpec, identitySpec, issuerSpec, rootSpec, serverSpec} from '../../../src/lib/pki/certificate-specs.js'
import {issue} from '../../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {type Network, eventually, need, settleAll, startNetwork, subscribe} from '../support/network.js'

const paris = parseClusterName('paris')

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

describe('the pages port', () => {
  let network: Network
  const sessions: ClientHttp2Session[] = []
  beforeEach(async () => {
    network = await startNetwork(['paris', 'rome'])
  })
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy()
    await network.stop()
  })

  const observability = (): CertifiedKey => need(network.store.fleet().identities.get('atlas'))
  const issuer = (): CertifiedKey => need(network.store.fleet().authority.get('issuer'))
  const credentialIssuer = (): CertifiedKey => need(network.store.fleet().authority.get('credentialIssuer'))
  const signed = (spec: CertificateSpec, by = issuer(), now = new Date()): CertifiedKey => issue(spec, by, now, cryptoSigner)

  /** As the observability Envoy connects. */
  function open(client: CertifiedKey | undefined, options: {servername?: string; ALPNProtocols?: string[]; maxVersion?: 'TLSv1.2'} = {}) {
    const [host = '', port = ''] = network.serving.pagesAddress.split(':')
    const socket = connectTls({
      host,
      port: Number(port),
      servername: 'ads.atlas.internal',
      ca: need(network.store.fleet().trust).roots.join(''),
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
      ...(client === undefined ? {} : {cert: client.certificate, key: client.key.reveal()}),
      ...options,
    })
    const session = connectHttp2('https://ads.atlas.internal', {createConnection: () => socket})
    session.on('error', () => undefined)
    sessions.push(session)
    return {session, socket}
  }

  async function ask(session: ClientHttp2Session, path: string, {method = 'GET', authority = 'atlas.example'} = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const stream = session.request({':path': path, ':method': method, ':authority': authority})
      let [headers, body]: [Record<string, unknown>, string] = [{}, '']
      stream.setEncoding('utf8')
      stream.on('response', received => {
        headers = received
      })
      stream.on('data', (text: string) => {
        body += text
      })
      stream.on('error', reject)
      stream.on('close', () => {
        if (headers[':status'] === undefined) reject(new Error('closed without an answer'))
        else resolve({status: Number(headers[':status']), headers, body})
      })
      stream.end()
    })
  }

  async function isAnswered(client: CertifiedKey | undefined, options: Parameters<typeof open>[1]): Promise<boolean> {
    const {session, socket} = open(client, options)
    const closed = new Promise<false>(resolve => {
      for (const event of ['close', 'error']) socket.once(event, () => resolve(false))
    })
    const answered = ask(session, '/').then(
      () => true,
      () => closed,
    )
    return Promise.race([answered, closed])
  }

  async function refused(reason: string, client: CertifiedKey | undefined, options: Parameters<typeof open>[1] = {}): Promise<void> {
    expect(await isAnswered(client, options), reason).to.equal(false)
    await eventually(() => network.serving.report().refusals.some(refusal => refusal.reason === reason), reason)
  }

  it('shows the start page to the observability Envoy, and its own identity to it', async () => {
    const {session, socket} = open(observability())
    const {status, headers, body} = await ask(session, '/')
    expect([status, headers['content-type']]).to.deep.equal([200, 'text/html; charset=utf-8'])
    expect(body)
      .to.match(/^<!doctype html>/)
      .and.to.include('2 downstream clusters')
    expect(socket.getPeerX509Certificate()?.subjectAltName).to.include(spiffe.ads('atlas.internal'))
    expect(socket.getProtocol()).to.equal('TLSv1.3')
  })

  it('refuses every other certificate of the installation', async () => {
    const {identities, credentials} = network.store.fleet()
    const wrong: readonly (readonly [string, CertifiedKey])[] = [
      ['a downstream identity', need(identities.get(paris))],
      ['an ADS credential', need(credentials.get(paris))],
      ["the observability cluster's ADS credential", need(credentials.get('atlas'))],
      ['a client of an internal port', signed(clientSpec(defaultSettings, parseClientName('thanos')))],
      ['two names', signed({...identitySpec(defaultSettings, 'atlas', 1), uris: [spiffe.observability('atlas.internal'), 'spiffe://x/y']})],
      ['another trust domain', signed(identitySpec({...defaultSettings, trustDomain: 'other.internal'}, 'atlas', 1))],
      [
        'a name that begins with it',
        signed({...identitySpec(defaultSettings, 'atlas', 1), uris: ['spiffe://atlas.internal/observability/1']}),
      ],
    ]
    for (const [what, client] of wrong) {
      const before = network.serving.report().refusals.length
      await refused('certificate-name', client)
      expect(network.serving.report().refusals.length, what).to.be.above(before)
    }
  })

  it('refuses the right name from the wrong issuer', async () => {
    const spec = identitySpec(defaultSettings, 'atlas', 1)
    await refused('certificate-issuer', signed({...spec, purposes: ['client']}, credentialIssuer()))
    const foreign = issue(rootSpec(defaultSettings), undefined, new Date(), cryptoSigner)
    await refused('tls-certificate-untrusted', signed(spec, foreign))
  })

  it('refuses, in the TLS handshake, what the ADS port refuses there', async () => {
    const ended = signed({...identitySpec(defaultSettings, 'atlas', 1), lifetime: 60}, issuer(), new Date(Date.now() - 300_000))
    await refused('tls-certificate-missing', undefined)
    await refused('tls-certificate-expired', ended)
    await refused('tls-certificate-untrusted', observability(), {servername: ''})
    await refused('tls-protocol', observability(), {maxVersion: 'TLSv1.2'})
    expect(await isAnswered(observability(), {ALPNProtocols: ['http/1.1']})).to.equal(false)
  })

  it('refuses the next request on an open connection whose issuer is no longer trusted', async () => {
    const {session} = open(observability())
    expect((await ask(session, '/')).status).to.equal(200)
    const {authority, trust} = network.store.fleet()
    // The leader can not put the former issuer back meanwhile.
    network.store.conflicts = Infinity
    const other = issue(issuerSpec(defaultSettings), need(authority.get('root')), new Date(), cryptoSigner)
    const server = issue(serverSpec(defaultSettings), other, new Date(), cryptoSigner)
    network.store.write({kind: 'trust', value: {...need(trust), issuers: [other.certificate]}}, {kind: 'server', value: server})
    expect((await ask(session, '/')).status).to.equal(403)
  })

  it('shows a new certificate without a restart, as the ADS port does', async () => {
    const server = signed(serverSpec(defaultSettings))
    network.store.write({kind: 'server', value: server})
    const {session, socket} = open(observability())
    await ask(session, '/')
    expect(socket.getPeerX509Certificate()?.toString()).to.equal(server.certificate.split(/(?<=END CERTIFICATE-----\n)/)[0])
  })

  it('/status.json is the document of `atlas status --json`', async () => {
    const stream = network.direct('paris').delta()
    subscribe(stream, 'paris')
    await settleAll(network, [stream])
    const {status, headers, body} = await ask(open(observability()).session, '/status.json')
    expect([status, headers['content-type']]).to.deep.equal([200, 'application/json; charset=utf-8'])
    const report = network.serving.report()
    const wanted = statusOf(network.store.fleet(), [{report}], new Date())
    expect(JSON.parse(body)).to.deep.equal({...wanted, findings: wanted.findings.map(finding => ({...finding, next: 'atlas status'}))})
    expect(body).not.to.match(/PRIVATE KEY/)
  })

  it('other paths are 404, other methods 405, and HEAD has no body', async () => {
    const {session} = open(observability())
    const answers = await Promise.all([
      ask(session, '/?x=1'),
      ask(session, '/', {method: 'HEAD'}),
      ask(session, '/', {method: 'POST'}),
      ask(session, '/status.json', {method: 'DELETE'}),
      ...['/status', '//', '/index.html', '/%2e', '/metrics', '/status.json/'].map(async path => ask(session, path)),
    ])
    expect(answers.map(({status}) => status)).to.deep.equal([200, 200, 405, 405, 404, 404, 404, 404, 404, 404])
    expect(answers[1].body).to.equal('')
    expect(Number(answers[1].headers['content-length'])).to.be.above(1000)
    expect(answers[2].headers['allow']).to.equal('GET, HEAD')
  })

  it('every answer forbids scripts, frames and caches', async () => {
    const {session} = open(observability())
    for (const path of ['/', '/status.json', '/nothing']) {
      const {headers} = await ask(session, path)
      expect(headers).to.include({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
        'cache-control': 'no-store',
      })
      expect(headers['content-security-policy']).to.match(
        /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      )
    }
  })

  it("links have the port that the browser uses, and nothing else of the request's host", async () => {
    const settings: Settings = {...need(network.store.fleet().settings), webDomain: 'web.example.com'}
    network.store.write({kind: 'settings', value: settings})
    const {session} = open(observability())
    for (const [authority, port] of [
      ['atlas.example:10904', ':10904'],
      ['[::1]:8443', ':8443'],
      ['atlas.example', ''],
      ['evil.example:1x', ''],
    ] as const) {
      const {body} = await ask(session, '/', {authority})
      expect(body, authority).to.include(`href="//paris.prom.web.example.com${port}/"`)
      expect(body).not.to.include('\u0000').and.not.to.include('evil')
    }
  })

  it('a document is made once for all who ask at the same time', async () => {
    const {session} = open(observability())
    const answers = await Promise.all(Array.from({length: 20}, async () => ask(session, '/')))
    expect(new Set(answers.map(({body}) => body)).size).to.equal(1)
  })

  it('stops while connections are open', async () => {
    const {session} = open(observability())
    await ask(session, '/')
    await network.serving.stop()
    await eventually(() => session.destroyed, 'the connection is closed')
  })
})
