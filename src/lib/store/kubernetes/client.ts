/** Requests to the API server: JSON, over connections that are kept; a stream of lines for watches. What they say is others' business. */
import {type ClientRequest, type IncomingMessage, request as httpRequest} from 'node:http'
import {request as httpsRequest} from 'node:https'
import {setTimeout as sleep} from 'node:timers/promises'
import {AtlasError, messageOf} from '../../model/errors.js'
import type {Access} from './access.js'
import {type Asked, refusalOf} from './refusal.js'

export interface ApiRequest {
  readonly asked: Asked
  /** Below the server's address, such as `/api/v1/namespaces/atlas/services`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly contentType?: string
  readonly signal?: AbortSignal
  /** The answer's time limit, milliseconds; 30 s where nothing is said. */
  readonly timeoutMs?: number
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
  stream(request: ApiRequest, idleMs: number, events: {opened(): void; lines(lines: readonly string[]): void; heard(): void}): Promise<void>
  /** So many requests were sent. */
  requests(): number
  close(): void
}

const METHODS = {create: 'POST', delete: 'DELETE', get: 'GET', list: 'GET', patch: 'PATCH', update: 'PUT', watch: 'GET'} as const
const TIMEOUT = 30_000
/** The API server says 429 when it is busy, and when to come again. */
const BUSY_RETRIES = 5
/** Longer than any object: etcd takes 1.5 MiB at most, and a line holds one. */
const LINE_MAX = 16 * 1024 * 1024

/** Speaks through `access`; nothing is asked yet. */
export function openClient(access: Access): Client {
  let count = 0

  async function send(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const options = await access.options()
    const {server} = access
    const url = new URL(server)
    url.pathname = `${server.pathname.replace(/\/$/, '')}${request.path}`
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value)
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
    const start = server.protocol === 'http:' ? httpRequest : httpsRequest
    return new Promise((resolve, reject) => {
      const sent: ClientRequest = start(url, {...options, method: METHODS[request.asked.verb], headers, signal}, resolve)
      sent.on('error', error => {
        reject(Object.assign(error, {reusedSocket: sent.reusedSocket}))
      })
      sent.end(body)
    })
  }

  /** A kept connection may have been closed just when it was used: nothing was done then, and once more does no harm. */
  async function sendOnce(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await send(request, signal)
    } catch (error) {
      if (!(error instanceof Error && 'reusedSocket' in error && error.reusedSocket === true) || signal.aborted) throw error
      return send(request, signal)
    }
  }

  function unreachable(error: unknown): AtlasError {
    if (error instanceof AtlasError) return error
    const {host} = access.server
    return new AtlasError('unreachable', `the API server ${host} of ${access.as} does not answer: ${reasonOf(error)}`, {
      hint: 'is the cluster up, and is this the right --context? Try: kubectl version',
      cause: error,
    })
  }

  async function answer(request: ApiRequest): Promise<{readonly code: number; readonly retryAfter: number; readonly body: unknown}> {
    const limit = AbortSignal.timeout(request.timeoutMs ?? TIMEOUT)
    const signal = request.signal === undefined ? limit : AbortSignal.any([limit, request.signal])
    try {
      const response = await sendOnce(request, signal)
      const text = await textOf(response)
      return {code: response.statusCode ?? 0, retryAfter: Number(response.headers['retry-after'] ?? 1), body: parsed(text)}
    } catch (error) {
      throw unreachable(limit.aborted ? new Error(`no answer within ${(request.timeoutMs ?? TIMEOUT) / 1000} s`) : error)
    }
  }

  return {
    namespace: access.namespace,
    description: `namespace ${access.namespace} of ${access.as}`,
    requests: () => count,
    close: access.close,

    async call(request) {
      for (let attempt = 0; ; attempt += 1) {
        const {code, retryAfter, body} = await answer(request)
        if (code >= 200 && code < 300) return body
        if (code !== 429 || attempt >= BUSY_RETRIES) throw refusalOf(code, body, request.asked, access.as)
        await sleep(
          Math.min(10, Number.isFinite(retryAfter) ? retryAfter : 1) * 1000,
          undefined,
          request.signal && {signal: request.signal},
        )
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
        const response = await sendOnce(request, signal)
        if (response.statusCode !== 200) {
          const code = response.statusCode ?? 0
          throw refusalOf(code, parsed(await textOf(response)), request.asked, access.as)
        }

        clearTimeout(timer)
        timer = wait(idleMs)
        events.opened()
        let rest = ''
        response.setEncoding('utf8')
        for await (const piece of response as AsyncIterable<string>) {
          timer.refresh()
          events.heard()
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

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  const message = messageOf(error)
  // Several addresses that were tried each have their own reason.
  if (message === '' && error instanceof AggregateError) return error.errors.map(each => messageOf(each)).join('; ')
  return code === undefined || message.includes(code) ? message : `${message} (${code})`
}
