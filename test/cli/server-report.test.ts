/** What the command says where the address of `--server` is not that of a server's admin port. */
import {createServer} from 'node:http'
import {expect} from 'chai'
import {fetchReport} from '../../src/lib/cli/server-report.js'
import {rejectedBy} from '../helpers/thrown.js'

describe('cli/server-report', () => {
  it('an answer that is no JSON is one of another program, and says nothing of JSON', async () => {
    const server = createServer((_, response) => response.end(''))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const at = server.address()
    const url = `http://127.0.0.1:${typeof at === 'object' && at !== null ? at.port : 0}`
    try {
      const {code, message, hint} = await rejectedBy(fetchReport(url))
      expect([code, message]).to.deep.equal([
        'failed',
        `${url}/status is not at an admin port of Atlas: what answers there is no report of a server`,
      ])
      expect(hint).to.contain('127.0.0.1:6309')
    } finally {
      server.close()
    }
  })
})
