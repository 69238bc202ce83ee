/** Fetches a running server's report from its admin port. */
import {AtlasError, messageOf} from '../model/errors.js'
import type {Report} from '../model/report.js'

/** @throws AtlasError `unreachable` without an answer within 5 s, `failed` where the answer is not a report of this version */
export async function fetchReport(admin: string): Promise<Report> {
  const url = `${admin.replace(/\/$/, '')}/status`
  const body = await fetch(url, {signal: AbortSignal.timeout(5000)})
    .then(response => response.json())
    .catch((error: unknown) => {
      if (error instanceof SyntaxError)
        throw new AtlasError('failed', `${url} is not at an admin port of Atlas: what answers there is no report of a server`, {
          hint: '--server takes the address of "atlas serve --admin", by default 127.0.0.1:6309',
          cause: error,
        })
      // fetch's own message is only "fetch failed"
      const reason = error instanceof Error && error.cause !== undefined ? error.cause : error
      throw new AtlasError('unreachable', `cannot get ${url} from the server's admin port: ${reasonOf(reason, url)}`, {
        hint: 'check that "atlas serve" is running; --server sets another address',
        cause: error,
      })
    })
  if (typeof body !== 'object' || body === null || !('format' in body) || body.format !== 1)
    throw new AtlasError('failed', `cannot read ${url}: the answer is not that of an Atlas server of this version`, {
      hint: 'check the address, and that the server and this program have the same version',
    })
  return body as Report
}

/** fetch asks nothing on ports that are kept for other protocols, and says two words about it. */
function reasonOf(error: unknown, url: string): string {
  const reason = messageOf(error)
  return reason === 'bad port' ? `port ${new URL(url).port} is kept for another protocol than HTTP, so it was not asked` : reason
}
