/** A web server in place of a Prometheus, where there is none: every page says of which cluster it is. */
import http from 'node:http'
import type {HostPort} from '../../lib/model/address.js'
import {AtlasError} from '../../lib/model/errors.js'
import type {StandIn} from './health.js'

/** Serves until `close`. @throws AtlasError `failed` when the port can't be bound */
export async function servePages({host, port}: HostPort, cluster: string): Promise<StandIn> {
  const server = http.createServer((request, response) => {
    request.resume()
    response.writeHead(200, {'content-type': 'text/html'}).end(`<title>Prometheus, a stand-in</title>\ncluster: ${cluster}\n`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => {
      reject(new AtlasError('failed', `the stand-in for a Prometheus can't listen on ${host}:${port}: ${error.message}`, {cause: error}))
    })
    server.listen({host, port}, resolve)
  })
  server.unref()
  return {
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
