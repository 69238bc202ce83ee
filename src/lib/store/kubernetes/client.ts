/** Requests to the API server: JSON, over connections that are kept; a stream of lines for watches. What they say is others' business. */
import type {ClientRequest, IncomingMessage} from 'node:http'
import {request as startRequest} from 'node:https'
import type {Socket} from 'node:net'
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Access} from './access.js'
import {type ApiResponse, type Asked, refusalOf} from './api-error.js'

export interface ApiRequest {
  readonly asked: Asked
  /** Below the server's address, such as `/api/v1/namespaces/atlas/services`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly contentType?: string
  readonly signal?: AbortSignal
  /** The time limit for the whole, milliseconds, further attempts included; 30 s where nothing is said. */
  readonly timeoutMs?: number
  /** Asked just before anything is sent, each time. @throws AtlasError what keeps it from being sent */
  readonly permit?: () => void
}

export interface Client {
  readonly namespace: string
  /** What to call it: `namespace atlas of context "obs"`. */
  readonly description: string
  /** @throws AtlasError as `refusalOf` says; `unreachable` where there is no answer */
  call(request: ApiRequest): Promise<unknown>
  /**
   * Hands over each line of an answer that goes on, those of one piece together; resolves when the server ends it.
   * @throws AtlasError as `call`; `unreachable` where nothing was heard for `idleMs`
   */
  stream(request: ApiRequest, idleMs: number, events: {opened(): void; lines(lines: readonly string[]): void}): Promise<void>
  /** So many requests were sent. */
  requests(): number
  close(): void
}

const METHODS = {create: 'POST', delete: 'DELETE', get: 'GET', list: 'GET', patch: 'PATCH', update: 'PUT', watch: 'GET'} as const
const TIMEOUT = 30_000
/** The API server says 429 when it is busy, and when to come again; so it may with an error of its own (client-go, rest/with_retry). */
const BUSY_RETRIES = 10
/** Longer than any object: etcd takes 1.5 MiB at most, and a line holds one. */
const LINE_MAX = 16 * 1024 * 1024

/** Speaks through `access`; nothing is asked yet. */
export function openClient(access: Access): Client {
  let count = 0

  async function send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const {server} = access
    const url = new URL(server)
    url.pathname = `${server.pathname.replace(/\/$/, '')}${request.path}`
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value)
    const options = await access.options(url)
    const body = request.body === undefined ? undefined : JSON.stringify(request.body)
    const headers = {
      ...(options.headers as Readonly<Record<string, string>> | undefined),
      accept: 'application/json',
      'user-agent': 'atlas',
      ...(body !== undefined && {
        'content-type': request.contentType ?? 'application/json',
        'content-length': String(Buffer.byteLength(body)),
      }),
    }
    count += 1
    return new Promise((resolve, reject) => {
      // The agent decides whether it is TLS.
      const sent: ClientRequest = startRequest(url, {...options, method: METHODS[request.asked.verb], headers, signal}, resolve)
      sent.on('error', error => reject(new NotAnswered(error, sent.reusedSocket)))
      const go = (): void => {
        try {
          request.permit?.()
          sent.end(body)
        } catch (error) {
          sent.destroy(error as Error)
        }
      }

      // A connection may take long to come: what holds before it is asked for may not hold any more when it is there.
      if (request.permit === undefined) go()
      else sent.once('socket', socket => whenConnected(socket, go))
    })
  }

  /**
   * A kept connection may have been closed just when it was used: that tells nothing of the API server, so it is tried once more. Should
   * the first attempt have been heard after all, a write fails then by its own condition.
   */
  async function sendOnce(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await send(request, signal)
    } catch (error) {
      if (!(error instanceof NotAnswered) || !error.wasKept || error.cause instanceof AtlasError || signal.aborted) throw error
      return send(request, signal)
    }
  }

  /** Credentials that are not accepted may have been replaced on disk. */
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
      return new AtlasError('unreachable', `the certificate of the API server ${host} is not accepted: ${reasonOf(error)}`, {
        hint: `the certificate authority that ${access.as} names is not the one of this cluster, or something stands in between`,
        cause: error,
      })
    return new AtlasError('unreachable', `the API server ${host} of ${access.as} does not answer: ${reasonOf(error)}`, {
      hint: 'is the cluster up, and is this the right --context? Try: kubectl version',
      cause: error,
    })
  }

  return {
    namespace: access.namespace,
    description: `namespace ${access.namespace} of ${access.as}`,
    requests: () => count,
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
            throw refusalOf(answer, request.asked, access.as)
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
          idle.abort(new Error(`nothing was heard for ${milliseconds / 1000} s`))
        }, milliseconds)
      let timer = wait(Math.min(idleMs, request.timeoutMs ?? TIMEOUT))
      try {
        const response = await sendAuthorized(request, signal)
        if (response.statusCode !== 200) throw refusalOf(await answerOf(response), request.asked, access.as)

        clearTimeout(timer)
        timer = wait(idleMs)
        events.opened()
        let rest = ''
        response.setEncoding('utf8')
        for await (const piece of response as AsyncIterable<string>) {
          timer.refresh()
          const lines = (rest + piece).split('\n')
          // What comes last is half a line as a rule; if nothing follows, it was never said.
          rest = lines.pop() ?? ''
          if (rest.length > LINE_MAX) throw new Error('a line of a watch does not end')
          const whole = lines.filter(line => line !== '')
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

/** A request that broke before there was an answer. */
class NotAnswered extends Error {
  /** Whether it was sent over a connection that had been used before. */
  readonly wasKept: boolean

  constructor(cause: unknown, wasKept: boolean) {
    super(messageOf(cause), {cause})
    this.wasKept = wasKept
  }
}

/** Once bytes may be sent: of TLS, after the handshake. */
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

/** When to ask again, milliseconds from now; undefined: the answer is final. With jitter, or all that were sent away come back at once. */
function busyFor({code, retryAfterMs}: ApiResponse): number | undefined {
  if (code !== 429 && (code < 500 || retryAfterMs === undefined)) return undefined
  return Math.max(100, retryAfterMs ?? 1000) * (1 + Math.random() / 4)
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}

/** An answer that is no JSON comes from something in front of the API server. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {message: 'it is no JSON; something stands in front of the API server'}
  }
}

/** OpenSSL's verdicts and Node's own (node docs, tls, "X509 certificate error codes"). */
function isOfCertificate(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /CERT|CRL|SIGNATURE|_CA$|HOSTNAME_MISMATCH/.test(code)
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  const message = messageOf(error)
  // Several addresses that were tried each have their own reason.
  if (message === '' && error instanceof AggregateError) return error.errors.map(each => messageOf(each)).join('; ')
  return code === undefined || message.includes(code) ? message : `${message} (${code})`
}
