/** Sends one HTTP request to an API server, without Atlas's client. */
import {Agent, request as httpsRequest} from 'node:https'
import type {Access} from './kubeconfig.js'

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number
  /** The parsed JSON; where it is not JSON, the text, against its type. */
  readonly body: Body
}

export interface Asked {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** A string is sent unchanged, another value as JSON. */
  readonly body?: unknown
  readonly contentType?: string | undefined
}

/** Connections are used again: a handshake costs client and API server several milliseconds of CPU time. */
const agent = new Agent({keepAlive: true})

/** Rejects without a response within 30 s. */
export async function ask<Body>(
  {server, ca, credential}: Access,
  {method, path, body, contentType = 'application/json'}: Asked,
): Promise<Answer<Body>> {
  const sent = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      new URL(path, server),
      {
        method,
        ca,
        agent,
        signal: AbortSignal.timeout(30_000),
        headers: {
          accept: 'application/json',
          ...(sent === undefined ? {} : {'content-type': contentType}),
          ...('token' in credential ? {authorization: `Bearer ${credential.token}`} : {}),
        },
        ...('token' in credential ? {} : {cert: credential.certificate, key: credential.key}),
      },
      response => {
        let text = ''
        response.setEncoding('utf8').on('data', chunk => (text += String(chunk)))
        response.once('end', () => resolve({status: response.statusCode ?? 0, body: parsed(text) as Body}))
        response.once('error', reject)
      },
    )
    request.once('error', reject)
    request.end(sent)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
