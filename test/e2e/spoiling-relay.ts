/**
 * Stands between one Envoy and 10900, and spoils the trust bundle in what the server sends once the test says so: the Envoy refuses it with words of
 * its own, as one does that can't use a certificate.
 */
import {readFile, writeFile} from 'node:fs/promises'
import {type ClientHttp2Session, type IncomingHttpHeaders, type ServerHttp2Stream, connect, createSecureServer} from 'node:http2'
import path from 'node:path'
import {createSecureContext} from 'node:tls'
import {fromBinary, toBinary} from '@bufbuild/protobuf'
import {DeltaDiscoveryResponseSchema} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {SecretSchema} from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {Frames, frame} from '../../src/demo/lab/grpc.js'
import {tlsOptions} from '../../src/demo/lab/tls-probe.js'
import {bootstrapPaths} from '../../src/lib/envoy/credential-files.js'
import {OBSERVABILITY, envoyNames} from '../../src/lib/model/names.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import type {TestEnvoy} from './envoy.js'
import {adsPort} from './mtls-ports.js'
import type {Network} from './network.js'

export interface SpoilingRelay {
  /** From now on. */
  spoil(): void
  close(): Promise<void>
}

/** Changes an Envoy's bootstrap so that it connects to a relay, which shows what the observability Envoy would show. Start the Envoy again after this. */
export async function relayFor(network: Network, envoy: TestEnvoy, port: number): Promise<SpoilingRelay> {
  let isSpoiling = false
  const sessions = new Set<{destroy(): void}>()
  const own = async () => {
    const {certificate, key} = identityIn(await network.store.load(), OBSERVABILITY)
    return createSecureContext({cert: certificate, key: key.reveal()})
  }
  const server = createSecureServer({
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    SNICallback: (_, answer) => {
      own().then(
        context => answer(null, context),
        (error: unknown) => answer(error as Error),
      )
    },
  })
  server.on('session', session => {
    const upstream = connectAs(network, envoy)
    upstream.catch(() => session.destroy())
    sessions.add(session)
    session.on('error', () => undefined)
    session.on('close', () => {
      sessions.delete(session)
      void upstream.then(each => each.destroy())
    })
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on('error', () => undefined)
      void upstream.then(
        each => {
          each.on('close', () => session.destroy())
          relay(stream, headers, each, message => (isSpoiling ? spoiled(message) : message))
        },
        () => undefined,
      )
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({host: network.address, port}, resolve)
  })
  const bootstrap = path.join(envoy.folder, bootstrapPaths.bootstrap)
  await writeFile(bootstrap, (await readFile(bootstrap, 'utf8')).replaceAll(/("port_value": ?)10900\b/g, `$1${port}`))
  return {
    spoil: () => {
      isSpoiling = true
    },
    close: async () => {
      for (const session of sessions) session.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** With the credential in the Envoy's files. */
async function connectAs(network: Network, {folder}: TestEnvoy): Promise<ClientHttp2Session> {
  const target = adsPort(network, await network.store.load())
  const [cert, key] = await Promise.all([bootstrapPaths.certificate, bootstrapPaths.key].map(file => readFile(path.join(folder, file))))
  const session = connect(`https://${target.host}:${target.port}`, {...tlsOptions(target, {}), cert, key, ALPNProtocols: ['h2']})
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve())
    session.once('error', reject)
  })
  session.on('error', () => undefined)
  return session
}

function relay(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  upstream: ClientHttp2Session,
  change: (message: Buffer) => Uint8Array,
): void {
  const {':path': method, ':authority': authority} = headers
  const call = upstream.request({
    ':method': 'POST',
    ':path': method,
    ':authority': authority,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  const frames = new Frames()
  let trailers: IncomingHttpHeaders = {}
  stream.pipe(call)
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.on('close', () => call.close())
  call.on('error', () => stream.close())
  call.on('response', ({':status': status, 'content-type': type}) => {
    stream.respond({':status': status, 'content-type': type}, {waitForTrailers: true})
  })
  call.on('trailers', (received: IncomingHttpHeaders) => {
    trailers = Object.fromEntries(Object.entries(received).filter(([name]) => name.startsWith('grpc-')))
  })
  call.on('data', (chunk: Buffer) => {
    frames.push(chunk)
    for (const message of frames.messages.splice(0)) stream.write(frame(change(message)))
  })
  call.on('end', () => stream.end())
}

function spoiled(message: Buffer): Uint8Array {
  const response = fromBinary(DeltaDiscoveryResponseSchema, message)
  if (response.typeUrl !== typeUrls.secret) return message
  for (const {name, resource} of response.resources) {
    if (name !== envoyNames.trust || resource === undefined) continue
    const secret = fromBinary(SecretSchema, resource.value)
    const specifier = secret.type.case === 'validationContext' ? secret.type.value.trustedCa?.specifier : undefined
    if (specifier?.case !== 'inlineString') continue
    // As far as it is text beside certificates, it stays: Envoy compares what it is sent with what it has refused before.
    specifier.value = specifier.value.replaceAll('CERTIFICATE', 'NOTHING')
    resource.value = toBinary(SecretSchema, secret)
  }

  return toBinary(DeltaDiscoveryResponseSchema, response)
}
