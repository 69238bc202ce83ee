/** What one client can do to a connection that others share, and what its messages may cost. */
import {constants, type ClientHttp2Stream} from 'node:http2'
import {expect} from 'chai'
import {type Network, nodeOf, startNetwork, types} from '../support/network.js'
import {rawConnection, requestFrame} from '../support/raw.js'

describe('bounds on clients', () => {
  let network: Network
  afterEach(async () => network.stop())

  it('an HTTP/2 connection survives any number of streams that are its client resets', async () => {
    network = await startNetwork(['paris'], {limits: {requestBurst: 1_000_000}})
    const {session, open} = await rawConnection(network, 'paris')
    let goaways = 0
    session.on('goaway', () => (goaways += 1))
    const reset = async (stream: ClientHttp2Stream): Promise<void> =>
      new Promise(resolve => {
        stream.on('close', resolve)
        stream.write(requestFrame({node: nodeOf('rome'), typeUrl: types.cluster}))
        setTimeout(() => {
          stream.close(constants.NGHTTP2_CANCEL)
        }, 2)
      })
    for (let batch = 0; batch < 30; batch += 1) await Promise.all(Array.from({length: 100}, async () => reset(open())))
    const honest = open()
    const answered = new Promise(resolve => honest.once('response', headers => resolve(headers['grpc-status'] ?? 'open')))
    honest.write(requestFrame({node: nodeOf('paris'), typeUrl: types.cluster}))
    expect(await Promise.race([answered, new Promise(resolve => honest.once('close', () => resolve('closed')))])).to.equal('open')
    expect([goaways, session.destroyed]).to.deep.equal([0, false])
    session.destroy()
  }).timeout(60_000)
})
