import {expect} from 'chai'
import {type Server, createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {ask} from '../../../src/demo/lab/http.js'
import {relayFromLocalhost} from '../../../src/demo/lab/relay.js'

describe('demo/relay', () => {
  it('passes requests on, from another port where its own is taken', async () => {
    const server = createServer((request, response) => response.end(request.headers.host))
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const to = {host: '127.0.0.1', port: portOf(server)}
    const relay = await relayFromLocalhost(to)
    expect(relay.at.port).not.to.equal(to.port)
    expect((await ask(relay.at, '/', {headers: {host: 'paris.localhost'}})).body).to.equal('paris.localhost')
    await relay.close()
    const error = await ask(relay.at, '/').catch((caught: unknown) => caught)
    expect(error).to.have.property('code', 'ECONNREFUSED')
    server.close()
  })
})

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
