/**
 * Trailers on the way of web pages, with the oldest and the newest Envoy: none passes, in either direction, and a body is not held back for them. A
 * stolen cluster answers at port 11904 itself, since its own Envoy takes no trailers from its servers (HTTP/1.1, `enable_trailers`).
 */
import http2 from 'node:http2'
import {createSecureContext} from 'node:tls'
import {expect} from 'chai'
import {identityIn, issuersIn} from '../../src/demo/lab/certificates.js'
import {type HostPort, renderHostPort} from '../../src/lib/model/address.js'
import {pagePorts} from '../../src/lib/model/page.js'
import {dialledPort} from '../../src/lib/model/cluster.js'
import {clusterOf} from '../../src/lib/model/fleet.js'
import {type EnvoyVersion, envoyVersions} from '../helpers/envoy-program.js'
import {until} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const SECRET = {cookie: 'session=1', authorization: 'Bearer x', 'x-custom': '1'}
const ACTING = {'set-cookie': 'session=stolen', 'server-timing': 'x', 'x-custom': '1', location: 'http://evil.example/'}

/** What the stolen cluster was sent. */
interface Received {
  headers: http2.IncomingHttpHeaders
  body: string
  trailers: http2.IncomingHttpHeaders | undefined
}

/** What a client was answered. */
interface Answered extends Received {
  /** Whether the first half of the body was there while the second was still to come. */
  isStreamed: boolean
}

for (const version of [envoyVersions[0], envoyVersions[envoyVersions.length - 1]] as const)
  describe(`e2e: trailers of web pages, observability Envoy ${String(version)}`, function () {
    this.timeout(240_000)
    let network: Network
    let received: Received | undefined
    /** The stolen cluster's stream whose body is not complete. */
    let unfinished: http2.ServerHttp2Stream | undefined

    before(async () => {
      network = await openNetwork({clusters: ['paris'], settings: {pagesByPath: true}, envoyVersion: () => version as EnvoyVersion})
      const {name, address, envoy} = network.member('paris')
      await envoy.kill()
      const fleet = await network.store.load()
      const cluster = clusterOf(fleet, name)
      if (cluster === undefined) throw new Error('paris is not registered')
      const at = {host: address, port: dialledPort(cluster, pagePorts.prom)}
      const {certificate, key} = identityIn(fleet, name)
      const context = createSecureContext({cert: certificate, key: key.reveal(), ca: [...issuersIn(fleet)], allowPartialTrustChain: true})
      const stolen = http2.createSecureServer({requestCert: true, minVersion: 'TLSv1.3', SNICallback: (_name, done) => done(null, context)})
      const sessions = new Set<http2.ServerHttp2Session>()
      stolen.on('session', session => sessions.add(session))
      stolen.on('stream', (stream, headers) => {
        const got: Received = {headers, body: '', trailers: undefined}
        received = got
        stream.on('error', () => undefined)
        stream.on('trailers', trailers => (got.trailers = trailers))
        stream.setEncoding('utf8').on('data', chunk => (got.body += String(chunk)))
        stream.on('end', () => {
          stream.respond({':status': 200, 'content-type': 'text/plain'}, {waitForTrailers: true})
          stream.on('wantTrailers', () => stream.sendTrailers(ACTING))
          stream.write('first')
          unfinished = stream
        })
      })
      await new Promise<void>((resolve, reject) => stolen.once('error', reject).listen(at.port, at.host, resolve))
      network.onClose(() => {
        for (const session of sessions) session.destroy()
        stolen.close()
      })
      await until(network, 'the way to the stolen cluster', async () => (await visit('GET')).body === 'firstsecond')
    })
    after(() => closeNetwork(network))

    async function visit(method: 'GET' | 'POST'): Promise<Answered> {
      const at: HostPort = {host: network.address, port: 10_904}
      unfinished = undefined
      const session = http2.connect(`http://${renderHostPort(at)}`)
      try {
        return await new Promise<Answered>((resolve, reject) => {
          const answered: Answered = {headers: {}, body: '', trailers: undefined, isStreamed: false}
          session.once('error', reject)
          const path = '/prom/paris/api/v1/query'
          const options = {endStream: method === 'GET', waitForTrailers: method === 'POST'}
          const stream = session.request({':method': method, ':path': path}, options)
          stream.once('error', reject)
          stream.on('wantTrailers', () => stream.sendTrailers(SECRET))
          if (method === 'POST') stream.end('query=up')
          stream.on('response', headers => (answered.headers = headers))
          stream.on('trailers', trailers => (answered.trailers = trailers))
          stream.setEncoding('utf8').on('data', chunk => {
            answered.body += String(chunk)
            if (unfinished === undefined || unfinished.writableEnded) return
            answered.isStreamed = answered.body === 'first'
            unfinished.end('second')
          })
          stream.on('end', () => resolve(answered))
        })
      } finally {
        session.destroy()
      }
    }

    it('of a request do not reach the cluster', async () => {
      const {body} = await visit('POST')
      expect(body).to.equal('firstsecond')
      expect(received).to.deep.include({body: 'query=up', trailers: undefined})
      expect(JSON.stringify(received?.headers)).to.not.match(/session|Bearer|custom/)
    })

    it('of an answer do not reach the client, and its body comes piece by piece', async () => {
      for (const method of ['GET', 'POST'] as const) {
        const {body, trailers, headers, isStreamed} = await visit(method)
        expect({body, trailers, isStreamed}, method).to.deep.equal({body: 'firstsecond', trailers: undefined, isStreamed: true})
        expect(headers).to.include({':status': 200, 'x-content-type-options': 'nosniff'})
      }
    })
  })
