/** One HTTP request with exactly the path and headers given: `fetch` sends no Host header of its own choosing, and follows redirects. */
import http from 'node:http'
import {text} from 'node:stream/consumers'
import type {HostPort} from '../../lib/model/address.js'

export interface HttpRequest {
  readonly method?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: string
}

export interface HttpReply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Sends a request on a new connection. @throws Error where no answer comes within 10 s */
export async function ask(at: HostPort, path: string, {method = 'GET', headers = {}, body}: HttpRequest = {}): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const request = http.request({...at, path, method, headers, agent: false, signal: AbortSignal.timeout(10_000)})
    request.once('error', reject)
    request.once('response', response => {
      text(response).then(all => {
        resolve({status: response.statusCode ?? 0, headers: response.headers, body: all})
      }, reject)
    })
    request.end(body)
  })
}
