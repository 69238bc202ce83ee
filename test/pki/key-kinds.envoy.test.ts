/** A real Envoy verifies certificates below roots with every kind of key that Atlas accepts, and refuses those on two curves that Atlas refuses. */
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import type {AddressInfo} from 'node:net'
import path from 'node:path'
import {type SecureContext, createSecureContext, createServer} from 'node:tls'
import {expect} from 'chai'
import {readCertificates} from '../../src/lib/pki/read.js'
import {inFolder} from '../helpers/atlas.js'
import {startEnvoy} from '../helpers/envoy-process.js'
import {thrownBy} from '../helpers/thrown.js'

/** Arguments of `openssl req -newkey`. */
const ec = (curve: string): readonly string[] => ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`]

const accepted: Readonly<Record<string, readonly string[]>> = {
  'p-256': ec('prime256v1'),
  'p-384': ec('secp384r1'),
  'p-521': ec('secp521r1'),
  'rsa-2048': ['rsa:2048'],
  'rsa-4096': ['rsa:4096'],
}

const refused: Readonly<Record<string, readonly string[]>> = {secp256k1: ec('secp256k1'), 'brainpool-p256': ec('brainpoolP256r1')}

describe('pki, kinds of keys', function () {
  this.timeout(300_000)

  it('Envoy verifies below a root of each kind that is accepted, and below none on secp256k1 or a Brainpool curve', () =>
    inFolder(async folder => {
      const kinds = {...accepted, ...refused}
      const contexts = new Map(Object.entries(kinds).map(([name, newkey]) => [name, certify(folder, name, newkey)]))
      const server = createServer({SNICallback: (name, done) => done(null, contexts.get(name)), ALPNProtocols: ['http/1.1']}, socket => {
        socket.on('error', () => undefined)
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'))
      })
      server.on('tlsClientError', () => undefined)
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const {port} = server.address() as AddressInfo
      const [admin, listen] = [
        {host: '127.0.40.1', port: 9901},
        {host: '127.0.40.1', port: 10_000},
      ]
      const envoy = await startEnvoy(configOf(folder, Object.keys(kinds), {admin, listen, port}), admin)
      try {
        for (const name of Object.keys(kinds)) {
          const {status} = await fetch(`http://${listen.host}:${String(listen.port)}/${name}`)
          expect([name, status]).to.deep.equal([name, name in accepted ? 200 : 503])
          const root = readFileSync(path.join(folder, `${name}-root.pem`), 'utf8')
          if (name in accepted) expect(readCertificates(root, 'the root')).to.have.length(1)
          else expect(thrownBy(() => readCertificates(root, 'the root')).message).to.contain('must have an EC key on P-256, P-384 or P-521')
        }
      } finally {
        await envoy.stop()
        server.close()
      }
    }))
})

/** A root with the kind of key in question, and a server's certificate on P-256 below it. */
function certify(folder: string, name: string, newkey: readonly string[]): SecureContext {
  const file = (ending: string): string => path.join(folder, `${name}-${ending}`)
  const run = (...args: readonly string[]): unknown => execFileSync('openssl', args, {stdio: 'pipe'})
  const root = ['-x509', '-nodes', '-days', '10', '-subj', `/CN=root ${name}`, '-addext', 'keyUsage=critical,keyCertSign']
  run('req', ...root, '-newkey', ...newkey, '-keyout', file('root-key.pem'), '-out', file('root.pem'))
  const leaf = ['-nodes', '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`]
  run('req', ...leaf, '-newkey', ...ec('prime256v1'), '-keyout', file('key.pem'), '-out', file('request.pem'))
  const signer = ['-CA', file('root.pem'), '-CAkey', file('root-key.pem'), '-CAcreateserial', '-copy_extensions', 'copy', '-days', '5']
  run('x509', '-req', '-in', file('request.pem'), ...signer, '-out', file('leaf.pem'))
  return createSecureContext({cert: readFileSync(file('leaf.pem')), key: readFileSync(file('key.pem'))})
}

interface Ends {
  readonly admin: {readonly host: string; readonly port: number}
  readonly listen: {readonly host: string; readonly port: number}
  /** Of the TLS server. */
  readonly port: number
}

function configOf(folder: string, names: readonly string[], {admin, listen, port}: Ends): object {
  const address = (host: string, value: number): object => ({socket_address: {address: host, port_value: value}})
  const of = (type: string): string => `type.googleapis.com/envoy.extensions.${type}`
  return {
    admin: {address: address(admin.host, admin.port)},
    static_resources: {
      listeners: [
        {
          address: address(listen.host, listen.port),
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': of('filters.network.http_connection_manager.v3.HttpConnectionManager'),
                    stat_prefix: 'in',
                    route_config: {
                      virtual_hosts: [
                        {name: 'all', domains: ['*'], routes: names.map(name => ({match: {path: `/${name}`}, route: {cluster: name}}))},
                      ],
                    },
                    http_filters: [{name: 'router', typed_config: {'@type': of('filters.http.router.v3.Router')}}],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: names.map(name => ({
        name,
        type: 'STATIC',
        load_assignment: {cluster_name: name, endpoints: [{lb_endpoints: [{endpoint: {address: address('127.0.0.1', port)}}]}]},
        transport_socket: {
          name: 'tls',
          typed_config: {
            '@type': of('transport_sockets.tls.v3.UpstreamTlsContext'),
            sni: name,
            common_tls_context: {validation_context: {trusted_ca: {filename: path.join(folder, `${name}-root.pem`)}}},
          },
        },
      })),
    },
  }
}
