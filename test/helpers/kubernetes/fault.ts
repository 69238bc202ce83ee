/** The faults of one request on its way to the API server and back. */
import type {IncomingMessage} from 'node:http'
import {constants, type Http2ServerRequest, type Http2ServerResponse} from 'node:http2'
import {type Agent, request as httpsRequest} from 'node:https'
import {setTimeout as sleep} from 'node:timers/promises'

export type Fault =
  /** The proxy answers; the API server does not receive the request. A `body` that is not a string is sent as JSON. */
  | {readonly kind: 'answer'; readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>>}
  /** The connection (in HTTP/2 the stream) is cut; the API server does not receive the request. */
  | {readonly kind: 'refuse'}
  /** The request is never answered; the API server does not receive it. */
  | {readonly kind: 'hang'}
  | {readonly kind: 'delay'; readonly ms: number}
  /** The API server executes the request, and the response is cut at `after`. */
  | {readonly kind: 'cut'; readonly after: Position}
  /** The API server executes the request, and the response ends at `after` like a complete one. */
  | {readonly kind: 'end'; readonly after: Exclude<Position, 'nothing'>}
  /** The API server executes the request, and nothing more comes from `after` on, while the connection stays open. */
  | {readonly kind: 'stall'; readonly after: Position}

/** `nothing` is before the response's status; `events: 1, bytes: 9` is within the second line of its body, the second event of a watch. */
export type Position = 'nothing' | {readonly events?: number; readonly bytes?: number}

export interface Exchange {
  readonly request: Http2ServerRequest
  readonly response: Http2ServerResponse
  readonly body: Buffer
  readonly target: {readonly url: string; readonly ca: string; readonly agent: Agent}
  /** Called with the status that the client receives. */
  onStatus(status: number): void
}

/** Plays `fault` on the request; resolves when it is over. */
export async function carryOut(exchange: Exchange, fault: Fault | undefined): Promise<void> {
  const {response, onStatus} = exchange
  switch (fault?.kind) {
    case 'answer': {
      onStatus(fault.status)
      const text = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? {})
      response.writeHead(fault.status, {'content-type': 'application/json', ...fault.headers})
      response.end(text)
      return
    }

    case 'refuse':
      cut(response)
      return
    case 'hang':
      return
    case 'delay':
      await sleep(fault.ms)
      await pass(exchange, undefined)
      return
    case 'cut':
    case 'end':
    case 'stall':
    case undefined:
      await pass(exchange, fault)
  }
}

/** Cuts the response. */
function cut({stream, req}: Http2ServerResponse): void {
  if (req.httpVersionMajor >= 2) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  else req.socket.destroy()
}

type Breaking = Extract<Fault, {kind: 'cut' | 'end' | 'stall'}> | undefined

async function pass(exchange: Exchange, fault: Breaking): Promise<void> {
  const {response, onStatus} = exchange
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    const answer = await forward(exchange, gone.signal)
    if (fault?.after === 'nothing') {
      if (fault.kind === 'cut') cut(response)
      answer.destroy()
      return
    }

    onStatus(answer.statusCode ?? 0)
    response.writeHead(answer.statusCode ?? 502, withoutHops(answer.headers))
    // A watch's body may come much later. Both protocols have this function, against Node's types.
    ;(response as unknown as {flushHeaders(): void}).flushHeaders()
    const isWhole = await relay(answer, response, fault?.after, gone.signal)
    if (isWhole || fault?.kind === 'end') response.end()
    else if (fault?.kind === 'cut') cut(response)
  } catch {
    // The API server or the client has closed the connection.
    cut(response)
  }
}

async function forward({request, body, target}: Exchange, signal: AbortSignal): Promise<IncomingMessage> {
  const {host: _, ...headers} = withoutHops(request.headers)
  return new Promise((resolve, reject) => {
    const {ca, agent} = target
    const outgoing = httpsRequest(new URL(request.url, target.url), {method: request.method, headers, ca, agent, signal}, resolve)
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

/** Passes the body on up to `until`. @returns whether it was passed completely */
async function relay(
  answer: IncomingMessage,
  response: Http2ServerResponse,
  until: Position | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const within = until === undefined || until === 'nothing' ? undefined : limit(until)
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const {part, isOver} = within?.(chunk) ?? {part: chunk, isOver: false}
    // The passed part must be sent before the connection is cut.
    if (part.length > 0) await written(response, part, signal)
    if (isOver) return false
  }

  return true
}

async function written(response: Http2ServerResponse, part: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const stop = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', stop, {once: true})
    response.write(part, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
  })
}

function limit({events = 0, bytes = 0}: Exclude<Position, 'nothing'>): (chunk: Buffer) => {part: Buffer; isOver: boolean} {
  let [lines, left] = [events, bytes]
  return chunk => {
    let at = 0
    for (; lines > 0; lines--) {
      const end = chunk.indexOf('\n', at)
      if (end === -1) return {part: chunk, isOver: false}
      at = end + 1
    }

    const taken = Math.min(left, chunk.length - at)
    left -= taken
    return {part: chunk.subarray(0, at + taken), isOver: left === 0}
  }
}

/** Without headers of one connection, and without HTTP/2's pseudo-headers. */
function withoutHops(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  const hops = ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection', 'te', 'trailer']
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':') && !hops.includes(name)))
}
