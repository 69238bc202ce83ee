/** What a server says that finds its port taken: first what always helps, then what does where the other program has one address. */
import {createServer} from 'node:net'
import type {AddressInfo, Server} from 'node:net'
import {expect} from 'chai'
import {AtlasError} from '../../src/lib/model/errors.js'
import {listenOn} from '../../src/server/listen.js'

const place = {name: 'ADS port', flag: '--listen'}

describe('server/listen', () => {
  let other: Server
  beforeEach(() => {
    other = createServer()
  })
  afterEach(() => other.close())

  async function taken(host: string): Promise<number> {
    await new Promise<void>(resolve => other.listen(0, host, resolve))
    return (other.address() as AddressInfo).port
  }

  const hintAt = async (host: string, port: number): Promise<string> =>
    listenOn(createServer(), {host, port}, place).then(
      () => expect.fail('the port is taken'),
      (error: unknown) => (error instanceof AtlasError ? (error.hint ?? '') : expect.fail(String(error))),
    )

  for (const [held, wanted] of [
    ['127.0.0.1', '0.0.0.0'],
    ['0.0.0.0', '0.0.0.0'],
    ['127.0.0.1', '::'],
  ] as const)
    it(`a port that a program has on ${held}, for ${wanted}: another port first, then one address, with what that means`, async () => {
      const port = await taken(held)
      const hint = await hintAt(wanted, port)
      expect(hint).to.match(/^another program uses that port.*: end it, or choose another port with --listen; /)
      expect(hint).to.include(
        `if the other one listens on a single address, one that it leaves free is enough here, such as --listen 127.0.0.1:${port}, which other machines do not reach`,
      )
    })

  it('for a single address, another port alone', async () => {
    const hint = await hintAt('127.0.0.1', await taken('127.0.0.1'))
    expect(hint).to.match(/end it, or choose another port with --listen$/)
  })
})
