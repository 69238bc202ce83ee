/** Sends requests to the API server over kept connections: JSON for a call, lines for a watch. Knows nothing of the objects in them. */
import type {ClientRequest, IncomingMessage} from 'node:http'
import {request as startRequest} from 'node:https'
import type {Socket} from 'node:net'
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Access} from './access.js'
import {type ApiResponse, type RequestInfo, apiErrorOf} from './api-error.js'
import {openServerTime} from './server-time.js'

export interface ApiRequest {
  readonly info: RequestInfo
  /** Below the server's address, such as `/api/v1/namespaces/atlas/services`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly contentType?: string
  readonly signal?: AbortSignal
  /** The time limit for all attempts together, milliseconds; by default 30 s. */
  readonly timeoutMs?: number
  /** Called just before the request is sent, at each attempt. @throws AtlasError to prevent it */
  readonly permit?: () => void
}

export interface Client {
  readonly namespace: string
  /** Its name in messages: `namespace atlas of context "obs"`. */
  readonly description: string
  /** @throws AtlasError as `apiErrorOf`; `unreachable` without a response */
  call(request: ApiRequest): Promise<unknown>
  /**
   * Passes on each line of a long response, those that arrive together in one call; resolves when the server ends it.
   * @throws AtlasError as `call`; `unreachable` where nothing arrives for `idleMs`
   */
  stream(request: ApiRequest, idleMs: number, events: {opened(): void; lines(lines: readonly string[]): void}): Promise<void>
  /** What the API server's clock shows now, by the `Date` of its newest response; milliseconds since 1970. */
  serverTime(): number | undefined
  /** How many requests were sent. */
  requests(): number
  close(): void
}

const METHODS = {create: 'POST', delete: 'DELETE', get: 'GET', list: 'GET', patch: 'PATCH', update: 'PUT', watch: 'GET'} as const
const TIMEOUT = 30_000
/**
 * After this many retries a busy API server's response is an error. It answers 429, or another error with Retry-After, and may be retried
 * (client-go, rest/with_retry).
 */
const BUSY_RETRIES = 10
/** A longer line breaks the watch off. A line holds one object, and etcd accepts 1.5 MiB. */
const LINE_MAX = 16 * 1024 * 1024

