import {expect} from 'chai'
import {type Server, createServer} from 'node:net'
import {reserveSites} from '../../../src/demo/lab/free-addresses.js'
import {holderOf} from '../../../src/demo/lab/port-holder.js'
import {BLOCKS, planSites} from '../../../src/demo/lab/sites.js'
import {rejectedBy} from '../../helpers/thrown.js'

describe('demo/free-addresses', () => {
  const servers: Server[] = []
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise(resolve => server.close(resolve))
  })

  it('gives two processes different addresses, and a released block again', async () => {
    const first = await reserveSites('one', 1)
    const second = await reserveSites('one', 1)
    expect(second.sites.lock.port).to.be.above(first.sites.lock.port)
    await first.release()
    const third = await reserveSites('one', 1)
    expect(third.sites.lock).to.deep.equal(first.sites.lock)
    await Promise.all([second.release(), third.release()])
  })

  it('skips a block with a busy port', async () => {
    const first = await reserveSites('one', 1)
    await first.release()
    await hold(first.sites.observability.ports.thanos)
    const second = await reserveSites('one', 1)
    expect(second.sites.lock).not.to.deep.equal(first.sites.lock)
    await second.release()
  })

  it('names the busy port and its process when no block is free', async () => {
    for (let block = 0; block < BLOCKS; block += 1) await hold(planSites('one', block, 1).observability.ports.thanos).catch(() => undefined)
    const error = await rejectedBy(reserveSites('one', 1))
    expect(error.code).to.equal('conflict')
    expect(error.message).to.match(/needs TCP port 127\.0\.0\.1:\d+, but it is busy/)
    if (process.platform === 'linux') expect(error.message).to.contain(`process ${process.pid}`)
  })

  it('names no process for a free port', () => {
    expect(holderOf({host: '127.0.0.1', port: 1, protocol: 'tcp'})).to.equal('')
  })

  async function hold(port: number): Promise<void> {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({host: '127.0.0.1', port}, resolve)
    })
    servers.push(server)
  }
})
