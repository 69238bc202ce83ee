/** Asks a running server, on its admin port, how its proxies stand. */
import {AtlasError, messageOf} from '../model/errors.js'
import type {Report} from '../model/report.js'

/** @throws AtlasError `unreachable` when nobody answers within 5 s, `failed` when what answers is no Atlas of this kind */
export async function fetchReport(admin: string): Promise<Report> {
  const url = `${admin.replace(/\/$/, '')}/status`
  const body = await fetch(url, {signal: AbortSignal.timeout(5000)})
    .then(response => response.json())
    .catch((error: unknown) => {
      throw new AtlasError('unreachable', `the server's admin port does not answer at ${url}: ${messageOf(error)}`, {
        hint: 'is "atlas serve" running? --server names another address',
        cause: error,
      })
    })
  if (typeof body !== 'object' || body === null || !('format' in body) || body.format !== 1)
    throw new AtlasError('failed', `what answers at ${url} is no Atlas server that this version understands`)
  return body as Report
}
