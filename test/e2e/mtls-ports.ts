/** Clients that should be refused, with any certificate, and servers that pretend to be another one. */
import type {Socket} from 'node:net'
import {createServer} from 'node:tls'
import type {TlsTarget, TlsProbe, TlsClient} from '../../src/demo/lab/tls-probe.js'
import {probeUntilAlert} from '../../src/demo/lab/tls-probe.js'
import {issuersIn, settingsIn} from '../../src/demo/lab/certificates.js'
import type {HostPort} from '../../src/lib/model/address.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {sni} from '../../src/lib/model/names.js'
import {ALERTS_PORT} from '../../src/lib/model/settings.js'
import type {TestEnvoy} from './envoy.js'
import {until} from './look.js'
import type {Scene} from './scene.js'

/** A port of an Envoy, whose log records why it refused a client. */
export interface EnvoyPort extends TlsTarget {
  readonly envoy: TestEnvoy
}

export function adsPort({address, observability}: Scene, fleet: Fleet): EnvoyPort {
  const servername = sni.observability(settingsIn(fleet).trustDomain)
  return {host: address, port: 10_900, servername, ca: issuersIn(fleet), envoy: observability}
}

/** 10903 of the observability Envoy. */
export function alertsPort(scene: Scene, fleet: Fleet): EnvoyPort {
  return {...adsPort(scene, fleet), port: ALERTS_PORT}
}

export function sidecarPort(network: Scene, fleet: Fleet, cluster: string): EnvoyPort {
  const {name, address, envoy} = network.member(cluster)
  const servername = sni.downstream(settingsIn(fleet).trustDomain, name)
  return {host: address, port: 11_901, servername, ca: issuersIn(fleet), envoy}
}

export function serverPort({address}: Scene, fleet: Fleet): TlsTarget {
  return {host: address, port: 6305, servername: sni.ads(settingsIn(fleet).trustDomain), ca: issuersIn(fleet)}
}

/** Connects to a port of an Envoy, and waits for the entry in its log of connections. */
export async function probeLogged(network: Scene, target: EnvoyPort, client: TlsClient): Promise<TlsProbe & {readonly failure: string}> {
  const mark = target.envoy.mark()
  const result = await probeUntilAlert(target, client)
  // An Envoy older than 1.40 writes null where a newer one omits an empty value.
  const reasons = (): unknown[] => target.envoy.logged('connection', mark).map(({failure: reason}) => reason)
  const failure = (): string => reasons().find(reason => typeof reason === 'string') ?? ''
  if (result.bytes === 0) await until(network, 'the log to say why a connection was refused', () => failure() !== '')
  return {...result, failure: failure()}
}

export interface Impostor {
  /** Handshakes that the client ended with a TLS alert, by the error; not those of a connection that broke, as one does on which the client waited too long. */
  refusals(): readonly string[]
  /** Connections whose client accepted the certificate. */
  believers(): number
  close(): Promise<void>
}

/** Answers in another server's place with another certificate; accepts any client certificate. */
export async function impersonate({host, port}: HostPort, {certificate, key}: CertifiedKey): Promise<Impostor> {
  const refusals: string[] = []
  // With those in their handshake: the server closes when each has ended.
  const open = new Set<Socket>()
  let [believers, isClosing] = [0, false]
  const server = createServer({
    cert: certificate,
    key: key.reveal(),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
  })
  server.on('tlsClientError', ({code = ''}: NodeJS.ErrnoException) => {
    if (code.includes('ALERT')) refusals.push(code)
  })
  server.on('secureConnection', socket => {
    believers += 1
    socket.on('error', () => undefined)
  })
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => open.delete(socket))
    if (isClosing) socket.destroy()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({host, port}, resolve)
  })
  return {
    refusals: () => [...refusals],
    believers: () => believers,
    close: async () => {
      isClosing = true
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