/** Opens a client; it connects at the first request. */
export function openClient(access: Access): Client {
  let count = 0
  const serverTime = openServerTime()

  async function send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const {server} = access
    const url = new URL(server)
    url.pathname = `${server.pathname.replace(/\/$/, '')}${request.path}`
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value)
    const options = await access.options(url)
    // Bytes: Node would write a text, and the headers before it, as UTF-8, and the headers are bytes already.
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
    const headers = {
      ...(options.headers as Readonly<Record<string, string>> | undefined),
      accept: 'application/json',
      'user-agent': 'atlas',
      ...(body !== undefined && {'content-type': request.contentType ?? 'application/json', 'content-length': String(body.length)}),
    }
    count += 1
    return new Promise((resolve, reject) => {
      // The agent decides whether the connection uses TLS.
      const sent: ClientRequest = startRequest(url, {...options, method: METHODS[request.info.verb], headers, signal}, response => {
        serverTime.hear(response)
        resolve(response)
      })
      sent.on('error', error => reject(new NotAnswered(error, sent.reusedSocket)))
      const go = (): void => {
        try {
          request.permit?.()
          sent.end(body)
        } catch (error) {
          sent.destroy(error as Error)
        }
      }

      // Connecting may take long, and the permission may end meanwhile: it is checked once the connection is ready.
      if (request.permit === undefined) go()
      else sent.once('socket', socket => whenConnected(socket, go))
    })
  }

  /**
   * A kept connection may be closed at the moment that it is used, which is no fault of the API server: the request is sent once more. If
   * the API server did receive the first one, a repeated write fails by its precondition.
   */
  async function sendOnce(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await send(request, signal)
    } catch (error) {
      if (!(error instanceof NotAnswered) || !error.wasKept || error.cause instanceof AtlasError || signal.aborted) throw error
      return send(request, signal)
    }
  }

  /** After a 401 the credentials are read again, since they may have been replaced on disk. */
  async function sendAuthorized(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const began = performance.now()
    const response = await sendOnce(request, signal)
    if (response.statusCode !== 401 || !access.renew(began)) return response
    response.resume()
    return sendOnce(request, signal)
  }

  function unreachable(thrown: unknown): AtlasError {
    const error = thrown instanceof NotAnswered ? thrown.cause : thrown
    if (error instanceof AtlasError) return error
    const {host} = access.server
    if (isOfCertificate(error))
      return new AtlasError('unreachable', `can't verify the certificate of the API server ${host}: ${reasonOf(error)}`, {
        hint: `the certificate authority of ${access.as} is not this cluster's, or a proxy replaces the certificate`,
        cause: error,
      })
    return new AtlasError('unreachable', `the API server ${host} of ${access.as} does not answer: ${reasonOf(error)}`, {
      hint: 'check that the cluster runs and --context names the right one: kubectl version',
      cause: error,
    })
  }

  return {
    namespace: access.namespace,
    description: `namespace ${access.namespace} of ${access.as}`,
    requests: () => count,
    serverTime: serverTime.now,
    close: access.close,

    async call(request) {
      const limitMs = request.timeoutMs ?? TIMEOUT
      const deadline = performance.now() + limitMs
      const limit = AbortSignal.timeout(limitMs)
      const signal = request.signal === undefined ? limit : AbortSignal.any([limit, request.signal])
      try {
        for (let attempt = 0; ; attempt += 1) {
          const answer = await answerOf(await sendAuthorized(request, signal))
          if (answer.code >= 200 && answer.code < 300) return answer.body
          const wait = busyFor(answer)
          if (wait === undefined || attempt >= BUSY_RETRIES || performance.now() + wait > deadline)
            throw apiErrorOf(answer, request.info, access.as)
          await sleep(wait, undefined, {signal})
        }
      } catch (error) {
        throw unreachable(limit.aborted ? new Error(`no answer within ${limitMs / 1000} s`) : error)
      }
    },

    async stream(request, idleMs, events) {
      const idle = new AbortController()
      const signal = request.signal === undefined ? idle.signal : AbortSignal.any([idle.signal, request.signal])
      const wait = (milliseconds: number): NodeJS.Timeout =>
        setTimeout(() => {
          idle.abort(new Error(`nothing was received for ${milliseconds / 1000} s`))
        }, milliseconds)
      let timer = wait(Math.min(idleMs, request.timeoutMs ?? TIMEOUT))
      try {
        const response = await sendAuthorized(request, signal)
        if (response.statusCode !== 200) throw apiErrorOf(await answerOf(response), request.info, access.as)

        clearTimeout(timer)
        timer = wait(idleMs)
        events.opened()
        let rest = ''
        response.setEncoding('utf8')
        for await (const piece of response as AsyncIterable<string>) {
          timer.refresh()
          const end = piece.lastIndexOf('\n')
          const whole = end < 0 ? [] : (rest + piece.slice(0, end)).split('\n').filter(line => line !== '')
          // The last piece is usually half a line, and a line may come in many pieces. It is dropped if the rest never arrives.
          rest = end < 0 ? rest + piece : piece.slice(end + 1)
          if (rest.length > LINE_MAX) throw new Error(`a line of a watch is longer than ${LINE_MAX / 1024 / 1024} MiB`)
          if (whole.length > 0) events.lines(whole)
        }
      } catch (error) {
        throw unreachable(idle.signal.aborted ? idle.signal.reason : error)
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** A request that failed before a response arrived. */
class NotAnswered extends Error {
  /** Whether it was sent over a connection that had been used before. */
  readonly wasKept: boolean

  constructor(cause: unknown, wasKept: boolean) {
    super(messageOf(cause), {cause})
    this.wasKept = wasKept
  }
}

/** Calls `go` once the connection can send; with TLS, after the handshake. */
function whenConnected(socket: Socket & {readonly secureConnecting?: boolean}, go: () => void): void {
  if (socket.secureConnecting === true) socket.once('secureConnect', go)
  else if (socket.connecting) socket.once('connect', go)
  else go()
}

async function answerOf(response: IncomingMessage): Promise<ApiResponse> {
  const body = parsed(await textOf(response))
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN)
  return {code: response.statusCode ?? 0, body, retryAfterMs: Number.isFinite(seconds) ? Math.max(0, seconds) * 1000 : undefined}
}

/** When to retry, milliseconds from now, with jitter, so that clients don't retry together; undefined: the response is final. */
function busyFor({code, retryAfterMs}: ApiResponse): number | undefined {
  if (code !== 429 && (code < 500 || retryAfterMs === undefined)) return undefined
  return Math.max(100, retryAfterMs ?? 1000) * (1 + Math.random() / 4)
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}

/** The API server always answers in JSON: anything else comes from a proxy in front of it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {message: 'the response is not JSON; it may come from a proxy in front of the API server'}
  }
}

/** Whether an error is one of OpenSSL's or Node's about a certificate (Node docs, tls, "X509 certificate error codes"). */
function isOfCertificate(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /CERT|CRL|SIGNATURE|_CA$|HOSTNAME_MISMATCH/.test(code)
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  const message = messageOf(error)
  // Node tries each address of a host, and each attempt has its own reason.
  if (message === '' && error instanceof AggregateError) return error.errors.map(each => messageOf(each)).join('; ')
  return code === undefined || message.includes(code) ? message : `${message} (${code})`
}
