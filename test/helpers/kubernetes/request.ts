/** One HTTP request to an API server, with nothing of ours in between. */
import {request as httpsRequest} from 'node:https'
import type {Access} from './kubeconfig.js'

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number
  /** Its JSON; where it is none, the text, whatever the type says. */
  readonly body: Body
}

export interface Asked {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** A string is sent as it is, all else as JSON. */
  readonly body?: unknown
  readonly contentType?: string | undefined
}

/** Rejects when no answer comes within 30 s. */
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
        agent: false,
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
