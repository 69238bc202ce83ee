/** An HTTP/2 connection without a stream, whose client does not close it: it answers settings and pings, and ignores GOAWAY. */
import {connect} from 'node:tls'
import {type TlsTarget, tlsOptions} from '../../src/demo/lab/tls-probe.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'

export interface IdleConnection {
  isClosed(): boolean
  close(): void
}

/** The client's preface and an empty SETTINGS frame (RFC 9113, 3.4). */
const GREETING = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, Buffer.alloc(0))])
const [SETTINGS, PING, ACK] = [4, 6, 1]

/** Resolves when the server's first frame has come. */
export async function openIdle(target: TlsTarget, certificate: CertifiedKey): Promise<IdleConnection> {
  const socket = connect({...tlsOptions(target, {certificate}), host: target.host, port: target.port, ALPNProtocols: ['h2']})
  let isClosed = false
  let rest: Buffer = Buffer.alloc(0)
  socket.once('close', () => (isClosed = true))
  socket.once('secureConnect', () => socket.write(GREETING))
  await new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed at once')))
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let length = lengthOf(rest); rest.length >= length; length = lengthOf(rest)) {
        const [type = 0, flags = 0] = rest.subarray(3, 5)
        const isAnswered = (type === SETTINGS || type === PING) && (flags & ACK) === 0
        if (isAnswered) socket.write(frame(type, ACK, type === PING ? rest.subarray(9, length) : Buffer.alloc(0)))
        rest = rest.subarray(length)
      }
    })
  })
  socket.on('error', () => undefined)
  return {isClosed: () => isClosed, close: () => socket.destroy()}
}

/** Of the first frame with its head of nine bytes; Infinity while the head is not complete. */
function lengthOf(bytes: Buffer): number {
  return bytes.length < 9 ? Infinity : 9 + bytes.readUIntBE(0, 3)
}

/** On the connection itself, stream 0. */
function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  return Buffer.concat([head, payload])
}
