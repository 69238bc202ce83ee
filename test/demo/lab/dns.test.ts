import {expect} from 'chai'
import {Resolver} from 'node:dns/promises'
import fc from 'fast-check'
import {answerQuery, serveDns} from '../../../src/demo/lab/dns.js'
import {anyPort} from '../../helpers/serving.js'
import {rejectedBy} from '../../helpers/thrown.js'

const zone = {suffix: 'atlas.svc.cluster.local', address: '127.63.1.1'}
const name = 'paris-thanos-sidecar0.atlas.svc.cluster.local'

describe('demo/dns', () => {
  let server: {close(): Promise<void>}
  let port: number
  const resolver = new Resolver({timeout: 20_000, tries: 1})

  before(async () => {
    let serving: typeof server | undefined
    do {
      port = anyPort()
      serving = await serveDns({host: '127.0.0.1', port}, zone).catch(() => undefined)
    } while (serving === undefined)
    server = serving
    resolver.setServers([`127.0.0.1:${port}`])
  })
  after(async () => {
    await server.close()
  })

  it('answers an A query for a name of the zone', async () => {
    expect(await resolver.resolve4(name)).to.deep.equal(['127.63.1.1'])
  })

  it('ignores case', async () => {
    expect(await resolver.resolve4(name.toUpperCase())).to.deep.equal(['127.63.1.1'])
  })

  for (const type of ['AAAA', 'TXT', 'SRV'] as const)
    it(`answers ${type} with no records, and no error`, async () => {
      const error = await rejection(resolver.resolve(name, type))
      expect(error.code).to.equal('ENODATA')
    })

  it('answers other names with NXDOMAIN, the zone itself included', async () => {
    for (const other of ['example.org', zone.suffix, `x${zone.suffix}`])
      expect((await rejection(resolver.resolve4(other))).code).to.equal('ENOTFOUND')
  })

  it('names the busy port', async () => {
    const error = await rejectedBy(serveDns({host: '127.0.0.1', port}, zone))
    expect(error.message).to.contain(`UDP 127.0.0.1:${port}`)
  })

  it('ignores responses, so that two servers never answer each other', () => {
    const response = Buffer.alloc(12)
    response.writeUInt16BE(0x80_00, 2)
    expect(answerQuery(response, zone)).to.equal(undefined)
  })

  it('survives any packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 80}), bytes => {
        const answer = answerQuery(Buffer.from(bytes), zone)
        if (answer !== undefined) expect(answer.readUInt16BE(2) & 0x80_00).to.equal(0x80_00)
      }),
    )
  })
})

async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  return promise.then(
    () => {
      throw new Error('it was answered')
    },
    (error: unknown) => error as NodeJS.ErrnoException,
  )
}
