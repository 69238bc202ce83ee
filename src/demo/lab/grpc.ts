/** A small gRPC client on node:http2, so that a proof controls each byte, host name and certificate. */
import {type ClientHttp2Session, type IncomingHttpHeaders, type SecureClientSessionOptions, connect, constants} from 'node:http2'
import {type HostPort, renderHostPort} from '../../lib/model/address.js'

export interface Call {
  /** `:authority`, which decides the route; by default the address that the client connects to. */
  readonly authority?: string
  /** `/package.Service/Method`. */
  readonly path: string
  readonly message: Uint8Array
  readonly timeoutMs: number
  /** `end`: until the server has answered in full. `message`: until its first message, keeping the request open; then the call is cancelled. */
  readonly until: 'end' | 'message'
}

export interface GrpcReply {
  /** HTTP status. */
  readonly status: number
  /** Undefined where there is none, as for a cancelled call. */
  readonly grpcStatus: number | undefined
  readonly grpcMessage: string
  readonly headers: IncomingHttpHeaders
  readonly messages: readonly Buffer[]
}

/** The gRPC status codes that the proofs use. */
export const grpcCodes = {ok: 0, permissionDenied: 7, unimplemented: 12, unavailable: 14} as const

/** An open HTTP/2 connection. */
export interface Channel {
  /** False once the server has announced the end of the connection (GOAWAY), or it is closed: further calls need another one. */
  isOpen(): boolean
  call(call: Call): Promise<GrpcReply>
  close(): void
}

/** Connects with plaintext HTTP/2, as Thanos Query does. */
export function openPlain(address: HostPort): Channel {
  return channelOver(connect(`http://${renderHostPort(address)}`))
}

/** Connects with HTTP/2 over TLS. @param options certificates as node:tls takes them, and `servername` */
export function openTls(address: HostPort, options: SecureClientSessionOptions): Channel {
  return channelOver(connect(`https://${renderHostPort(address)}`, {...options, ALPNProtocols: ['h2']}))
}

/** Makes one call and closes the connection. @throws Error when the connection or the stream breaks, or after `timeoutMs` */
export async function callOnce(channel: Channel, call: Call): Promise<GrpcReply> {
  try {
    return await channel.call(call)
  } finally {
    channel.close()
  }
}

function channelOver(session: ClientHttp2Session): Channel {
  let broken: Error | undefined
  // Each open call listens for the end of the connection, and a load at a fixed rate has any number of them open.
  session.setMaxListeners(0)
  session.on('error', (error: Error) => {
    broken = error
  })
  return {
    isOpen: () => !session.closed,
    call: async call => {
      if (broken !== undefined) throw broken
      return callOn(session, call)
    },
    close: () => {
      session.destroy()
    },
  }
}

async function callOn(session: ClientHttp2Session, call: Call): Promise<GrpcReply> {
  const stream = session.request({
    ':method': 'POST',
    ':path': call.path,
    ...(call.authority !== undefined && {':authority': call.authority}),
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  const frames = new Frames()
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders = {}
  const answer = (): GrpcReply => answerOf(headers, trailers, frames.messages)
  return new Promise<GrpcReply>((resolve, reject) => {
    const timer = setTimeout(() => {
      fail(new Error(`no answer within ${call.timeoutMs / 1000} s`))
    }, call.timeoutMs)
    const onSessionError = (error: Error): void => {
      fail(error)
    }
    const end = (): void => {
      clearTimeout(timer)
      session.off('error', onSessionError)
      stream.close(constants.NGHTTP2_CANCEL)
    }
    const fail = (error: Error): void => {
      end()
      reject(error)
    }
    session.once('error', onSessionError)
    stream.on('response', received => {
      headers = received
    })
    stream.on('trailers', (received: IncomingHttpHeaders) => {
      trailers = received
    })
    stream.on('data', (chunk: Buffer) => {
      frames.push(chunk)
      if (call.until === 'message' && frames.messages.length > 0) {
        end()
        resolve(answer())
      }
    })
    stream.on('error', fail)
    // A server that refuses the call ends its side of the stream and waits for the client's.
    stream.on('end', () => {
      if (call.until === 'message') stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('close', () => {
      end()
      if (headers[':status'] === undefined) reject(new Error('the connection was closed before an answer'))
      else if (stream.rstCode === constants.NGHTTP2_NO_ERROR || call.until === 'message') resolve(answer())
      else reject(new Error(`the stream was reset with HTTP/2 code ${stream.rstCode}`))
    })
    const framed = frame(call.message)
    if (call.until === 'end') stream.end(framed)
    else stream.write(framed)
  })
}

function answerOf(headers: IncomingHttpHeaders, trailers: IncomingHttpHeaders, messages: readonly Buffer[]): GrpcReply {
  // An answer without a message may carry its status in the headers.
  const status = trailers['grpc-status'] ?? headers['grpc-status']
  return {
    status: Number(headers[':status']),
    grpcStatus: status === undefined ? undefined : Number(status),
    grpcMessage: decodeURIComponent(
      String(trailers['grpc-message'] ?? headers['grpc-message'] ?? '').replaceAll(/%(?![\dA-Fa-f]{2})/g, '%25'),
    ),
    headers,
    messages,
  }
}

/** A message as gRPC frames it: one byte "not compressed", four bytes length, then the message. */
export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Cuts a byte stream into messages. */
export class Frames {
  readonly messages: Buffer[] = []
  #rest = Buffer.alloc(0)

  push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1)
      if (this.#rest.length < end) return
      this.messages.push(this.#rest.subarray(5, end))
      this.#rest = this.#rest.subarray(end)
    }
  }
}
